"""A queue of stream beats in a memory."""

from __future__ import annotations

from amaranth import Signal
from amaranth.hdl import Module, ShapeLike, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.memory.two_port_memory import TwoPortMemory


class StreamQueue(wiring.Component):
    """Holds up to `depth` beats in a memory and one in the memory's read register.

    `latency` 2, throughput 1. No combinational path through it in either direction.

    Parameters
    ----------
    shape : ShapeLike
    depth : int
        A power of two, at least 2.

    Ports
    -----
    i : In stream of shape
    o : Out stream of shape
    """

    latency = 2

    def __init__(self, shape: ShapeLike, depth: int) -> None:
        if depth < 2 or depth & (depth - 1):
            raise ValueError(f"the depth of a queue is {depth}: give a power of two of at least 2")
        self.depth = depth
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        payload = Value.cast(self.i.payload)
        m.submodules.store = store = TwoPortMemory(len(payload), self.depth)
        produce, consume = Signal(range(self.depth)), Signal(range(self.depth))
        level = Signal(range(self.depth + 1))
        put, get = Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(level != self.depth),
            put.eq(self.i.valid & self.i.ready),
            get.eq((level != 0) & (~self.o.valid | self.o.ready)),
            store.write.address.eq(produce),
            store.write.data.eq(payload),
            store.write.enable.eq(put),
            store.read.address.eq(consume),
            store.read.enable.eq(get),
            Value.cast(self.o.payload).eq(store.read.data),
        ]
        m.d.sync += [produce.eq(produce + put), consume.eq(consume + get), level.eq(level + put - get)]
        with m.If(get):
            m.d.sync += self.o.valid.eq(1)
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        return m
