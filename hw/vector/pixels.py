"""The pixel walker: the windows of all output pixels, in raster order."""

from __future__ import annotations

from amaranth import Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import CoreConfig
from hw.control.descriptor import OutputLayout, VectorLayout
from hw.control.units import unit_window
from hw.stream.register import StreamRegister
from hw.vector.layouts import WindowUnit
from hw.vector.slide import SlideCounter, WordMultiples


class PixelWalker(wiring.Component):
    """Walks the output map and gives out the window of each pixel, up to one a cycle.

    The first window comes `latency` cycles after `start`: before it, the word offsets of the axes are made. The second
    operand of an addition has no window but moves on by one pixel with each output.

    Ports: static `output`, `vector`; `start` (pulse), `busy` (from the cycle after `start` until the last unit has been
    issued); `can_issue`, `sequence`, `issue` as in `PixelAllocator`; `units` Out stream of `WindowUnit`.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        self._multiples = [WordMultiples(config) for _ in range(2)]
        # The products, the first window of the axes, and the register behind them.
        self.latency = self._multiples[0].cycles + 3
        super().__init__(
            {
                "output": In(OutputLayout(config)),
                "vector": In(VectorLayout(config)),
                "start": In(1),
                "busy": Out(1),
                "can_issue": In(1),
                "sequence": In(range(unit_window(config))),
                "issue": Out(1),
                "units": Out(stream.Signature(WindowUnit(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        preparing, active = Signal(), Signal()
        first, advance, row_end, map_end = Signal(), Signal(), Signal(), Signal()
        row, column = Signal.like(self.output.rows_last), Signal.like(self.output.columns_last)
        window = data.StructLayout({"unit": WindowUnit(self.config), "map_end": 1})
        m.submodules.prepared = prepared = StreamRegister(window)
        rows, columns = self._slides(m, first, advance, row_end)
        m.d.comb += [
            # Both axes are ready at the same time.
            first.eq(preparing & self._multiples[0].ready),
            row_end.eq(column == self.output.columns_last),
            map_end.eq(row_end & (row == self.output.rows_last)),
            prepared.i.valid.eq(active),
            prepared.i.payload.map_end.eq(map_end),
            advance.eq(active & prepared.i.ready),
        ]
        with m.If(advance):
            m.d.sync += [column.eq(Mux(row_end, 0, column + 1)), row.eq(row + row_end), active.eq(~map_end)]
        with m.If(first):
            m.d.sync += [preparing.eq(0), active.eq(1)]
        with m.If(self.start):
            m.d.sync += [preparing.eq(1), row.eq(0), column.eq(0)]
        self._place(m, prepared.i.payload.unit, rows, columns, first, advance, row_end)
        self._issue(m, prepared)
        return m

    def _slides(self, m: Module, first: Value, advance: Value, row_end: Value) -> list[SlideCounter]:
        """The counters of rows and columns."""
        operand = self.vector.operands[0]
        axes = (("rows", operand.row_words, row_end, 0), ("columns", operand.pixel_words, ~row_end, row_end))
        slides = []
        for multiples, (name, words, moves, returns) in zip(self._multiples, axes, strict=True):
            m.submodules[f"{name}_words"] = multiples
            m.submodules[name] = slide = SlideCounter(self.config)
            m.d.comb += [
                multiples.slide.eq(self.vector[name]),
                multiples.words.eq(words),
                multiples.begin.eq(self.start),
                slide.slide.eq(self.vector[name]),
                slide.start_words.eq(multiples.start_words),
                slide.step_words.eq(multiples.step_words),
                slide.rewind.eq(first | (advance & returns)),
                slide.advance.eq(advance & moves),
            ]
            slides.append(slide)
        return slides

    def _place(
        self,
        m: Module,
        unit: Value,
        rows: SlideCounter,
        columns: SlideCounter,
        first: Value,
        advance: Value,
        row_end: Value,
    ) -> None:
        """Fill in the window at which the axes stand, but for its number."""
        operand, second = self.vector.operands
        other_row, other = Signal.like(unit.other), Signal.like(unit.other)
        next_row = Signal.like(other_row)
        m.d.comb += [
            next_row.eq(Mux(first, second.base, other_row + second.row_words)),
            unit.address.eq(operand.base + rows.offset + columns.offset),
            unit.other.eq(other),
            unit.rows_last.eq(rows.inside_last),
            unit.columns_last.eq(columns.inside_last),
            unit.row_end.eq(row_end),
        ]
        with m.If(first | (advance & row_end)):
            m.d.sync += [other_row.eq(next_row), other.eq(next_row)]
        with m.Elif(advance):
            m.d.sync += other.eq(other + second.pixel_words)

    def _issue(self, m: Module, prepared: StreamRegister) -> None:
        """A window becomes a unit when it gets its number."""
        unit = self.units.payload
        m.d.comb += [
            unit.eq(prepared.o.payload.unit),
            unit.sequence.eq(self.sequence),
            self.units.valid.eq(prepared.o.valid & self.can_issue),
            prepared.o.ready.eq(self.units.ready & self.can_issue),
            self.issue.eq(self.units.valid & self.units.ready),
        ]
        with m.If(self.start):
            m.d.sync += self.busy.eq(1)
        with m.Elif(self.issue & prepared.o.payload.map_end):
            m.d.sync += self.busy.eq(0)
