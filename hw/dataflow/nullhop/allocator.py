"""The pixel allocator: hands output pixels to whichever controller is free."""

from __future__ import annotations

from amaranth import Array, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.control.descriptor import InputLayout, OutputLayout, WindowLayout
from hw.control.units import unit_window
from hw.dataflow.nullhop.layouts import WorkUnit
from hw.memory.arbiter import RotatingArbiter


class PixelAllocator(wiring.Component):
    """Walks the output map in raster order and gives each unit to a free controller, in turn.

    A unit is one output pixel, or one pooling window of them. Work is balanced by itself, whatever the zeros: a
    controller that meets many takes the next unit sooner. A row starts once the rows that it needs are loaded and its
    place in the output ring is free. At most one unit a cycle; one idle cycle a row.

    A unit is offered only in a cycle in which its controller is ready: the one stream whose `valid` depends on `ready`.

    Ports: static `input`, `window`, `output`, `split`; `start` (pulse), `busy`; `rows_loaded`, `rows_stored`;
    `can_issue`, `sequence`, `issue` to the retirement; `units`: one stream a controller. Of the controllers only each
    channel_groups-th one is used, that is, the first of every set of groups that share their pixels.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        rows = range(config.max_size + 2)
        super().__init__(
            {
                "input": In(InputLayout(config)),
                "window": In(WindowLayout(config)),
                "output": In(OutputLayout(config)),
                "split": In(range(len(config.splits))),
                "start": In(1),
                "busy": Out(1),
                "rows_loaded": In(rows),
                "rows_stored": In(rows),
                "can_issue": In(1),
                "sequence": In(range(unit_window(config))),
                "issue": Out(1),
                "units": Out(stream.Signature(WorkUnit(config))).array(config.groups),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        unit = Signal(WorkUnit(self.config))
        row, column = Signal.like(self.output.rows_last), Signal.like(self.output.columns_last)
        row_ready, available = Signal(), Signal()
        free = Signal(self.config.groups)
        # In turn: a free controller may still have units before it, the one served longest ago has the fewest.
        m.submodules.arbiter = arbiter = RotatingArbiter(self.config.groups)
        # Kept here, since what is static comes from far.
        heads = Signal(self.config.groups)
        m.d.sync += heads.eq(Array(self.config.set_heads(count) for count, _ in self.config.splits)[self.split])
        for index, port in enumerate(self.units):
            m.d.comb += [
                free[index].eq(port.ready),
                port.payload.eq(unit),
                port.valid.eq(available & arbiter.grant[index]),
            ]
        m.d.comb += [
            available.eq(self.busy & row_ready & self.can_issue),
            arbiter.requests.eq(free & heads),
            arbiter.accept.eq(available),
            self.issue.eq(available & arbiter.grant.any()),
        ]
        row_done = self.issue & (column == self.output.columns_last)
        self._watch_rows(m, unit, row, row_ready, row_done)
        with m.If(self.issue):
            m.d.sync += column.eq(Mux(row_done, 0, column + 1))
        with m.If(row_done):
            m.d.sync += row.eq(row + 1)
            with m.If(row == self.output.rows_last):
                m.d.sync += self.busy.eq(0)
        with m.If(self.start):
            m.d.sync += [self.busy.eq(1), row.eq(0), column.eq(0)]
        self._place_unit(m, unit, row_done)
        return m

    def _watch_rows(self, m: Module, unit: Value, row: Value, row_ready: Value, row_done: Value) -> None:
        """`row_ready` is registered: a row is looked at from the cycle after it becomes the current one."""
        all_loaded = self.rows_loaded > self.input.rows_last
        needed_loaded = self.rows_loaded > unit.row.at + self.window.reach
        space = row <= self.rows_stored + self.output.ring_rows_last
        m.d.sync += row_ready.eq((all_loaded | needed_loaded) & space & ~row_done & ~self.start)

    def _place_unit(self, m: Module, unit: Value, row_done: Value) -> None:
        """Where the unit's window starts in the input and where its result goes."""
        rows, columns = self.window.rows, self.window.columns
        at_row, at_column = Signal.like(unit.row), Signal.like(unit.column)
        address = Signal.like(self.output.base)
        row_address = Signal.like(self.output.base)
        ring_row = Signal.like(self.output.ring_rows_last)
        wrap = ring_row == self.output.ring_rows_last
        next_row_address = Mux(wrap, self.output.base, row_address + self.output.row_words)
        next_words = at_row.words + rows.unit_words
        with m.If(self.start | row_done):
            m.d.sync += [at_column.at.eq(columns.start), at_column.words.eq(columns.start_words)]
        with m.Elif(self.issue):
            m.d.sync += [
                at_column.at.eq(at_column.at + columns.unit_step),
                at_column.words.eq(at_column.words + columns.unit_words),
                address.eq(address + self.output.pixel_words),
            ]
        with m.If(self.start):
            m.d.sync += [
                at_row.at.eq(rows.start),
                at_row.words.eq(rows.start_words),
                ring_row.eq(0),
                row_address.eq(self.output.base),
                address.eq(self.output.base),
            ]
        with m.Elif(row_done):
            m.d.sync += [
                at_row.at.eq(at_row.at + rows.unit_step),
                at_row.words.eq(
                    Mux(next_words >= self.input.ring_words, next_words - self.input.ring_words, next_words)
                ),
                ring_row.eq(Mux(wrap, 0, ring_row + 1)),
                row_address.eq(next_row_address),
                address.eq(next_row_address),
            ]
        m.d.comb += [
            unit.row.eq(at_row),
            unit.column.eq(at_column),
            unit.tag.sequence.eq(self.sequence),
            unit.tag.address.eq(address),
        ]
