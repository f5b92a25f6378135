"""The place finder: where in the row store the units of each slice go."""

from __future__ import annotations

from amaranth import Cat, Mux, Signal
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import WORD_ELEMENTS, CoreConfig
from hw.stream.bits import count_ones, rotate_left
from hw.stream.compactor import UnitPlace, UnitWrite
from hw.stream.layouts import map_units, row_units
from hw.stream.row_store import ROW_BITS, STORE_ROWS
from hw.stream.word_slicer import PlainSlice


class PlaceFinder(wiring.Component):
    """Counts units, and collects the map of each group. Latency 0.

    One slice a cycle, as long as the store has room; after a group that has more units than a row, its map alone takes
    another cycle.

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
        piece = self.slices.payload
        layout = UnitPlace(self.config)
        place, first, after, following = (
            Signal(layout, name=name) for name in ("place", "first", "after", "following")
        )
        step, map_owed = Signal(), Signal()
        kept = Signal.like(piece.mask)
        nonzero = Cat(element.any() for element in piece.elements)
        count = Signal(range(len(kept) + 1))
        m.d.comb += [
            # A slice, with the map before it, ends at most two rows further on.
            self.slices.ready.eq(~map_owed & ((place.row - self.oldest)[:ROW_BITS] < STORE_ROWS - 2)),
            step.eq(self.slices.valid & self.slices.ready),
            self.write_valid.eq(step | map_owed),
            kept.eq(piece.mask & (nonzero | (~piece.sparse).replicate(len(kept)))),
            count.eq(count_ones(list(kept))),
            first.as_value().eq(place.as_value() + Mux(piece.group_first, map_units(self.config), 0)),
            after.as_value().eq(first.as_value() + count),
            following.eq(after),
        ]
        with m.If(piece.last):  # the next packet starts with a row of its own
            m.d.comb += [following.column.eq(0), following.row.eq(after.row + (after.column != 0))]
        with m.If(step):
            m.d.sync += place.eq(following)
        self._write_values(m, kept, step, first, after)
        self._write_map(m, kept, count, step, map_owed, place, first, following)
        return m

    def _write_values(
        self, m: Module, kept: Signal, step: Signal, first: UnitPlace, after: UnitPlace
    ) -> None:
        piece, write = self.slices.payload, self.write
        m.d.comb += [
            write.values.eq(piece.elements),
            write.kept.eq(Mux(step, kept, 0)),
            write.first.eq(first.column),
            write.close.eq(step & piece.last),
            write.close_row.eq(after.row - (after.column == 0)),
            write.close_end.eq(after.column),
        ]

    def _write_map(
        self,
        m: Module,
        kept: Signal,
        count: Signal,
        step: Signal,
        map_owed: Signal,
        place: UnitPlace,
        first: UnitPlace,
        following: UnitPlace,
    ) -> None:
        """Collect the map; write it with the group's last slice, or after it if both need the same columns."""
        piece, write = self.slices.payload, self.write
        group_map, earlier_map = Signal(WORD_ELEMENTS), Signal(WORD_ELEMENTS)
        values, earlier_values = Signal(range(WORD_ELEMENTS + 1)), Signal(range(WORD_ELEMENTS + 1))
        origin, earlier_origin = Signal.like(place), Signal.like(place)
        crowded = values > row_units(self.config) - map_units(self.config)
        slice_map = Signal(WORD_ELEMENTS)
        m.d.comb += slice_map.eq(kept)
        m.d.comb += [
            origin.eq(earlier_origin),
            group_map.eq(earlier_map | rotate_left(slice_map, piece.turn)),
            values.eq(earlier_values + count),
        ]
        with m.If(piece.group_first):
            m.d.comb += [
                origin.eq(place),
                group_map.eq(rotate_left(slice_map, piece.turn)),
                values.eq(count),
            ]
        with m.If(step):
            m.d.sync += [
                earlier_origin.eq(origin),
                earlier_map.eq(group_map),
                earlier_values.eq(values),
                map_owed.eq(piece.group_last & crowded),
            ]
        with m.Elif(map_owed):
            m.d.sync += map_owed.eq(0)

        complete = piece.group_last & ~crowded
        open_group = piece.sparse & ~complete
        m.d.comb += [
            write.map.eq(Mux(map_owed, earlier_map, group_map)),
            write.map_valid.eq(map_owed | complete),
            write.map_first.eq(Mux(map_owed, earlier_origin.column, origin.column)),
            write.base.eq(Mux(map_owed, earlier_origin, Mux(complete, origin, first))),
            write.commit.eq(Mux(map_owed, place.row, Mux(open_group, origin.row, following.row))),
        ]
