"""The window fetcher: asks for each word under the windows of a run once."""

from __future__ import annotations

from amaranth import Mux, Signal
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.control.descriptor import InputLayout, WindowLayout
from hw.dataflow.csc.layouts import Run


class WindowFetcher(wiring.Component):
    """Turns runs into requests: column by column from left to right, in a column row by row.

    The first output needs all columns of its window, each later one `unit_step` columns more (runs of several outputs
    have taps side by side). Padding is not asked for. As many words are asked for as the window has room. Cycles: one
    for each word, one for each column in the padding, and one to take a run.

    Ports: static `input`, `window`, `offset` (of the channels' word in a pixel); `runs` In stream of `Run`; `request`
    to the activation memory; `released` (pulse: a word has left the window).
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "input": In(InputLayout(config)),
                "window": In(WindowLayout(config)),
                "offset": In(range(config.max_channel_words)),
                "runs": In(stream.Signature(Run(config))),
                "request": Out(stream.Signature(config.activation_address_bits)),
                "released": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        run, columns = Signal(Run(self.config)), self.window.columns
        active = Signal()
        address, column, row = Signal.like(run.words), Signal.like(run.words), Signal.like(run.rows_last)
        output, columns_left = Signal.like(run.outputs_last), Signal.like(columns.unit_step)
        room = Signal(range(self.config.window_depth + 1), init=self.config.window_depth)
        inside, asked, column_done = Signal(), Signal(), Signal()
        m.d.comb += [
            inside.eq((run.at >= 0) & (run.at < self.input.columns)),
            self.request.valid.eq(active & inside & (room != 0)),
            self.request.payload.eq(address + self.offset),
            asked.eq(self.request.valid & self.request.ready),
            column_done.eq(active & (~inside | (asked & (row == run.rows_last)))),
            self.runs.ready.eq(~active),
        ]
        m.d.sync += room.eq(room - asked + self.released)
        with m.If(self.runs.ready):
            m.d.sync += [
                active.eq(self.runs.valid),
                run.eq(self.runs.payload),
                row.eq(0),
                output.eq(0),
                columns_left.eq(columns.tap_last),
                address.eq(self.runs.payload.words),
                column.eq(self.runs.payload.words),
            ]
        with m.Elif(column_done):
            next_column = column + columns.tap_words
            m.d.sync += [
                row.eq(0),
                run.at.eq(run.at + columns.tap_step),
                column.eq(next_column),
                address.eq(next_column),
                columns_left.eq(Mux(columns_left == 0, columns.unit_step - 1, columns_left - 1)),
            ]
            with m.If(columns_left == 0):
                m.d.sync += output.eq(output + 1)
                with m.If(output == run.outputs_last):
                    m.d.sync += active.eq(0)
        with m.Elif(asked):
            m.d.sync += [row.eq(row + 1), address.eq(address + self.window.rows.tap_words)]
        return m
