"""Retirement: units finish in any order, rows are handed on in order."""

from __future__ import annotations

from amaranth import Signal
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.control.units import unit_window


class Retirement(wiring.Component):
    """Keeps count of the units under way and tells how many rows are finished.

    Units are numbered in the order of issue, modulo `unit_window`; up to `longest_run` of them are issued at once. A
    unit that completes is marked; the oldest is retired once marked, at most one a cycle. A row is finished when all
    its units are retired.

    Ports: `start` (pulse: a pass begins; everything is idle then), `columns_last`, `issue` (so many units are issued:
    one only while `can_issue`, more only while `can_issue_run`), `sequence` (the number for the first of them),
    `complete` (stream of numbers, always ready), `rows` (rows finished in this pass), `idle` (no unit is under way).
    """

    def __init__(self, config: CoreConfig) -> None:
        self.window = unit_window(config)
        self.run = config.longest_run
        super().__init__(
            {
                "start": In(1),
                "columns_last": In(range(config.max_size + 1)),
                "issue": In(range(self.run + 1)),
                "can_issue": Out(1),
                "can_issue_run": Out(1),
                "sequence": Out(range(self.window)),
                "complete": In(stream.Signature(range(self.window), always_ready=True)),
                "rows": Out(range(config.max_size + 2)),
                "idle": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        finished = Signal(self.window)
        oldest = Signal(range(self.window))
        under_way = Signal(range(self.window + 1))
        column = Signal.like(self.columns_last)
        retire = Signal()
        m.d.comb += [
            self.can_issue.eq(under_way != self.window),
            self.can_issue_run.eq(under_way <= self.window - self.run),
            self.idle.eq(under_way == 0),
            retire.eq(finished.bit_select(oldest, 1)),
        ]
        with m.If(self.complete.valid):
            m.d.sync += finished.bit_select(self.complete.payload, 1).eq(1)
        m.d.sync += self.sequence.eq(self.sequence + self.issue)
        m.d.sync += under_way.eq(under_way + self.issue - retire)
        with m.If(retire):
            m.d.sync += [finished.bit_select(oldest, 1).eq(0), oldest.eq(oldest + 1), column.eq(column + 1)]
            with m.If(column == self.columns_last):
                m.d.sync += [column.eq(0), self.rows.eq(self.rows + 1)]
        with m.If(self.start):
            m.d.sync += self.rows.eq(0)
        return m
