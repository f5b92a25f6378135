"""Tiny components to test the kit on: right ones, and ones that break a rule of streams."""

from __future__ import annotations

import enum

from amaranth.hdl import Module, Mux, Shape, Signal
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

PIXEL = data.StructLayout({"value": data.ArrayLayout(8, 3), "offset": 5, "last": 1})
"""A payload with structure: 30 bits."""


class Fifo(wiring.Component):
    """A queue, with a counter of what has gone through and a pulse for every `batch` beats."""

    def __init__(self, shape=8, *, depth=4, batch=4):
        self._batch = batch
        self._depth = depth
        self._width = Shape.cast(shape).width
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


class Resting(wiring.Component):
    """An output of two parts: one that a condition alters, and one that it does not."""

    def __init__(self):
        super().__init__({"step": In(1), "o": Out(4)})

    def elaborate(self, platform):
        m = Module()
        stepped = Signal()
        m.d.sync += stepped.eq(stepped | self.step)
        m.d.comb += [self.o[:2].eq(1), self.o[2:].eq(stepped)]
        with m.If(stepped):
            m.d.comb += self.o[:2].eq(2)
        return m


class Fault(enum.IntEnum):
    """What a `Broken` stage does wrong."""

    NONE = 0
    WITHDRAWS = 1  # drops valid after a cycle of waiting
    CHANGES = 2  # alters a waiting payload
    LOSES = 3  # drops each eighth beat
    STOPS = 4  # takes no beat after the eighth


class Broken(wiring.Component):
    """A register stage for streams with the fault that its input names."""

    def __init__(self, width=8):
        members = {"i": In(stream.Signature(width)), "o": Out(stream.Signature(width))}
        super().__init__({**members, "fault": In(3), "taken": Out(4)})

    def elaborate(self, platform):
        m = Module()
        free = ~self.o.valid | self.o.ready
        stopped = (self.taken == 8) & (self.fault == Fault.STOPS)
        lost = (self.taken[:3] == 7) & (self.fault == Fault.LOSES)
        m.d.comb += self.i.ready.eq(free & ~stopped)
        with m.If(free):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.i.ready & self.i.valid):
            m.d.sync += [
                self.o.payload.eq(self.i.payload),
                self.o.valid.eq(~lost),
                self.taken.eq(self.taken + 1),
            ]
        with m.If(self.o.valid & ~self.o.ready):
            with m.If(self.fault == Fault.WITHDRAWS):
                m.d.sync += self.o.valid.eq(0)
            with m.If(self.fault == Fault.CHANGES):
                m.d.sync += self.o.payload.eq(self.o.payload + 1)
        return m
