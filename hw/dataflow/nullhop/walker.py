"""The window walker: from a unit of work to the activation words that its window covers."""

from __future__ import annotations

from amaranth import Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.control.descriptor import InputLayout, WindowLayout
from hw.dataflow.nullhop.axis import AxisCounter
from hw.dataflow.nullhop.layouts import WordContext, WorkUnit
from hw.memory.word_reader import WordRequest


class WindowWalker(wiring.Component):
    """Turns units into steps.

    For each output of the pooling window, for each kernel row and column: each word of the pixel there. Padding costs
    no step: a tap outside the map is passed over, and so is a whole row of taps outside it. Only where the last tap of
    an output is padding does a step without a read close the result. Cycles: one for each step, one to look at each
    tap, one for each tap or row of taps that is passed over, and one to take a unit.

    Ports: `units` In stream of `WorkUnit`, `steps` Out stream of `WordRequest` with `WordContext`; static: `input`,
    `window`, `weights_base`.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "input": In(InputLayout(config)),
                "window": In(WindowLayout(config)),
                "weights_base": In(config.weight_address_bits),
                "units": In(stream.Signature(WorkUnit(config))),
                "steps": Out(stream.Signature(WordRequest(config, WordContext(config)))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.rows = rows = AxisCounter(self.config)
        m.submodules.columns = columns = AxisCounter(self.config)
        active, advance, read = Signal(), Signal(), Signal()
        word, base = Signal.like(self.input.pixel_words), Signal.like(rows.here_words)
        at_last_word, tap_done, pixel_done, unit_done = Signal(), Signal(), Signal(), Signal()
        step, context = self.steps.payload, self.steps.payload.meta
        sequence, address = Signal.like(context.tag.sequence), Signal.like(context.tag.address)

        looked, last_tap, row_done, skip_row = Signal(), Signal(), Signal(), Signal()
        columns_last = Signal.like(self.input.columns)
        row_inside = self._inside(rows.here_at, self.input.rows_last)
        column_inside = self._inside(columns.here_at, columns_last)
        no_row = ~row_inside & columns.first_tap
        # A cycle to look where the tap lies: the comparisons and what follows from them would be one long path.
        m.d.sync += [
            columns_last.eq(self.input.columns - 1),
            base.eq(rows.here_words + columns.here_words),
            skip_row.eq(no_row),
            read.eq(row_inside & column_inside),
            row_done.eq(columns.last_tap | no_row),
            last_tap.eq(rows.last_tap & (columns.last_tap | no_row)),
            looked.eq(active & ~(advance & tap_done)),
        ]
        m.d.comb += [
            tap_done.eq(~read | at_last_word),
            pixel_done.eq(tap_done & last_tap),
            unit_done.eq(pixel_done & rows.last_pool & columns.last_pool),
            self.steps.valid.eq(looked & (read | pixel_done)),
            advance.eq(looked & (~(read | pixel_done) | self.steps.ready)),
            self.units.ready.eq(~active),
            # A step without a read asks for a word that nobody writes then: the unit's own result.
            step.address.eq(Mux(read, base + word, address)),
            step.read.eq(read),
            step.keep.eq(pixel_done),
            context.last.eq(pixel_done),
            context.tag.pool_first.eq(rows.first_pool & columns.first_pool),
            context.tag.pool_last.eq(rows.last_pool & columns.last_pool),
        ]
        self._connect_axes(m, rows, columns, advance, tap_done, pixel_done, skip_row, row_done)
        self._count_weights(m, advance, tap_done, pixel_done, skip_row)
        self._count_words(m, advance, tap_done, word, at_last_word)
        m.d.comb += [context.tag.sequence.eq(sequence), context.tag.address.eq(address)]
        with m.If(advance & unit_done):
            m.d.sync += active.eq(0)
        with m.If(self.units.ready):
            tag = self.units.payload.tag
            m.d.sync += [active.eq(self.units.valid), sequence.eq(tag.sequence), address.eq(tag.address)]
        return m

    @staticmethod
    def _inside(at: Value, last: Value) -> Value:
        return (at >= 0) & (at <= last)

    def _connect_axes(
        self,
        m: Module,
        rows: AxisCounter,
        columns: AxisCounter,
        advance: Value,
        tap_done: Value,
        pixel_done: Value,
        skip_row: Value,
        row_done: Value,
    ) -> None:
        unit = self.units.payload
        load = self.units.ready & self.units.valid
        m.d.comb += [
            rows.axis.eq(self.window.rows),
            rows.ring.eq(self.input.ring_words),
            rows.load.eq(load),
            rows.at.eq(unit.row.at),
            rows.words.eq(unit.row.words),
            rows.next_tap.eq(advance & tap_done & row_done),
            rows.next_pool.eq(advance & pixel_done & columns.last_pool),
            columns.axis.eq(self.window.columns),
            columns.ring.eq(0),
            columns.load.eq(load),
            columns.at.eq(unit.column.at),
            columns.words.eq(unit.column.words),
            columns.next_tap.eq(advance & tap_done & ~skip_row),
            columns.next_pool.eq(advance & pixel_done),
        ]

    def _count_words(self, m: Module, advance: Value, tap_done: Value, word: Value, at_last_word: Value) -> None:
        """`at_last_word` goes with `word`; all that it is compared with is static."""
        single, last_but_one = Signal(), Signal.like(word)
        m.d.sync += [single.eq(self.input.pixel_words == 1), last_but_one.eq(self.input.pixel_words - 2)]
        with m.If(~advance):
            m.d.sync += at_last_word.eq(Mux(word == 0, single, at_last_word))
        with m.Elif(tap_done):
            m.d.sync += [word.eq(0), at_last_word.eq(single)]
        with m.Else():
            m.d.sync += [word.eq(word + 1), at_last_word.eq(word == last_but_one)]

    def _count_weights(self, m: Module, advance: Value, tap_done: Value, pixel_done: Value, skip_row: Value) -> None:
        """`weights` goes with the word, `tap_weights` with the tap; both start over for each output."""
        weights = Signal.like(self.weights_base)
        tap_weights, next_tap = Signal.like(weights), Signal.like(weights)
        m.d.comb += self.steps.payload.meta.weights.eq(weights)
        m.d.comb += next_tap.eq(tap_weights + Mux(skip_row, self.window.row_weights, self.window.channels))
        with m.If((self.units.ready & self.units.valid) | (advance & pixel_done)):
            m.d.sync += [tap_weights.eq(self.weights_base), weights.eq(self.weights_base)]
        with m.Elif(advance & tap_done):
            m.d.sync += [tap_weights.eq(next_tap), weights.eq(next_tap)]
        with m.Elif(advance):
            m.d.sync += weights.eq(weights + self.config.word_elements)
