"""A memory with one read and one write port that becomes one clean block RAM or LUT RAM on every target."""

from __future__ import annotations

from amaranth import Signal
from amaranth.hdl import Module, Shape, ShapeLike
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out


class TwoPortMemory(wiring.Component):
    """`depth` words, all zero at first.

    Read data follow one cycle after `read.enable` and stay until the next enabled read.

    A read of the very word that is being written keeps the data read before. A synchronous read port that
    promises anything else there (old or new data) costs a register and a multiplexer for each bit on targets
    whose RAM does not. The address comparison that this takes instead lets a synthesis tool see that the case
    does not arise.

    Parameters
    ----------
    shape : ShapeLike
        Shape of a word; ports carry it as plain bits.
    depth : int
    parts : int
        Equal parts into which a word is divided for writing; part 0 holds the least significant bits.

    Ports
    -----
    read : {address, enable} in, {data} out
    write : {address, enable: one bit a part, data} in
    """

    def __init__(self, shape: ShapeLike, depth: int, *, parts: int = 1) -> None:
        self.width = Shape.cast(shape).width
        self.depth = depth
        self.parts = parts
        read = wiring.Signature({"address": Out(range(depth)), "enable": Out(1), "data": In(self.width)})
        write = wiring.Signature(
            {"address": Out(range(depth)), "enable": Out(parts), "data": Out(self.width)}
        )
        super().__init__({"read": In(read), "write": In(write)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.store = store = memory.Memory(shape=self.width, depth=self.depth, init=[])
        read = store.read_port(domain="comb")
        write = store.write_port(granularity=self.width // self.parts)
        data = Signal(self.width, reset_less=True)
        collision = Signal()
        m.d.comb += [
            read.addr.eq(self.read.address),
            write.addr.eq(self.write.address),
            write.data.eq(self.write.data),
            write.en.eq(self.write.enable),
            collision.eq(self.write.enable.any() & (self.read.address == self.write.address)),
            self.read.data.eq(data),
        ]
        with m.If(self.read.enable & ~collision):
            m.d.sync += data.eq(read.data)
        return m
