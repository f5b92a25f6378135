"""The feature loader: rows from the stream into the input ring of the activation memory."""

from __future__ import annotations

from amaranth import Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.control.descriptor import InputLayout, WindowLayout
from hw.memory.activation import ActivationWrite
from hw.stream.layouts import DecodedWord, Segment


class FeatureLoader(wiring.Component):
    """Asks the decoder for one packet after another and writes the words that come back.

    A row is asked for once its place in the ring is free, that is, once no unit under way or to come needs the row
    that is there. One word a cycle.

    Ports: static `input`, `window`; `start` (pulse), or `present` (pulse: nothing is to be loaded, all rows are in
    memory); `busy` (rows of the map are still to come; without meaning before the first of these); `rows_finished`
    (output rows finished in this pass); `segments` Out and `words` In, to and from the decoder; `writes` Out to the
    activation memory; `rows_loaded`.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        rows = range(config.max_size + 2)
        super().__init__(
            {
                "input": In(InputLayout(config)),
                "window": In(WindowLayout(config)),
                "start": In(1),
                "present": In(1),
                "busy": Out(1),
                "rows_finished": In(rows),
                "rows_loaded": Out(rows),
                "segments": Out(stream.Signature(Segment(config))),
                "words": In(stream.Signature(DecodedWord(config))),
                "writes": Out(stream.Signature(ActivationWrite(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.busy.eq(self.rows_loaded <= self.input.rows_last)
        self._ask(m, self._first_needed(m))
        self._write(m)
        return m

    def _first_needed(self, m: Module) -> Value:
        """Coordinate of the first row that the oldest unfinished output row needs; negative in the padding."""
        first = Signal.like(self.window.rows.start)
        counted = Signal.like(self.rows_finished)
        with m.If(self.start):
            m.d.sync += [first.eq(self.window.rows.start), counted.eq(0)]
        with m.Elif(counted != self.rows_finished):
            m.d.sync += [first.eq(first + self.window.rows.unit_step), counted.eq(counted + 1)]
        return first

    def _ask(self, m: Module, first_needed: Value) -> None:
        row, block = Signal.like(self.rows_loaded), Signal.like(self.input.blocks_last)
        free, asked = Signal(), Signal()
        final = block == self.input.blocks_last
        segment = self.segments.payload
        # Before the first row leaves the padding, rows 0..ring_rows_last are free to load. A place that is free stays
        # so until its row is asked for; that the next one is too is known a cycle later.
        fits = (row <= self.input.ring_rows_last) | (row <= first_needed + self.input.ring_rows_last)
        m.d.sync += free.eq(fits & ~(asked & final) & ~self.start)
        m.d.comb += [
            asked.eq(self.segments.valid & self.segments.ready),
            segment.pixels.eq(self.input.columns),
            segment.channels.eq(Mux(final, self.input.final_block_channels, self.input.block_channels)),
            segment.sparse.eq(self.input.sparse),
        ]
        asking = Signal()
        m.d.comb += self.segments.valid.eq(asking & free)
        with m.If(asked):
            m.d.sync += block.eq(Mux(final, 0, block + 1))
            with m.If(final):
                m.d.sync += [row.eq(row + 1), asking.eq(row != self.input.rows_last)]
        with m.If(self.start):
            m.d.sync += [row.eq(0), block.eq(0), asking.eq(1)]

    def _write(self, m: Module) -> None:
        layout = self.input
        word, block_word = Signal.like(layout.pixel_words), Signal.like(layout.pixel_words)
        row_address = Signal(self.config.activation_address_bits)
        pixel_address = Signal.like(row_address)
        block, ring_row = Signal.like(layout.blocks_last), Signal.like(layout.ring_rows_last)
        decoded, write = self.words.payload, self.writes.payload
        wrap = ring_row == layout.ring_rows_last
        next_row_address = Mux(wrap, layout.base, row_address + layout.row_words)
        m.d.comb += [
            write.address.eq(pixel_address + block_word + word),
            write.data.eq(decoded.data),
            write.enable.eq(decoded.enable),
            self.writes.valid.eq(self.words.valid),
            self.words.ready.eq(self.writes.ready),
        ]
        pixel_done = (word + 1 == layout.block_words) | (block_word + word + 1 == layout.pixel_words)
        with m.If(self.words.valid & self.words.ready & decoded.word_last):
            m.d.sync += word.eq(word + 1)
            with m.If(pixel_done):
                m.d.sync += [word.eq(0), pixel_address.eq(pixel_address + layout.pixel_words)]
            with m.If(decoded.last):
                m.d.sync += [
                    block.eq(block + 1),
                    block_word.eq(block_word + layout.block_words),
                    pixel_address.eq(row_address),
                ]
                with m.If(block == layout.blocks_last):
                    m.d.sync += [
                        block.eq(0),
                        block_word.eq(0),
                        ring_row.eq(Mux(wrap, 0, ring_row + 1)),
                        row_address.eq(next_row_address),
                        pixel_address.eq(next_row_address),
                        self.rows_loaded.eq(self.rows_loaded + 1),
                    ]
        with m.If(self.start):
            m.d.sync += [
                ring_row.eq(0),
                row_address.eq(layout.base),
                pixel_address.eq(layout.base),
                self.rows_loaded.eq(0),
            ]
        with m.Elif(self.present):
            m.d.sync += self.rows_loaded.eq(layout.rows_last + 1)
