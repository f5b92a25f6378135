"""A nested counter along one axis: kernel taps inside a pooling window inside a unit."""

from __future__ import annotations

from amaranth import Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.control.descriptor import AxisLayout, coordinate
from hw.dataflow.nullhop.layouts import axis_words


class AxisCounter(wiring.Component):
    """Where the window stands along one axis, as a coordinate and as an offset in words.

    Both move together: by `tap_step`/`tap_words` from tap to tap, by `pool_step`/`pool_words` from one output of the
    pooling window to the next. Past the last tap the axis returns to the first, past the last output to the unit's
    first. Word offsets are modulo `ring` (0: modulo their own range, and offsets may be negative).

    Where each move would lead is worked out a cycle ahead, so `load`, `next_tap` and `next_pool` may come in every
    second cycle only, and `last_pool` tells from the second cycle after a move on.

    Ports: `axis` (the descriptor's), `ring`, `load` with `at` and `words` (a new unit), `next_tap`, `next_pool`
    (which wins over `next_tap`); `here_at`, `here_words`, `first_tap`, `last_tap`, `first_pool`, `last_pool`.
    """

    def __init__(self, config: CoreConfig) -> None:
        at, words = coordinate(config), axis_words(config)
        super().__init__(
            {
                "axis": In(AxisLayout(config)),
                "ring": In(words),
                "load": In(1),
                "at": In(at),
                "words": In(words),
                "next_tap": In(1),
                "next_pool": In(1),
                "here_at": Out(at),
                "here_words": Out(words),
                "first_tap": Out(1),
                "last_tap": Out(1),
                "first_pool": Out(1),
                "last_pool": Out(1),
            }
        )

    def _forward(self, words: Value, step: Value) -> Value:
        total = words + step
        return Mux((self.ring != 0) & (total >= self.ring), total - self.ring, total)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        tap, pool = Signal.like(self.axis.tap_last), Signal.like(self.axis.pool_last)
        unit_at, pool_at = Signal.like(self.at), Signal.like(self.at)
        unit_words, pool_words = Signal.like(self.words), Signal.like(self.words)
        # One move ahead.
        at_last_tap = Signal()
        later_at, later_words = Signal.like(self.at), Signal.like(self.words)
        later_pool_at, later_pool_words = Signal.like(self.at), Signal.like(self.words)
        m.d.sync += [
            at_last_tap.eq(self.last_tap),
            self.last_pool.eq(pool == self.axis.pool_last),
            later_at.eq(self.here_at + self.axis.tap_step),
            later_words.eq(self._forward(self.here_words, self.axis.tap_words)),
            later_pool_at.eq(pool_at + self.axis.pool_step),
            later_pool_words.eq(self._forward(pool_words, self.axis.pool_words)),
        ]
        m.d.comb += [
            self.first_tap.eq(tap == 0),
            self.last_tap.eq(tap == self.axis.tap_last),
            self.first_pool.eq(pool == 0),
        ]
        new_at, new_words = Signal.like(self.at), Signal.like(self.words)
        with m.If(self.last_pool):
            m.d.comb += [new_at.eq(unit_at), new_words.eq(unit_words)]
        with m.Else():
            m.d.comb += [new_at.eq(later_pool_at), new_words.eq(later_pool_words)]
        with m.If(self.load):
            m.d.sync += [tap.eq(0), pool.eq(0)]
            m.d.sync += [register.eq(self.at) for register in (unit_at, pool_at, self.here_at)]
            m.d.sync += [register.eq(self.words) for register in (unit_words, pool_words, self.here_words)]
        with m.Elif(self.next_pool):
            m.d.sync += [
                tap.eq(0),
                pool.eq(Mux(self.last_pool, 0, pool + 1)),
                pool_at.eq(new_at),
                pool_words.eq(new_words),
                self.here_at.eq(new_at),
                self.here_words.eq(new_words),
            ]
        with m.Elif(self.next_tap & at_last_tap):
            m.d.sync += [tap.eq(0), self.here_at.eq(pool_at), self.here_words.eq(pool_words)]
        with m.Elif(self.next_tap):
            m.d.sync += [tap.eq(tap + 1), self.here_at.eq(later_at), self.here_words.eq(later_words)]
        return m
