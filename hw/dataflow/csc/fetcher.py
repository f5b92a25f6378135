"""The window fetcher: asks for each vector under the windows of a run once."""

from __future__ import annotations

from amaranth import Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import exact_log2

from hw.config import CoreConfig
from hw.control.descriptor import EdgesLayout, InputLayout, WindowLayout
from hw.dataflow.csc.layouts import Run


def next_vector(vector: Value, edges: Value) -> Value:
    """The vector of a pixel that is fetched after `vector`."""
    return Mux(vector == edges.vector_wrap, 0, vector + 1)


class WindowFetcher(wiring.Component):
    """Turns runs into requests: column by column from left to right, in a column row by row, then vector by vector.

    The first output needs all columns of its window, each later one `unit_step` columns more (runs of several outputs
    have taps side by side; with packed rows each output is a run). Padding is not asked for. As many vectors are asked
    for as the window has room, a word for each. Cycles: one for each vector, one for each column in the padding, and
    one to take a run.

    Ports: static `input`, `window`, `edges`, `vector` (the first of a pixel); `runs` In stream of `Run`; `request` to
    the activation memory; `released` (so many vectors have left the window).
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "input": In(InputLayout(config)),
                "window": In(WindowLayout(config)),
                "edges": In(EdgesLayout(config)),
                "vector": In(range(config.max_vectors)),
                "runs": In(stream.Signature(Run(config))),
                "request": Out(stream.Signature(config.activation_address_bits)),
                "released": In(range(config.window_depth + 1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        run, columns = Signal(Run(self.config)), self.window.columns
        active = Signal()
        address, column, row = Signal.like(run.words), Signal.like(run.words), Signal.like(run.rows_last)
        vector, count = Signal.like(self.vector), Signal.like(self.edges.vectors_last)
        output, columns_left = Signal.like(run.outputs_last), Signal.like(columns.unit_step)
        room = Signal(range(self.config.window_depth + 1), init=self.config.window_depth)
        inside, asked, pixel_done, column_done = Signal(), Signal(), Signal(), Signal()
        parts = exact_log2(self.config.word_elements // self.config.lanes)
        m.d.comb += [
            inside.eq(self.edges.packed | ((run.at >= 0) & (run.at < self.input.columns))),
            self.request.valid.eq(active & inside & (room != 0)),
            self.request.payload.eq(address + (vector >> parts)),
            asked.eq(self.request.valid & self.request.ready),
            pixel_done.eq(asked & (count == self.edges.vectors_last)),
            column_done.eq(active & (~inside | (pixel_done & (row == run.rows_last)))),
            self.runs.ready.eq(~active),
        ]
        m.d.sync += room.eq(room - asked + self.released)
        with m.If(asked):
            m.d.sync += [count.eq(count + 1), vector.eq(next_vector(vector, self.edges))]
        with m.If(pixel_done):
            m.d.sync += [count.eq(0), vector.eq(self.vector)]
        with m.If(self.runs.ready):
            m.d.sync += [
                active.eq(self.runs.valid),
                run.eq(self.runs.payload),
                row.eq(0),
                vector.eq(self.vector),
                output.eq(0),
                columns_left.eq(columns.tap_last),
                address.eq(self.runs.payload.words),
                column.eq(self.runs.payload.words),
            ]
        with m.Elif(column_done):
            following = column + columns.tap_words
            m.d.sync += [
                row.eq(0),
                run.at.eq(run.at + columns.tap_step),
                column.eq(following),
                address.eq(following),
                columns_left.eq(Mux(columns_left == 0, columns.unit_step - 1, columns_left - 1)),
            ]
            with m.If(columns_left == 0):
                m.d.sync += output.eq(output + 1)
                with m.If(output == run.outputs_last):
                    m.d.sync += active.eq(0)
        with m.Elif(pixel_done):
            m.d.sync += [row.eq(row + 1), address.eq(address + self.window.rows.tap_words)]
        return m
