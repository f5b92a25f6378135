"""Tiny components to test the kit on: right ones, and ones that break a rule of streams."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

PIXEL = data.StructLayout({"value": data.ArrayLayout(8, 3), "offset": 5, "last": 1})
"""A payload with structure: 30 bits."""


class Fifo(wiring.Component):
    """A queue, with a counter of what has gone through and a pulse for every `batch` beats."""

    def __init__(self, shape=unsigned(8), *, depth=4, batch=4):
        self._batch = batch
        self._depth = depth
        self._width = (
            data.Layout.cast(shape).size
            if isinstance(shape, data.Layout)
            else unsigned(shape).width
            if isinstance(shape, int)
            else shape.width
        )
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "o": Out(stream.Signature(shape)),
                "enable": In(1, init=1),
                "passed": Out(16),
                "batch_done": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(width=self._width, depth=self._depth)
        m.d.comb += [
            queue.w_stream.payload.eq(self.i.payload),
            queue.w_stream.valid.eq(self.i.valid & self.enable),
            self.i.ready.eq(queue.w_stream.ready & self.enable),
            self.o.payload.eq(queue.r_stream.payload),
            self.o.valid.eq(queue.r_stream.valid),
            queue.r_stream.ready.eq(self.o.ready),
        ]
        m.d.sync += self.batch_done.eq(0)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += [
                self.passed.eq(self.passed + 1),
                self.batch_done.eq((self.passed + 1) % self._batch == 0),
            ]
        return m


class Narrow(wiring.Component):
    """A width converter: each beat leaves as `ratio` beats, the least significant part first."""

    def __init__(self, width=32, ratio=4):
        self._ratio = ratio
        super().__init__({"i": In(stream.Signature(width)), "o": Out(stream.Signature(width // ratio))})

    def elaborate(self, platform):
        m = Module()
        part = Signal(range(self._ratio))
        last = part == self._ratio - 1
        m.d.comb += [
            self.o.payload.eq(self.i.payload.word_select(part, len(self.o.payload))),
            self.o.valid.eq(self.i.valid),
            self.i.ready.eq(self.o.ready & last),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += part.eq(Mux(last, 0, part + 1))
        return m


class Broken(wiring.Component):
    """A register stage for streams that has one of these faults, or `None` of them.

    `withdraws` drops valid after a cycle of waiting, `changes` alters a waiting payload, `loses` drops each
    eighth beat, `stops` takes no beat after the eighth.
    """

    def __init__(self, fault=None, width=8):
        self._fault = fault
        super().__init__(
            {"i": In(stream.Signature(width)), "o": Out(stream.Signature(width)), "taken": Out(4)}
        )

    def elaborate(self, platform):
        m = Module()
        free = ~self.o.valid | self.o.ready
        stopped = (self.taken == 8) & (self._fault == "stops")
        m.d.comb += self.i.ready.eq(free & ~stopped)
        with m.If(free):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.i.ready & self.i.valid):
            m.d.sync += [self.o.payload.eq(self.i.payload), self.o.valid.eq(1), self.taken.eq(self.taken + 1)]
            if self._fault == "loses":
                with m.If(self.taken[:3] == 7):
                    m.d.sync += self.o.valid.eq(0)
        with m.If(self.o.valid & ~self.o.ready):
            if self._fault == "withdraws":
                m.d.sync += self.o.valid.eq(0)
            if self._fault == "changes":
                m.d.sync += self.o.payload.eq(self.o.payload + 1)
        return m
