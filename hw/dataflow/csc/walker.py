"""The column walker: which columns of taps each output of a run has, and where their vectors are in the window."""

from __future__ import annotations

from amaranth import Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.control.descriptor import EdgesLayout, InputLayout, WindowLayout
from hw.dataflow.csc.layouts import Column, Run


class ColumnWalker(wiring.Component):
    """Turns runs into the columns of taps of each output; those in the padding are left out.

    A vector is released by the last output that needs it: a run's last output releases all its columns, any other those
    to the left of the next output's window. Cycles: one for each column, in the padding or not, and one to take a run.

    With packed rows a row of the map is one pixel, its columns lie in the channels, and an output has one column of
    taps: its edges begin at channel `at`, and those outside the row, on either side, are left out.

    Ports: static `input`, `window`, `edges`, `pixel_words` (of the output), `weights_base`; `runs` In stream of `Run`,
    `columns` Out stream of `Column`.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "input": In(InputLayout(config)),
                "window": In(WindowLayout(config)),
                "edges": In(EdgesLayout(config)),
                "pixel_words": In(range(config.max_channel_words + 1)),
                "weights_base": In(config.weight_address_bits),
                "runs": In(stream.Signature(Run(config))),
                "columns": Out(stream.Signature(Column(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        run, axis = Signal(Run(self.config)), self.window.columns
        column = self.columns.payload
        active = Signal()
        at, tap = Signal.like(run.at), Signal.like(axis.tap_last)
        vector, first_vector = Signal.like(column.vector), Signal.like(column.vector)
        weights, later_at = Signal.like(column.weights), Signal.like(at)
        inside, later_inside, first, release = Signal(), Signal(), Signal(), Signal()
        last_output, last_tap, advance = Signal(), Signal(), Signal()
        skipped = self._cut_edges(m, at, column)
        m.d.comb += [
            later_at.eq(at + axis.tap_step),
            inside.eq(self.edges.packed | ((at >= 0) & (at < self.input.columns))),
            later_inside.eq((later_at >= 0) & (later_at < self.input.columns)),
            last_output.eq(run.outputs_last == 0),
            last_tap.eq(tap == axis.tap_last),
            release.eq(last_output | (tap < axis.unit_step)),
            self.columns.valid.eq(active & inside),
            advance.eq(active & (~inside | self.columns.ready)),
            column.vector.eq(vector),
            column.weights.eq(weights + skipped),
            column.rows_last.eq(run.rows_last),
            column.first.eq(first),
            column.last.eq(last_tap | ~later_inside),
            column.release.eq(release),
            column.tag.eq(run.tag),
            self.runs.ready.eq(~active),
        ]
        with m.If(self.runs.ready):
            new = self.runs.payload
            m.d.sync += [
                active.eq(self.runs.valid),
                run.eq(new),
                at.eq(new.at),
                tap.eq(0),
                first.eq(1),
                weights.eq(self.weights_base + new.weights),
            ]
        with m.Elif(advance):
            m.d.sync += [tap.eq(tap + 1), at.eq(later_at), weights.eq(weights + self.window.row_weights)]
            with m.If(inside):
                m.d.sync += [first.eq(0), vector.eq(vector + run.vectors)]
                with m.If(release):
                    m.d.sync += first_vector.eq(first_vector + run.vectors)
            with m.If(last_tap):
                # What this column releases is behind the next output's first vector, too.
                m.d.sync += [
                    tap.eq(0),
                    first.eq(1),
                    vector.eq(first_vector + Mux(inside & release, run.vectors, 0)),
                    weights.eq(self.weights_base + run.weights),
                    at.eq(run.at + axis.unit_step),
                    run.at.eq(run.at + axis.unit_step),
                    run.outputs_last.eq(run.outputs_last - 1),
                    run.tag.sequence.eq(run.tag.sequence + 1),
                    run.tag.address.eq(run.tag.address + self.pixel_words),
                ]
                with m.If(last_output):
                    m.d.sync += active.eq(0)
        return m

    def _cut_edges(self, m: Module, at: Value, column: Value) -> Value:
        """With packed rows, the edges that lie in the row; returns how many are left out before them."""
        edges = self.edges
        skipped = Signal.like(column.start)
        with m.If(edges.packed):
            end = Signal.like(at)
            m.d.comb += [
                skipped.eq(Mux(at < 0, -at, 0)),
                column.start.eq(Mux(at < 0, 0, at)),
                end.eq(at + edges.last),
                column.edges_last.eq(Mux(end < edges.nodes, edges.last, edges.nodes - 1 - at) - skipped),
            ]
        with m.Else():
            m.d.comb += column.edges_last.eq(edges.last)
        return skipped
