"""The position walker: from the window of an output pixel to the words that it needs."""

from __future__ import annotations

from amaranth import Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.control.descriptor import Operation, VectorLayout
from hw.memory.word_reader import WordRequest
from hw.vector.layouts import WindowUnit, WordTag


class PositionWalker(wiring.Component):
    """Turns windows into requests: word after word of the pixel, and for each all positions of the window.

    The positions come row by row. An addition has two for each word, the same pixel of both operands. One request a
    cycle, also from one window to the next; latency 1.

    Ports: static `operation`, `vector`; `units` In stream of `WindowUnit`, `requests` Out stream of `WordRequest` with
    `WordTag`.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "operation": In(Operation),
                "vector": In(VectorLayout(config)),
                "units": In(stream.Signature(WindowUnit(config))),
                "requests": Out(stream.Signature(WordRequest(config, WordTag(config)))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        unit = Signal(WindowUnit(self.config))
        active, fetched, first, second = Signal(), Signal(), Signal(), Signal()
        row, column = Signal.like(unit.rows_last), Signal.like(unit.columns_last)
        word = Signal.like(self.vector.words_last)
        pair_done, column_done, row_done, last, pixel_end = Signal(), Signal(), Signal(), Signal(), Signal()
        # Of the current position and of the first one of its row; `unit.address` is that of the first one of all.
        here, row_start = Signal.like(unit.address), Signal.like(unit.address)
        request, adds = self.requests.payload, Signal()
        m.d.sync += adds.eq(self.operation == Operation.ADD)
        m.d.comb += [
            pair_done.eq(~adds | second),
            column_done.eq(column == unit.columns_last),
            row_done.eq(row == unit.rows_last),
            last.eq(pair_done & column_done & row_done),
            pixel_end.eq(word == self.vector.words_last),
            self.requests.valid.eq(active),
            request.address.eq(Mux(second, unit.other, here)),
            request.read.eq(1),
            request.keep.eq(1),
            request.meta.first.eq(first),
            request.meta.last.eq(last),
            request.meta.pixel_end.eq(pixel_end),
            request.meta.row_end.eq(unit.row_end),
            request.meta.sequence.eq(unit.sequence),
            fetched.eq(active & self.requests.ready),
            self.units.ready.eq(~active | (fetched & last & pixel_end)),
        ]
        next_row, next_word = row_start + self.vector.operands[0].row_words, unit.address + 1
        with m.If(fetched):
            m.d.sync += [first.eq(last), second.eq(~pair_done)]
            with m.If(pair_done & ~column_done):
                m.d.sync += [column.eq(column + 1), here.eq(here + self.vector.operands[0].pixel_words)]
            with m.Elif(pair_done & ~row_done):
                m.d.sync += [column.eq(0), row.eq(row + 1), here.eq(next_row), row_start.eq(next_row)]
            with m.Elif(pair_done):
                self._restart(m, column, row)
                m.d.sync += [word.eq(word + 1), unit.other.eq(unit.other + 1)]
                m.d.sync += [register.eq(next_word) for register in (here, row_start, unit.address)]
        with m.If(self.units.ready):
            self._restart(m, column, row)
            m.d.sync += active.eq(self.units.valid)
            m.d.sync += [unit.eq(self.units.payload), word.eq(0), first.eq(1), second.eq(0)]
            m.d.sync += [register.eq(self.units.payload.address) for register in (here, row_start)]
        return m

    @staticmethod
    def _restart(m: Module, *counters: Value) -> None:
        m.d.sync += [counter.eq(0) for counter in counters]
