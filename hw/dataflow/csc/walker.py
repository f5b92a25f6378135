"""The column walker: which columns of taps each output of a run has, and where their words are in the window."""

from __future__ import annotations

from amaranth import Mux, Signal
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.control.descriptor import InputLayout, WindowLayout
from hw.dataflow.csc.layouts import Column, Run


class ColumnWalker(wiring.Component):
    """Turns runs into the columns of taps of each output; those in the padding are left out.

    A word is released by the last output that needs it: a run's last output releases all its columns, any other those
    to the left of the next output's window. Cycles: one for each column, in the padding or not, and one to take a run.

    Ports: static `input`, `window`, `pixel_words` (of the output), `weights_base`; `runs` In stream of `Run`, `columns`
    Out stream of `Column`.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "input": In(InputLayout(config)),
                "window": In(WindowLayout(config)),
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
        word, first_word, weights = Signal.like(column.word), Signal.like(column.word), Signal.like(column.weights)
        later_at = Signal.like(at)
        inside, later_inside, first, release = Signal(), Signal(), Signal(), Signal()
        last_output, last_tap, advance = Signal(), Signal(), Signal()
        m.d.comb += [
            later_at.eq(at + axis.tap_step),
            inside.eq((at >= 0) & (at < self.input.columns)),
            later_inside.eq((later_at >= 0) & (later_at < self.input.columns)),
            last_output.eq(run.outputs_last == 0),
            last_tap.eq(tap == axis.tap_last),
            release.eq(last_output | (tap < axis.unit_step)),
            self.columns.valid.eq(active & inside),
            advance.eq(active & (~inside | self.columns.ready)),
            column.word.eq(word),
            column.weights.eq(weights),
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
            rows = run.rows_last + 1
            with m.If(inside):
                m.d.sync += [first.eq(0), word.eq(word + rows)]
                with m.If(release):
                    m.d.sync += first_word.eq(first_word + rows)
            with m.If(last_tap):
                # What this column releases is behind the next output's first word, too.
                m.d.sync += [
                    tap.eq(0),
                    first.eq(1),
                    word.eq(first_word + Mux(inside & release, rows, 0)),
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
