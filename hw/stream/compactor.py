"""The compactor: the values of a slice to neighbouring columns of the row store."""

from __future__ import annotations

from typing import TypeVar

from amaranth import Cat, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.config import WORD_ELEMENTS, CoreConfig
from hw.stream.bits import BLOCK, running_sums
from hw.stream.layouts import map_units, row_units, unit_array
from hw.stream.routing import Routes
from hw.stream.row_store import ROW_BITS, StoreUpdate


class UnitPlace(data.StructLayout):
    """A place in the row store. As a number it counts units, modulo the size of the store."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__({"column": ceil_log2(row_units(config)), "row": ROW_BITS})


class UnitWrite(data.StructLayout):
    """Units to be written.

    `values`, of which those in `kept` go to neighbouring places from column `first` on; `map`, which goes to
    column `map_first` on if `map_valid`; `base`: all of that lies less than a row behind this place; `after`:
    the place after all units so far; `close`: the packet ends there; `commit`: the rows before this one are
    complete, or if `commit_after`, those before `after`.
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
                "after": place,
                "close": 1,
                "commit": ROW_BITS,
                "commit_after": 1,
            }
        )


AnyValue = TypeVar("AnyValue")


def _registered(m: Module, value: AnyValue) -> AnyValue:
    register = Signal.like(value, name="registered")
    m.d.sync += register.eq(value)
    return register


class Compactor(wiring.Component):
    """Brings values and maps to their columns. One write a cycle, never stalls.

    1. Each value gets its column: `first` plus the values kept before it.
    2. A butterfly brings the values there (see `routing`). The map's units go into columns that get no value.

    With up to 4 elements a cycle, both are done in the same cycle.

    Ports: `write` In: `UnitWrite`, `write_valid` In; `update` Out: `StoreUpdate`, `update_valid` Out.

    Attributes
    ----------
    latency : int
        Cycles from write to update, 1 or 2.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        self.latency = 1 if config.codec_elements <= BLOCK else 2
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
        write, write_valid = Signal(self.write.shape()), Signal()
        m.d.sync += [write.eq(self.write), write_valid.eq(self.write_valid)]
        sums = running_sums(m, list(write.kept), write.first, len(write.first))
        if self.latency == 2:
            write, write_valid = _registered(m, write), _registered(m, write_valid)
            sums = [_registered(m, column) for column in sums]
        routes = Routes(m, list(write.kept), sums, ceil_log2(self.config.codec_elements))
        m.d.comb += self.update_valid.eq(write_valid)
        self._place(m, write, routes)
        self._commit(m, write)
        return m

    def _commit(self, m: Module, write: data.View) -> None:
        row, full = write.after.row, write.after.column == 0
        row_after = Mux(write.close & ~full, row + 1, row)  # the next packet starts with a row of its own
        m.d.comb += [
            self.update.commit.eq(Mux(write.commit_after, row_after, write.commit)),
            self.update.close.eq(write.close),
            self.update.close_row.eq(Mux(full, row - 1, row)),
            self.update.close_end.eq(write.after.column),
        ]

    def _place(self, m: Module, write: data.View, routes: Routes) -> None:
        lanes = self.config.codec_elements
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
