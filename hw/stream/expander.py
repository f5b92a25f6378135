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


class Expander(wiring.Component):
    """Gives each element of a slice its value, or zero, at its place in the word. Latency 3, one slice a cycle.

    1. The slice is registered.
    2. Each element of the word gets the column of its value: `offset` plus the non-zero elements before it.
    3. A butterfly brings the values there, and zeros to the others (see `routing`).

    All registers move together, so bubbles are kept when `words` stalls.

    Ports: `slices` In: `PackedSlice`; `words` Out: `DecodedWord`.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
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

        def registered(value: AnyValue, name: str) -> AnyValue:
            register = Signal.like(value, name=name)
            with m.If(advance):
                m.d.sync += register.eq(value)
            return register

        slice_valid = registered(self.slices.valid, "slice_valid")
        packed = registered(self.slices.payload, "packed")

        nonzero = Signal(WORD_ELEMENTS)
        m.d.comb += nonzero.eq(packed.nonzero << packed.start)
        if self.config.codec_elements == 1:
            sums = [packed.offset] * WORD_ELEMENTS
        else:
            sums = running_sums(m, list(nonzero), packed.offset, len(packed.offset))
        placed_valid = registered(slice_valid, "placed_valid")
        placed = registered(nonzero, "placed")
        addresses = [registered(address, f"address_{place}") for place, address in enumerate(sums)]
        columns = registered(packed.columns, "placed_columns")
        enable = registered(self._enable(packed), "enable")
        word_last, last = registered(packed.word_last, "word_last"), registered(packed.last, "last")

        values = self._values(m, placed, addresses, columns)
        word = self.words.payload
        with m.If(advance):
            m.d.sync += [
                self.words.valid.eq(placed_valid),
                word.enable.eq(enable),
                word.word_last.eq(word_last),
                word.last.eq(last),
            ]
            for place, value in enumerate(values):
                m.d.sync += word.data[place].eq(Mux(placed[place], value, 0))
        return m

    @staticmethod
    def _enable(packed: data.View) -> Value:
        """The elements of the slice, and after the last of the word those that no pixel uses."""
        up_to_end = below(packed.end, WORD_ELEMENTS) | packed.word_last.replicate(WORD_ELEMENTS)
        return ~below(packed.start, WORD_ELEMENTS) & up_to_end

    def _values(self, m: Module, valid: Signal, addresses: list[Signal], columns: data.View) -> list[Value]:
        """For each place of the word the value in the column of its address."""
        levels = min(len(addresses[0]), POSITION_BITS)
        routes = Routes(m, list(valid), addresses, levels)
        arrived = []
        for place, upper in enumerate(routes.upper):
            candidates = [
                columns[column] for column in range(place % len(columns), len(columns), 1 << levels)
            ]
            for level in range(len(upper)):
                pairs = zip(candidates[::2], candidates[1::2], strict=True)
                candidates = [Mux(upper[level], high, low) for low, high in pairs]
            arrived.append(candidates[0])
        return routes.backward(arrived)
