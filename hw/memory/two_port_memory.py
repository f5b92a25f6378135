"""A memory with one read and one write port: every RAM of the accelerator."""

from __future__ import annotations

from collections.abc import Iterable

from amaranth.hdl import Module, Shape, ShapeLike
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out


def read_signature(width: int, depth: int) -> wiring.Signature:
    """Of a read port, as its user sees it."""
    return wiring.Signature({"address": Out(range(depth)), "enable": Out(1), "data": In(width)})


def write_signature(width: int, depth: int, parts: int) -> wiring.Signature:
    """Of a write port, as its user sees it; one enable a part."""
    return wiring.Signature({"address": Out(range(depth)), "enable": Out(parts), "data": Out(width)})


class TwoPortMemory(wiring.Component):
    """`depth` words.

    Read data follow one cycle after `read.enable` and stay until the next enabled read. A word must not be read in the
    cycle in which it is written. The users see to that, so synthesis may take whatever the RAM of the target gives
    then (`boards.synthesis` says so to yosys); described is the old data.

    Parameters
    ----------
    shape : ShapeLike
        Shape of a word; ports carry it as plain bits.
    depth : int
    parts : int
        Equal parts into which a word is divided for writing; part 0 holds the least significant bits.
    init : Iterable[int]
        The first words after power-on; all others are zero. A reset brings nothing back.

    Ports
    -----
    read : {address, enable} in, {data} out
    write : {address, enable: one bit a part, data} in
    """

    def __init__(self, shape: ShapeLike, depth: int, *, parts: int = 1, init: Iterable[int] = ()) -> None:
        self.width = Shape.cast(shape).width
        self.depth = depth
        self.parts = parts
        self._init = list(init)
        super().__init__(
            {"read": In(read_signature(self.width, depth)), "write": In(write_signature(self.width, depth, parts))}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.store = store = memory.Memory(shape=self.width, depth=self.depth, init=self._init)
        read = store.read_port()
        write = store.write_port(granularity=self.width // self.parts)
        m.d.comb += [
            read.addr.eq(self.read.address),
            read.en.eq(self.read.enable),
            self.read.data.eq(read.data),
            write.addr.eq(self.write.address),
            write.data.eq(self.write.data),
            write.en.eq(self.write.enable),
        ]
        return m
