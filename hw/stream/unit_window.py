"""The unit window: a run of units of a packet, wherever it starts in the beats."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth import Cat, Const, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from hw.config import WORD_ELEMENTS, CoreConfig
from hw.stream.bits import add, count_ones, counts_of_ones, select_run
from hw.stream.layouts import FeatureBeat, map_units, row_units, unit_array
from hw.stream.register import SkidBuffer


class UnitRow(data.StructLayout):
    """`row_units` units side by side, and whether the packet ends in them."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__({"data": unit_array(config, row_units(config)), "last": 1})


class CountedRow(data.StructLayout):
    """A `UnitRow`, and `counts`: how many bits of each unit are set, in case it belongs to a map."""

    def __init__(self, config: CoreConfig) -> None:
        units = row_units(config)
        count = range(config.activation_bits + 1)
        super().__init__({"data": unit_array(config, units), "last": 1, "counts": data.ArrayLayout(count, units)})


class RowCollector(wiring.Component):
    """Beats into rows of `row_units`, which are more than a beat has. A packet's last row may end early.

    Latency 1 after a row's last beat; one beat a cycle. Ports: `beats` In: `FeatureBeat`; `rows` Out:
    `UnitRow`.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        super().__init__(
            {
                "beats": In(stream.Signature(FeatureBeat(config))),
                "rows": Out(stream.Signature(UnitRow(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        beat, row = self.beats.payload, self.rows.payload
        units = self.config.stream_units
        place = Signal(range(row_units(self.config) // units))
        m.d.comb += self.beats.ready.eq(~self.rows.valid | self.rows.ready)
        with m.If(self.rows.ready):
            m.d.sync += self.rows.valid.eq(0)
        with m.If(self.beats.valid & self.beats.ready):
            complete = beat.last | place.all()
            m.d.sync += [
                row.as_value()[:-1].word_select(place, units * self.config.activation_bits).eq(beat.data),
                row.last.eq(beat.last),
                place.eq(Mux(complete, 0, place + 1)),
                self.rows.valid.eq(complete),
            ]
        return m


class UnitWindow(wiring.Component):
    """Shows the units of packets from a read position on, and moves the position as it is told.

    Row buffers (a row is a beat, or several where a cycle may need more)::

        beats --> skid buffer --> following --> current     position: the next unit, in `current`
                      |               |            |
                      +---------------+------------+--> columns, map

    The units are not shifted to a fixed place: a unit stays in the column where it came in. That leaves the
    rotation to whoever moves the values anyway.

    In each cycle at most one row can be left behind. A take that goes past two row ends is followed by a
    cycle in which `filled` is low; so is a closing take, for each row that it went on after the current one.

    Ports
    -----
    beats : In(stream), FeatureBeat
        The packets. No combinational path leads to `ready`.
    columns : Out(row_units units), offset : Out
        The next `codec_elements` values: the first one is in column `offset`, and column 0 comes after the
        last column.
    filled : Out(1)
        All units that a take may need are there, or the rest of the packet is.
    take : In(1), taken : In(codec_elements)
        Move on by one unit for each bit set. Only while `filled`.
    skip_map : In(1)
        The packet's first units are a map; `columns` are behind it, and a take moves on from there.
    fetch_map : In(1)
        With `take`: a map follows the units taken. Move on behind it.
    close : In(1)
        With `take`: the packet ends with these units. What is left in its last beat is dropped.
    group_values : In
        With `fetch_map`: how many bits of `taken` are set. A separate port, because it may be known earlier.
    map : Out(16), map_values : Out, map_valid : Out(1)
        The map that is fetched, or the first units of a new packet, and how many bits of it are set.
    error : Out(1)
        A packet has ended before all its units were taken, or went on afterwards. Set until reset; nothing is
        consumed any more.

    Attributes
    ----------
    latency : int
        Cycles from a row's last beat until the row is the current one: 3, or 5 with several beats a row.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        self._units = row_units(config)
        self._column_bits = ceil_log2(self._units)
        self._map_units = map_units(config)
        self.latency = 3 if self._units == config.stream_units else 5
        self._may_take = Signal()
        self._place = range(self._units + config.codec_elements + self._map_units)
        super().__init__(
            {
                "beats": In(stream.Signature(FeatureBeat(config))),
                "columns": Out(unit_array(config, self._units)),
                "offset": Out(self._column_bits),
                "filled": Out(1),
                "take": In(1),
                "taken": In(config.codec_elements),
                "skip_map": In(1),
                "fetch_map": In(1),
                "group_values": In(range(config.codec_elements + 1)),
                "close": In(1),
                "map": Out(WORD_ELEMENTS),
                "map_values": Out(range(WORD_ELEMENTS + 1)),
                "map_valid": Out(1),
                "error": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        row = stream.Signature(CountedRow(self.config))
        current, following = row.create(path=("current",)), row.create(path=("following",))
        waiting = self._receive(m)
        m.d.comb += following.ready.eq(~current.valid | current.ready)
        m.d.comb += waiting.ready.eq(~following.valid | following.ready)
        with m.If(following.ready):
            m.d.sync += [current.valid.eq(following.valid), current.payload.eq(following.payload)]
        with m.If(waiting.ready):
            m.d.sync += [
                following.valid.eq(waiting.valid),
                following.payload.data.eq(waiting.payload.data),
                following.payload.last.eq(waiting.payload.last),
            ]
            for count, unit in zip(following.payload.counts, waiting.payload.data, strict=True):
                m.d.sync += count.eq(count_ones(m, list(unit)))

        position = Signal(self._place)
        # The first value is in the current row, or behind it if that is the packet's last one and used up.
        first = Signal(range(self._units + 1))
        m.d.comb += first.eq(Mux(self.skip_map, self._map_units, position))
        packet_left = self._move(m, current, position, first)
        self._show_values(m, (current, following, waiting), first)
        self._show_map(m, (current, following, waiting), first, packet_left)
        return m

    def _receive(self, m: Module) -> stream.Interface:
        """The rows, from a buffer that cuts the way to `beats.ready`."""
        m.submodules.skid = skid = SkidBuffer(UnitRow(self.config))
        if self._units == self.config.stream_units:
            connect(m, producer=flipped(self.beats), consumer=skid.i)
        else:
            m.submodules.input = register = SkidBuffer(FeatureBeat(self.config))
            m.submodules.collector = collector = RowCollector(self.config)
            connect(m, producer=flipped(self.beats), consumer=register.i)
            connect(m, producer=register.o, consumer=collector.beats)
            connect(m, producer=collector.rows, consumer=skid.i)
        return skid.o

    def _move(self, m: Module, current: stream.Interface, position: Signal, first: Value) -> Value:
        """Moves the position, and on to the next row; the result: a packet's last row is left behind.

        The last row of a packet stays until its last slice, which may need no more units.
        """
        bits = self._column_bits
        last = current.payload.last
        start, after = Signal(self._place), Signal(self._place)
        closing, overrun, ends, moves = Signal(), Signal(), Signal(), Signal()
        behind_group = add(m, start, self.group_values)
        behind_slice = add(m, start, *counts_of_ones(m, list(self.taken)))
        taken_to = Mux(self.fetch_map, behind_group, behind_slice)
        m.d.comb += [
            # All but the values, which are known last.
            start.eq(add(m, first, Mux(self.fetch_map, Const(self._map_units), 0))),
            after.eq(Mux(self.take, taken_to, position)),
            overrun.eq(position[bits:].any() & ~last),
            ends.eq(Mux(self.take, self.close, closing)),
            moves.eq(current.valid & (self.take | closing | overrun) & ~self.error),
            current.ready.eq(moves & (ends | overrun | (taken_to[bits:].any() & ~last))),
        ]
        row_left = Cat(after[:bits], after[bits:] - 1)
        with m.If(moves):
            m.d.sync += [
                closing.eq(ends & ~last),
                position.eq(Mux(ends & last, 0, Mux(current.ready, row_left, after))),
            ]
            # Units are missing behind the last row, or this row has none of the packet's units.
            is_past = after[bits + 1 :].any() | (after[bits] & after[:bits].any())
            with m.If(Mux(last, is_past, ends & ~is_past)):
                m.d.sync += self.error.eq(1)
        m.d.comb += self._may_take.eq(~closing & ~overrun & ~self.error)
        return moves & ends & last

    def _show_values(self, m: Module, rows: Sequence[stream.Interface], first: Value) -> None:
        current, following, waiting = rows
        m.d.comb += self.offset.eq(first)
        for column in range(self._units):
            m.d.comb += self.columns[column].eq(
                Mux(first > column, following.payload.data[column], current.payload.data[column])
            )
        # A map behind a whole row of values from the last column on ends in the third row.
        longest = self._map_units + self.config.codec_elements
        third = self.fetch_map & (first == self._units - 1) if longest - 1 > self._units else Const(0)
        covered = following.valid & (following.payload.last | waiting.valid | ~third)
        m.d.comb += self.filled.eq(current.valid & (current.payload.last | covered) & self._may_take)

    def _show_map(self, m: Module, rows: Sequence[stream.Interface], first: Value, packet_left: Value) -> None:
        current, following, waiting = rows
        place = add(m, first, self.group_values)[: self._column_bits + 1]
        bits = self.config.activation_bits
        units = [
            Cat(unit, count)
            for row in (current, following)
            for unit, count in zip(row.payload.data, row.payload.counts, strict=True)
        ]
        third = waiting.payload.data[: self._map_units - 1]
        units += [Cat(unit, count_ones(m, list(unit))) for unit in third]
        fetched = select_run(units, place, self._map_units)
        fresh = Signal(init=1)  # the next row is the first one of a packet
        enters = following.valid & (packet_left | (fresh & ~current.valid))
        m.d.sync += fresh.eq((fresh | packet_left) & ~enters)
        chosen = [Mux(enters, unit, behind) for unit, behind in zip(units[self._units :], fetched, strict=False)]
        m.d.comb += [
            self.map.eq(Cat(unit[:bits] for unit in chosen)),
            self.map_values.eq(add(m, *(unit[bits:] for unit in chosen))),
            self.map_valid.eq(enters | (self.take & self.fetch_map)),
        ]
