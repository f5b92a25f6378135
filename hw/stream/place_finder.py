"""The place finder: where in the row store the units of each slice go."""

from __future__ import annotations

from amaranth import Cat, Const, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import WORD_ELEMENTS, CoreConfig
from hw.stream.bits import add, count_ones, rotate_left
from hw.stream.compactor import UnitPlace, UnitWrite
from hw.stream.layouts import map_units, row_units
from hw.stream.row_store import ROW_BITS, STORE_ROWS
from hw.stream.word_slicer import PlainSlice


class PlaceFinder(wiring.Component):
    """Counts units, and collects the map of each group. Latency 0.

    One slice a cycle, as long as the store has room; after a group that has more units than a row, its map
    alone takes another cycle.

    Ports: `slices` In: `PlainSlice`; `oldest` In: the oldest row in the store; `write` Out: `UnitWrite`,
    `write_valid` Out.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "slices": In(stream.Signature(PlainSlice(config))),
                "oldest": In(ROW_BITS),
                "write": Out(UnitWrite(config)),
                "write_valid": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        piece, write = self.slices.payload, self.write
        layout = UnitPlace(self.config)
        # `after` is where the last packet or slice ended; a new packet starts with a row of its own.
        ended, packet_ended = Signal(layout), Signal()
        place, first, after = (Signal(layout, name=name) for name in ("place", "first", "after"))
        step, map_owed = Signal(), Signal()
        count = count_ones(m, list(piece.kept))
        m.d.comb += [
            place.eq(ended),
            # A slice, with the map before it, ends at most two rows further on.
            self.slices.ready.eq(~map_owed & ((place.row - self.oldest)[:ROW_BITS] < STORE_ROWS - 2)),
            step.eq(self.slices.valid & self.slices.ready),
            first.as_value().eq(place.as_value() + Mux(piece.group_first, map_units(self.config), 0)),
            after.as_value().eq(add(m, first.as_value(), count)),
            self.write_valid.eq(step | map_owed),
            write.values.eq(piece.elements),
            write.kept.eq(Mux(step, piece.kept, 0)),
            write.first.eq(first.column),
            write.after.eq(after),
            write.close.eq(step & piece.last),
        ]
        with m.If(packet_ended & (ended.column != 0)):
            m.d.comb += [place.column.eq(0), place.row.eq(ended.row + 1)]
        with m.If(step):
            m.d.sync += [ended.eq(after), packet_ended.eq(piece.last)]
        self._collect_map(m, count, step, map_owed, place, first)
        return m

    def _collect_map(
        self, m: Module, count: Value, step: Signal, map_owed: Signal, place: data.View, first: data.View
    ) -> None:
        """Collect the map; write it with the group's last slice, or after it if both need a column."""
        piece, write = self.slices.payload, self.write
        earlier_map, earlier_values = Signal(WORD_ELEMENTS), Signal(range(WORD_ELEMENTS + 1))
        earlier_origin, origin = Signal.like(place), Signal.like(place)
        group_map, values = Signal.like(earlier_map), Signal.like(earlier_values)
        slice_map = Cat(piece.kept, Const(0, WORD_ELEMENTS - len(piece.kept)))
        m.d.comb += [
            origin.eq(Mux(piece.group_first, place, earlier_origin)),
            group_map.eq(Mux(piece.group_first, 0, earlier_map) | rotate_left(slice_map, piece.turn)),
            values.eq(add(m, Mux(piece.group_first, 0, earlier_values), count)),
        ]
        crowded = values > row_units(self.config) - map_units(self.config)
        complete = piece.group_last & ~crowded
        with m.If(step):
            m.d.sync += [
                earlier_origin.eq(origin),
                earlier_map.eq(group_map),
                earlier_values.eq(values),
                map_owed.eq(piece.group_last & crowded),
            ]
        m.d.comb += [
            write.map.eq(group_map),
            write.map_valid.eq(complete),
            write.map_first.eq(origin.column),
            write.base.eq(Mux(complete, origin, first)),
            write.commit.eq(origin.row),
            write.commit_after.eq(~piece.sparse | complete),
        ]
        with m.If(map_owed):
            m.d.sync += map_owed.eq(0)
            m.d.comb += [
                write.map.eq(earlier_map),
                write.map_valid.eq(1),
                write.map_first.eq(earlier_origin.column),
                write.base.eq(earlier_origin),
                write.commit.eq(place.row),
                write.commit_after.eq(0),
            ]
