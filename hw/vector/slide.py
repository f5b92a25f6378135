"""One axis of a sliding window: where it stands, and what of it lies inside the map."""

from __future__ import annotations

from amaranth import Mux, Signal
from amaranth.hdl import Module, Shape, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.control.descriptor import SlideLayout, coordinate


class WordMultiples(wiring.Component):
    """A word stride times the start and the step of an axis, modulo the range of an address.

    One bit of both factors a cycle, from the top. With `begin`, `ready` falls; it rises `cycles` + 1 cycles after
    `begin`, with the products.

    Ports: static `slide`, `words`; `begin` (pulse); `start_words`, `step_words`, `ready`.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        self.cycles = Shape.cast(coordinate(config)).width
        address = config.activation_address_bits
        super().__init__(
            {
                "slide": In(SlideLayout(config)),
                "words": In(address),
                "begin": In(1),
                "start_words": Out(address),
                "step_words": Out(address),
                "ready": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        place = Signal(range(self.cycles))
        running = Signal()
        m.d.comb += self.ready.eq(~running)
        with m.If(self.begin):
            m.d.sync += [running.eq(1), place.eq(self.cycles - 1), self.start_words.eq(0), self.step_words.eq(0)]
        with m.Elif(running):
            m.d.sync += [place.eq(place - 1), running.eq(place != 0)]
            start_term, step_term = self._term(m, self.slide.start, place), self._term(m, self.slide.step, place)
            m.d.sync += self.step_words.eq((self.step_words << 1) + step_term)
            m.d.sync += self.start_words.eq((self.start_words << 1) + start_term)
            with m.If(place == self.cycles - 1):
                # The start's sign.
                m.d.sync += self.start_words.eq(-start_term)
        return m

    def _term(self, m: Module, factor: Value, place: Value) -> Value:
        """The stride, if the factor has a one at this place."""
        extended = Signal(self.cycles)
        m.d.comb += extended.eq(factor)
        return self.words & extended.bit_select(place, 1).replicate(len(self.words))


class SlideCounter(wiring.Component):
    """Moves a window along one axis, as coordinates and as an offset in words; both only add and compare.

    Ports: static `slide` and `words` (from one coordinate to the next); `start_words`, `step_words` of
    `WordMultiples`; `rewind` (to the first window), `advance` (to the next; `rewind` wins); `offset`: words from
    coordinate 0 to the first position inside the map; `inside_last`: index of the last position inside, counted from
    that one. A window needs at least one position inside.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        address = config.activation_address_bits
        super().__init__(
            {
                "slide": In(SlideLayout(config)),
                "start_words": In(address),
                "step_words": In(address),
                "rewind": In(1),
                "advance": In(1),
                "offset": Out(address),
                "inside_last": Out(range(config.max_size + 1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shape = coordinate(self.config)
        first, last = Signal(shape), Signal(shape)
        # Of coordinate `first`, modulo the range: no case for negative ones.
        words = Signal.like(self.offset)
        with m.If(self.rewind):
            m.d.sync += [
                first.eq(self.slide.start),
                last.eq(self.slide.start + self.slide.taps_last),
                words.eq(self.start_words),
            ]
        with m.Elif(self.advance):
            m.d.sync += [
                first.eq(first + self.slide.step),
                last.eq(last + self.slide.step),
                words.eq(words + self.step_words),
            ]
        before = first[-1]
        inside: Value = Mux(last > self.slide.input_last, self.slide.input_last, last)
        m.d.comb += [
            self.offset.eq(Mux(before, 0, words)),
            self.inside_last.eq(inside - Mux(before, 0, first)),
        ]
        return m
