"""The row store: units come in at any place, whole rows go out in order."""

from __future__ import annotations

from amaranth import Const, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from hw.config import CoreConfig
from hw.stream.bits import below
from hw.stream.layouts import FeatureBeat, row_units, unit_array

STORE_ROWS = 16
"""Rows of the store, one for each entry of a lookup-table RAM. A group takes at most 10 (18 units, 2 a
row)."""

ROW_BITS = ceil_log2(STORE_ROWS)


class StoreUpdate(data.StructLayout):
    """What is done to the store in a cycle.

    `enable`, `rows`, `data`: for each column whether a unit is written, in which row, and the unit; `commit`:
    the rows before this one are complete; `close`: the packet ends in row `close_row`, with the units before
    column `close_end` (0: with the whole row).
    """

    def __init__(self, config: CoreConfig) -> None:
        units = row_units(config)
        super().__init__(
            {
                "enable": units,
                "rows": data.ArrayLayout(ROW_BITS, units),
                "data": unit_array(config, units),
                "commit": ROW_BITS,
                "close": 1,
                "close_row": ROW_BITS,
                "close_end": ceil_log2(units),
            }
        )


class StoredRow(data.StructLayout):
    """A row: `data`, zeros after the packet's end; `last`, the packet ends in it; `end`, as `close_end`."""

    def __init__(self, config: CoreConfig) -> None:
        units = row_units(config)
        super().__init__({"data": unit_array(config, units), "last": 1, "end": ceil_log2(units)})


class RowStore(wiring.Component):
    """A ring of rows, one memory a column. A row leaves `LATENCY` cycles after its update, one row a cycle.

    Ports
    -----
    update : In(StoreUpdate), update_valid : In(1)
        Rows from the oldest one to the last one written must be fewer than `STORE_ROWS`.
    oldest : Out
        The oldest row that is still in the ring.
    rows : Out(stream), StoredRow
    """

    LATENCY = 2

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "update": In(StoreUpdate(config)),
                "update_valid": In(1),
                "oldest": Out(ROW_BITS),
                "rows": Out(stream.Signature(StoredRow(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        committed = Signal(ROW_BITS)
        read = Signal()
        m.d.comb += read.eq((self.oldest != committed) & (~self.rows.valid | self.rows.ready))
        with m.If(self.update_valid):
            m.d.sync += committed.eq(self.update.commit)
        with m.If(self.rows.ready):
            m.d.sync += self.rows.valid.eq(0)
        with m.If(read):
            m.d.sync += [self.oldest.eq(self.oldest + 1), self.rows.valid.eq(1)]
        self._store_units(m, read)
        self._store_ends(m, read)
        return m

    def _store_units(self, m: Module, read: Value) -> None:
        row, update = self.rows.payload, self.update
        units = len(row.data)
        # Column 0 is never empty. Otherwise the columns before the end are kept; an end of 0 stands for all.
        kept = below(row.end, units) | (~row.last | (row.end == 0)).replicate(units)
        for column in range(units):
            data_read, write = self._memory(m, f"column_{column}", self.config.activation_bits, read)
            m.d.comb += [
                row.data[column].eq(Mux(kept[column], data_read, 0)),
                write.en.eq(self.update_valid & update.enable[column]),
                write.addr.eq(update.rows[column]),
                write.data.eq(update.data[column]),
            ]

    def _store_ends(self, m: Module, read: Value) -> None:
        row, update = self.rows.payload, self.update
        closes = Signal()
        m.d.comb += closes.eq(self.update_valid & update.close)
        end, write = self._memory(m, "ends", len(row.end), read)
        m.d.comb += [
            row.end.eq(end),
            write.en.eq(closes),
            write.addr.eq(update.close_row),
            write.data.eq(update.close_end),
        ]
        last_rows = Signal(STORE_ROWS)
        closed = Mux(closes, Const(1) << update.close_row, 0)
        taken = Mux(read, Const(1) << self.oldest, 0)
        m.d.sync += last_rows.eq((last_rows | closed) & ~taken)
        with m.If(read):
            m.d.sync += row.last.eq(last_rows.bit_select(self.oldest, 1))

    def _memory(self, m: Module, name: str, width: int, read: Value) -> tuple[Value, memory.WritePort]:
        """A memory of one entry a row: what is read of the oldest row, and the port to write."""
        m.submodules[name] = rows = memory.Memory(shape=width, depth=STORE_ROWS, init=[])
        write, reading = rows.write_port(), rows.read_port()
        m.d.comb += [reading.addr.eq(self.oldest), reading.en.eq(read)]
        return reading.data, write


class RowSplitter(wiring.Component):
    """Rows to beats.

    A row that has several beats gives them one a cycle; of a last row, only those with units. Latency 0.

    Ports: `rows` In: `StoredRow`; `beats` Out: `FeatureBeat`.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "rows": In(stream.Signature(StoredRow(config))),
                "beats": Out(stream.Signature(FeatureBeat(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        row, beat = self.rows.payload, self.beats.payload
        units = self.config.stream_units
        beats = row_units(self.config) // units
        m.d.comb += self.beats.valid.eq(self.rows.valid)
        if beats == 1:
            m.d.comb += [
                beat.data.eq(row.data),
                beat.last.eq(row.last),
                self.rows.ready.eq(self.beats.ready),
            ]
            return m
        place, final = Signal(range(beats)), Signal(range(beats))
        m.d.comb += [
            final.eq(Mux(row.last, (row.end - 1)[ceil_log2(units) : len(row.end)], beats - 1)),
            beat.data.eq(row.data.as_value().word_select(place, units * self.config.activation_bits)),
            beat.last.eq(row.last & (place == final)),
            self.rows.ready.eq(self.beats.ready & (place == final)),
        ]
        with m.If(self.beats.valid & self.beats.ready):
            m.d.sync += place.eq(Mux(place == final, 0, place + 1))
        return m
