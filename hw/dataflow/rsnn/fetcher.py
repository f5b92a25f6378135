"""The pixel fetcher: asks for the words under each segment of outputs."""

from __future__ import annotations

from amaranth import Signal
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.control.descriptor import LayerDescriptor
from hw.dataflow.nullhop.layouts import axis_words
from hw.dataflow.rsnn.layouts import PixelContext
from hw.dataflow.rsnn.loop_nest import Loop, LoopNest
from hw.memory.word_reader import WordRequest
from hw.stream.register import StreamRegister


class PixelFetcher(wiring.Component):
    """Walks over the layer in the order in which vectors come to lie in the scratchpads.

    For each segment: for each word of a pixel: for each kernel row: for each plane: for each block: the pixels of a
    vector, row by row (several rows only where rows are folded into lanes). One request a cycle, and one for a pixel in
    the padding too: it is not read, and asks for the input's first word instead, which nobody writes any more. A row of
    segments is begun once the input rows that it needs are loaded, and in any case the first one.

    Ports: static `layer`; `rows_loaded`; `start` (pulse), `busy`; `requests` Out stream of `WordRequest` with
    `PixelContext`.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "layer": In(LayerDescriptor(config)),
                "rows_loaded": In(range(config.max_size + 2)),
                "start": In(1),
                "busy": Out(1),
                "requests": Out(stream.Signature(WordRequest(config, PixelContext()))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        layer, sparse = self.layer, self.layer.sparse
        rows, columns = layer.window.rows, layer.window.columns
        row, column = Signal.like(rows.start), Signal.like(columns.start)
        row_words, column_words = (Signal(axis_words(self.config), name=f"{axis}_words") for axis in ("row", "column"))
        word = Signal.like(layer.input.pixel_words)
        advance, row_ready = Signal(), Signal()
        loops = [
            Loop(sparse.columns_last, {"column": columns.unit_step, "column_words": columns.unit_words}),
            Loop(sparse.folds_last, {"row": rows.unit_step, "row_words": rows.unit_words}),
            Loop(sparse.blocks_last, {"column": sparse.block_columns, "column_words": sparse.block_words}),
            Loop(sparse.planes_last, {"column": columns.tap_step, "column_words": columns.tap_words}),
            Loop(rows.tap_last, {"row": rows.tap_step, "row_words": rows.tap_words}),
            Loop(layer.input.pixel_words - 1, {"word": 1}),
            Loop(
                sparse.segments_last,
                {"column": sparse.segment_columns, "column_words": sparse.segment_column_words},
            ),
            Loop(sparse.segment_rows_last, {"row": sparse.segment_rows, "row_words": sparse.segment_row_words}),
        ]
        sums = {
            "row": (row, rows.start),
            "column": (column, columns.start),
            "row_words": (row_words, rows.start_words),
            "column_words": (column_words, columns.start_words),
            "word": (word, 0),
        }
        nest = LoopNest(m, loops, sums, advance=advance, start=self.start)
        row_done = advance & nest.ends[-2]
        needed = (self.rows_loaded > row + layer.window.reach) & self.rows_loaded.any()
        # Once for a row of segments, at its first tap: `row` then goes on with the taps.
        m.d.sync += row_ready.eq(
            (row_ready | needed | (self.rows_loaded > layer.input.rows_last)) & ~row_done & ~self.start
        )
        with m.If(self.start):
            m.d.sync += self.busy.eq(1)
        with m.Elif(advance & nest.ends[-1]):
            m.d.sync += self.busy.eq(0)
        # A cycle for the address.
        m.submodules.request = request = StreamRegister(self.requests.payload.shape())
        place = request.i.payload
        inside = (row >= 0) & (row <= layer.input.rows_last) & (column >= 0) & (column < layer.input.columns)
        m.d.comb += [
            place.read.eq(inside),
            place.keep.eq(1),
            place.address.eq(row_words + column_words + word),
            place.meta.last.eq(nest.ends[1]),
            place.meta.final.eq(word == layer.input.pixel_words - 1),
            request.i.valid.eq(self.busy & row_ready),
            advance.eq(request.i.valid & request.i.ready),
            self.requests.valid.eq(request.o.valid),
            self.requests.payload.eq(request.o.payload),
            request.o.ready.eq(self.requests.ready),
        ]
        with m.If(~request.o.payload.read):
            m.d.comb += self.requests.payload.address.eq(layer.input.base)
        return m
