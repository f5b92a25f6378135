"""The output window: the output packets of the core, as words that a host reads."""

from __future__ import annotations

from amaranth import Signal
from amaranth.hdl import Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.bus.host_bus import DATA_BITS, BusError
from hw.config import CoreConfig
from hw.control.descriptor import OutputLayout
from hw.machine.target import BusTarget
from hw.stream.layouts import FeatureBeat


class OutputWindow(wiring.Component):
    """Takes beats apart to words. A word read waits until a STORE gives it.

    One beat in every (words of a beat + 1) cycles.

    Ports
    -----
    bus
        In `BusTarget`, read-only. `BusError.STATE`: there is no word, and no run is under way that could give one.
    running
        In: a run is under way.
    begin, rows_last
        In: with the pulse, index of the last packet of the feature map that is stored next.
    beats
        In stream of `FeatureBeat`.
    has_word
        Out: a word can be read now.
    last
        Out: that word is the last of its feature map.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "bus": In(BusTarget()),
                "running": In(1),
                "begin": In(1),
                "rows_last": In(OutputLayout(config)["rows_last"].shape),
                "beats": In(stream.Signature(FeatureBeat(config))),
                "has_word": Out(1),
                "last": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        bus, incoming = self.bus, self.beats.payload.data.as_value()
        units = Signal.like(incoming)
        words = len(units) // DATA_BITS
        word = Signal(range(words))
        m.d.comb += [self.beats.ready.eq(~self.has_word), bus.answer.eq(units)]
        with m.If(bus.write):
            m.d.comb += [bus.done.eq(1), bus.error.eq(BusError.DIRECTION)]
        with m.Elif(self.has_word):
            m.d.comb += bus.done.eq(1)
            with m.If(bus.select):
                m.d.sync += [units.eq(units >> DATA_BITS), word.eq(word + 1)]
                with m.If(word == words - 1):
                    m.d.sync += [word.eq(0), self.has_word.eq(0)]
        with m.Elif(~self.running):
            m.d.comb += [bus.done.eq(1), bus.error.eq(BusError.STATE)]
        with m.If(self.beats.valid & self.beats.ready):
            m.d.sync += [units.eq(incoming), self.has_word.eq(1)]
        self._mark_last(m, word == words - 1)
        return m

    def _mark_last(self, m: Module, beat_ends: Value) -> None:
        """Counted as beats come: the next map may begin before the last words of this one have left."""
        rows_left, ends = Signal.like(self.rows_last), Signal()
        m.d.comb += self.last.eq(ends & beat_ends)
        with m.If(self.beats.valid & self.beats.ready):
            m.d.sync += ends.eq(self.beats.payload.last & (rows_left == 0))
            with m.If(self.beats.payload.last):
                m.d.sync += rows_left.eq(rows_left - 1)
        with m.If(self.begin):
            m.d.sync += rows_left.eq(self.rows_last)
