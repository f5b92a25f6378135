"""The compactor: the values of a slice to neighbouring columns of the row store."""

from __future__ import annotations

from amaranth import Cat, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.config import WORD_ELEMENTS, CoreConfig
from hw.stream.bits import running_sums
from hw.stream.layouts import map_units, row_units, unit_array
from hw.stream.routing import Routes
from hw.stream.row_store import ROW_BITS, StoreUpdate


class UnitPlace(data.StructLayout):
    """A place in the row store. As a number it counts units, modulo the size of the store."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__({"column": ceil_log2(row_units(config)), "row": ROW_BITS})


class UnitWrite(data.StructLayout):
    """Units to be written.

    `values`, of which those in `kept` go to neighbouring places from column `first` on; `map`, which goes to column
    `map_first` on if `map_valid`; `base`: all of that lies less than a row behind this place; `commit`, `close`,
    `close_row`, `close_end`: as in `StoreUpdate`.
    """

    def __init__(self, config: CoreConfig) -> None:
        place = UnitPlace(config)
        column = place["column"].shape
        super().__init__(
            {
                "values": unit_array(config, config.codec_elements),
                "kept": config.codec_elements,
                "first": column,
                "map": WORD_ELEMENTS,
                "map_valid": 1,
                "map_first": column,
                "base": place,
                "commit": ROW_BITS,
                "close": 1,
                "close_row": ROW_BITS,
                "close_end": column,
            }
        )


class Compactor(wiring.Component):
    """Brings values and maps to their columns. Latency 2, one write a cycle, never stalls.

    1. Each value gets its column: `first` plus the values kept before it.
    2. A butterfly brings the values there (see `routing`); the map's units go into columns that get no value.

    Ports: `write` In: `UnitWrite`, `write_valid` In; `update` Out: `StoreUpdate`, `update_valid` Out.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "write": In(UnitWrite(config)),
                "write_valid": In(1),
                "update": Out(StoreUpdate(config)),
                "update_valid": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        write = Signal(self.write.shape())
        write_valid = Signal()
        m.d.sync += [write.eq(self.write), write_valid.eq(self.write_valid)]

        placed = Signal.like(write)
        m.d.sync += [placed.eq(write), self.update_valid.eq(write_valid)]
        addresses = []
        for index, column in enumerate(running_sums(m, list(write.kept), write.first, len(write.first))):
            addresses.append(Signal.like(column, name=f"address_{index}"))
            m.d.sync += addresses[-1].eq(column)
        self._place(m, placed, addresses)
        m.d.comb += [
            self.update.commit.eq(placed.commit),
            self.update.close.eq(placed.close),
            self.update.close_row.eq(placed.close_row),
            self.update.close_end.eq(placed.close_end),
        ]
        return m

    def _place(self, m: Module, write: data.View, addresses: list[Signal]) -> None:
        lanes = self.config.codec_elements
        routes = Routes(m, list(write.kept), addresses, ceil_log2(lanes))
        values = routes.forward(list(write.values))
        next_row = Signal(ROW_BITS)
        m.d.comb += next_row.eq(write.base.row + 1)
        for column in range(row_units(self.config)):
            lane = column % lanes
            gets_value = routes.valid[lane] & (routes.upper[lane] == column // lanes)
            gets_map, map_unit = self._map_unit(m, write, column)
            m.d.comb += [
                self.update.data[column].eq(Mux(gets_map, map_unit, values[lane])),
                self.update.enable[column].eq(gets_value | gets_map),
                self.update.rows[column].eq(Mux(write.base.column > column, next_row, write.base.row)),
            ]

    def _map_unit(self, m: Module, write: data.View, column: int) -> tuple[Value, Value]:
        """Whether a unit of the map goes to the column, and which one it would be.

        With two units, one goes to an even and one to an odd column.
        """
        bits, units = self.config.activation_bits, map_units(self.config)
        hits = [write.map_first == (column - unit) % row_units(self.config) for unit in range(units)]
        unit = write.map[:bits]
        if units == 2:
            unit = Mux(write.map_first[0] ^ (column & 1), write.map[bits:], unit)
        return write.map_valid & Cat(hits).any(), unit
