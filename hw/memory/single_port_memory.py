"""A large memory with one port: a word is read or written in a cycle."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Shape, ShapeLike
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In

from hw.memory.two_port_memory import read_signature, write_signature

UNFILLED = "unfilled"
"""Name of the memory inside, by which synthesis knows that no bitstream fills it."""


class SinglePortMemory(wiring.Component):
    """`depth` words in the single-port RAM of a part (iCE40's SB_SPRAM256KA), with the ports of `TwoPortMemory`.

    In a cycle in which a word is written none is read, whatever `read.enable` is. Read data follow one cycle after a
    word was read, and stay until the next one is. After power-on the words are anything.

    Parameters
    ----------
    shape : ShapeLike
    depth : int
    parts : int
        As of `TwoPortMemory`.
    """

    def __init__(self, shape: ShapeLike, depth: int, *, parts: int = 1) -> None:
        self.width = Shape.cast(shape).width
        self.depth = depth
        self.parts = parts
        super().__init__(
            {"read": In(read_signature(self.width, depth)), "write": In(write_signature(self.width, depth, parts))}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        store = memory.Memory(shape=self.width, depth=self.depth, init=[], attrs={"ram_style": "huge"})
        m.submodules[UNFILLED] = store
        read = store.read_port()
        write = store.write_port(granularity=self.width // self.parts)
        writes = self.write.enable.any()
        address = Mux(writes, self.write.address, self.read.address)
        m.d.comb += [
            read.addr.eq(address),
            read.en.eq(self.read.enable & ~writes),
            self.read.data.eq(read.data),
            write.addr.eq(address),
            write.data.eq(self.write.data),
            write.en.eq(self.write.enable),
        ]
        return m
