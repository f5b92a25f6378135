"""The expander: packed non-zero values to their places in an activation word."""

from __future__ import annotations

from typing import TypeVar

from amaranth import Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.config import WORD_ELEMENTS, CoreConfig
from hw.stream.bits import below, running_sums
from hw.stream.layouts import DecodedWord, row_units, unit_array
from hw.stream.routing import Routes
from hw.stream.slicer import POSITION_BITS

AnyValue = TypeVar("AnyValue")


class PackedSlice(data.StructLayout):
    """The elements of a slice with their values still packed.

    `nonzero`: which elements have a value; `columns`, `offset`: the values, the first one in column `offset`,
    and column 0 after the last column; `start`, `end`, `word_last`, `last`: as in `Slice`.
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "nonzero": config.codec_elements,
                "columns": unit_array(config, row_units(config)),
                "offset": ceil_log2(row_units(config)),
                "start": POSITION_BITS,
                "end": POSITION_BITS,
                "word_last": 1,
                "last": 1,
            }
        )


class PlacedSlice(data.StructLayout):
    """The elements of a slice in the activation word.

    `nonzero`: the places in the word that get a value, the others zero; `columns`: the values; `enable`,
    `word_last`, `last`: as in `DecodedWord`.
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(
            {
                "nonzero": WORD_ELEMENTS,
                "columns": unit_array(config, row_units(config)),
                "enable": WORD_ELEMENTS,
                "word_last": 1,
                "last": 1,
            }
        )


class Expander(wiring.Component):
    """Gives each element of a slice its value, or zero, at its place in the word. One slice a cycle.

    1. The slice is registered.
    2. Its elements go to their places in the word.
    3. Each place in the word gets the column of its value: `offset` plus the non-zero elements before it.
    4. A butterfly brings the values there, and zeros to the others (see `routing`).

    In a core of one group 2 and 3 are done in the same cycle, with one element a cycle 2 to 4. All registers move
    together, so bubbles are kept when `words` stalls.

    Ports: `slices` In: `PackedSlice`; `words` Out: `DecodedWord`.

    Attributes
    ----------
    latency : int
        Cycles from slice to word, 2 to 4.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        self.latency = 2 if config.codec_elements == 1 else 3 + int(config.large)
        super().__init__(
            {
                "slices": In(stream.Signature(PackedSlice(config))),
                "words": Out(stream.Signature(DecodedWord(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        advance = Signal()
        m.d.comb += [advance.eq(~self.words.valid | self.words.ready), self.slices.ready.eq(advance)]

        def registered(value: AnyValue) -> AnyValue:
            register = Signal.like(value, name="registered")
            with m.If(advance):
                m.d.sync += register.eq(value)
            return register

        valid, packed = registered(self.slices.valid), registered(self.slices.payload)
        placed, offset = self._place(m, packed), packed.offset
        if self.config.codec_elements > 1 and self.config.large:
            valid, placed, offset = registered(valid), registered(placed), registered(offset)
        columns_of = self._columns(m, placed, offset)
        if self.config.codec_elements > 1:
            valid, placed = registered(valid), registered(placed)
            columns_of = [registered(column) for column in columns_of]
        routes = Routes(m, list(placed.nonzero), columns_of, min(len(packed.offset), POSITION_BITS))

        word = self.words.payload
        with m.If(advance):
            m.d.sync += [
                self.words.valid.eq(valid),
                word.enable.eq(placed.enable),
                word.word_last.eq(placed.word_last),
                word.last.eq(placed.last),
            ]
        values = self._values(routes, placed.columns)
        if self.config.codec_elements == 1:
            # There is one value for all places: it is kept once, beside the place that it goes to.
            value, nonzero = registered(values[0]), registered(placed.nonzero)
            for place in range(WORD_ELEMENTS):
                m.d.comb += word.data[place].eq(Mux(nonzero[place], value, 0))
        else:
            with m.If(advance):
                for place, value in enumerate(values):
                    m.d.sync += word.data[place].eq(Mux(placed.nonzero[place], value, 0))
        return m

    def _place(self, m: Module, packed: data.View) -> data.View:
        """The slice in the word."""
        placed = Signal(PlacedSlice(self.config))
        up_to_end = below(packed.end, WORD_ELEMENTS) | packed.word_last.replicate(WORD_ELEMENTS)
        m.d.comb += [
            placed.nonzero.eq(packed.nonzero << packed.start),
            placed.columns.eq(packed.columns),
            # After the last element of a pixel the rest of the word is enabled too.
            placed.enable.eq(~below(packed.start, WORD_ELEMENTS) & up_to_end),
            placed.word_last.eq(packed.word_last),
            placed.last.eq(packed.last),
        ]
        return placed

    def _columns(self, m: Module, placed: data.View, offset: Value) -> list[Value]:
        """For each place of the word the column of its value."""
        if self.config.codec_elements == 1:
            return [offset] * WORD_ELEMENTS
        return running_sums(m, list(placed.nonzero), offset, len(offset))

    @staticmethod
    def _values(routes: Routes, columns: data.View) -> list[Value]:
        """For each place of the word the value in its column."""
        places = len(routes.upper)
        arrived = []
        for place, upper in enumerate(routes.upper):
            candidates = [columns[column] for column in range(place % len(columns), len(columns), places)]
            for level in range(len(upper)):
                pairs = zip(candidates[::2], candidates[1::2], strict=True)
                candidates = [Mux(upper[level], high, low) for low, high in pairs]
            arrived.append(candidates[0])
        return routes.backward(arrived)
