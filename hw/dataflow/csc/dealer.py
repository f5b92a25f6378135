"""The run dealer: cuts the rows of the output map into runs and hands them to free sets of groups."""

from __future__ import annotations

from amaranth import Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.control.descriptor import LayerDescriptor
from hw.control.units import unit_window
from hw.dataflow.csc.layouts import Run
from hw.memory.arbiter import RotatingArbiter


class RunDealer(wiring.Component):
    """Walks the output map in raster order; gives each run to all groups of a free set, in turn.

    Which rows of taps lie inside the map is worked out once a row of outputs: kernel height + 1 cycles. Then at most
    one run a cycle. A run is offered only in a cycle in which all groups that get it are ready. A layer whose input and
    output lie whole in memory: there are no rows to wait for. Every output has a tap inside the map.

    Ports: static `layer`, `blocks_last` (of this pass: the groups of a set with a later block get nothing); `start`
    (pulse), `busy`; `can_issue`, `sequence`, `issue` to the retirement; `runs`: one stream a group.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "layer": In(LayerDescriptor(config)),
                "blocks_last": In(range(config.groups)),
                "start": In(1),
                "busy": Out(1),
                "can_issue": In(1),
                "sequence": In(range(unit_window(config))),
                "issue": Out(range(config.longest_run + 1)),
                "runs": Out(stream.Signature(Run(config))).array(config.groups),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        layer, rows = self.layer, self.layer.window.rows
        run = Signal(Run(self.config))
        row = Signal.like(layer.output.rows_last)
        granted = self._offer(m, run)
        dealing, dealt, row_done = Signal(), Signal(), Signal()
        m.d.comb += dealt.eq(dealing & granted.any())
        column_words = self._place_columns(m, run, dealt, row_done)
        tap, at = Signal.like(rows.tap_last), Signal.like(rows.start)
        tap_words, inside_words = Signal.like(run.words), Signal.like(run.words)
        tap_weights = Signal.like(run.weights)
        row_at, row_words = Signal.like(rows.start), Signal.like(run.words)
        count = Signal.like(rows.tap_last)
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [row.eq(0), row_at.eq(rows.start), row_words.eq(rows.start_words)]
                with m.If(self.start):
                    m.next = "ROW"
            with m.State("ROW"):
                m.d.comb += self.busy.eq(1)
                m.d.sync += [tap.eq(0), count.eq(0), at.eq(row_at), tap_words.eq(row_words)]
                m.d.sync += [tap_weights.eq(0), run.vectors.eq(0)]
                m.next = "TAPS"
            with m.State("TAPS"):
                m.d.comb += self.busy.eq(1)
                m.d.sync += [tap.eq(tap + 1), at.eq(at + rows.tap_step), tap_words.eq(tap_words + rows.tap_words)]
                m.d.sync += tap_weights.eq(tap_weights + layer.window.channels)
                with m.If((at >= 0) & (at <= layer.input.rows_last)):
                    m.d.sync += [count.eq(count + 1), run.rows_last.eq(count)]
                    m.d.sync += run.vectors.eq(run.vectors + layer.edges.vectors_last + 1)
                    with m.If(count == 0):
                        m.d.sync += [inside_words.eq(tap_words), run.weights.eq(tap_weights)]
                with m.If(tap == rows.tap_last):
                    m.next = "DEAL"
            with m.State("DEAL"):
                m.d.comb += [self.busy.eq(1), dealing.eq(self.can_issue)]
                with m.If(row_done):
                    m.d.sync += [
                        row.eq(row + 1),
                        row_at.eq(row_at + rows.unit_step),
                        row_words.eq(row_words + rows.unit_words),
                    ]
                    m.next = "ROW"
                    with m.If(row == layer.output.rows_last):
                        m.next = "IDLE"
        m.d.comb += run.words.eq(inside_words + column_words)
        for port, grant in zip(self.runs, granted, strict=True):
            m.d.comb += [port.payload.eq(run), port.valid.eq(dealing & grant)]
        return m

    def _offer(self, m: Module, run: Value) -> Value:
        """One bit for each group that gets the run, if it is dealt now: all groups in use of a set that is ready."""
        groups = self.config.groups
        m.submodules.arbiter = arbiter = RotatingArbiter(groups)
        ready, used, granted = (Signal(groups, name=name) for name in ("ready", "used", "granted"))
        m.d.comb += [bit.eq(port.ready) for bit, port in zip(ready, self.runs, strict=True)]
        m.d.comb += arbiter.accept.eq(self.issue != 0)
        with m.Switch(self.layer.split):
            for split, (channel_groups, _) in enumerate(self.config.splits):
                with m.Case(split):
                    for group in range(groups):
                        head = group - group % channel_groups
                        m.d.comb += [
                            used[group].eq(group % channel_groups <= self.blocks_last),
                            granted[group].eq(arbiter.grant[head] & used[group]),
                        ]
                    for head in range(0, groups, channel_groups):
                        of_set = slice(head, head + channel_groups)
                        m.d.comb += arbiter.requests[head].eq((ready[of_set] | ~used[of_set]).all())
        return granted

    def _place_columns(self, m: Module, run: Value, dealt: Value, row_done: Value) -> Value:
        """Where in the row the run begins, how long it is, and where its results go; returns its words in a row."""
        layer, columns, output = self.layer, self.layer.window.columns, self.layer.output
        words = Signal.like(run.words, name="column_words")
        left = Signal.like(output.columns_last)
        address, row_address = Signal.like(output.base), Signal.like(output.base)
        longest = layer.run.outputs_last
        outputs = Mux(left < longest, left, longest)
        m.d.comb += [
            run.outputs_last.eq(outputs),
            run.tag.sequence.eq(self.sequence),
            run.tag.address.eq(address),
            run.tag.pool_first.eq(1),
            run.tag.pool_last.eq(1),
            row_done.eq(dealt & (left <= longest)),
            self.issue.eq(Mux(dealt, outputs + 1, 0)),
        ]
        with m.If(self.start | row_done):
            m.d.sync += [run.at.eq(columns.start), words.eq(columns.start_words), left.eq(output.columns_last)]
        with m.Elif(dealt):
            m.d.sync += [
                run.at.eq(run.at + layer.run.columns),
                words.eq(words + layer.run.words),
                left.eq(left - longest - 1),
                address.eq(address + layer.run.result_words),
            ]
        next_row = row_address + output.row_words
        with m.If(self.start):
            m.d.sync += [address.eq(output.base), row_address.eq(output.base)]
        with m.Elif(row_done):
            m.d.sync += [address.eq(next_row), row_address.eq(next_row)]
        return words
