"""The unit window: a run of units of a packet, wherever it starts in the beats."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth import Cat, Const, Mux, Signal
from amaranth.hdl import Module, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from amaranth.utils import ceil_log2

from hw.config import WORD_ELEMENTS, CoreConfig
from hw.stream.bits import select_run
from hw.stream.layouts import FeatureBeat, map_units, row_units, unit_array
from hw.stream.register import SkidBuffer


class UnitRow(data.StructLayout):
    """`row_units` units side by side, and whether the packet ends in them."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__({"data": unit_array(config, row_units(config)), "last": 1})


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
    """Shows the units from a read position on, and moves the position as it is told.

    Row buffers (a row is a beat, or several where a cycle may need more)::

        beats --> skid buffer ---> next --> current
                      |             |         |         position: the next unit, in `current`
                      +-------------+---------+-->  map, columns

    The units are not shifted to a fixed place: unit x of the packet is in column x mod `row_units`, where it
    came in. That leaves the rotation to whoever moves the values anyway.

    In each cycle at most one row can be left behind. A take that crosses two row ends is followed by a cycle
    in which `filled` is low, and so is a closing take whose last unit lies not in the current row, for each
    row that it went on.

    Ports
    -----
    beats : In(stream), FeatureBeat
        The packets. No combinational path leads to `ready`.
    skip_map : In(1)
        A sparsity map is at the read position: `columns` and `offset` are those of the units behind it.
    map : Out(16)
        The units at the read position, as a sparsity map.
    columns : Out(row_units units), offset : Out
        The next `codec_elements` units: the first one is column `offset`, and after the last column comes
        column 0.
    filled : Out(1)
        Enough units are there for any take, or the rest of the packet is.
    take, taken : In
        Move on by `taken` units, a map included. Only while `filled`.
    close : In(1)
        With `take`: the packet ends with these units. What is left in its last beat is dropped.
    error : Out(1)
        A packet has ended before all its units were taken, or goes on afterwards. Set until reset; nothing is
        consumed any more.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.config = config
        self.units = row_units(config)
        self._closing = Signal()  # the packet's slices are done, rows of it are left
        self.map_units = map_units(config)
        self.most_taken = self.map_units + config.codec_elements
        super().__init__(
            {
                "beats": In(stream.Signature(FeatureBeat(config))),
                "skip_map": In(1),
                "map": Out(WORD_ELEMENTS),
                "columns": Out(unit_array(config, self.units)),
                "offset": Out(ceil_log2(self.units)),
                "filled": Out(1),
                "take": In(1),
                "taken": In(range(self.most_taken + 1)),
                "close": In(1),
                "error": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        row = stream.Signature(UnitRow(self.config))
        current, following = row.create(path=("current",)), row.create(path=("following",))
        position = Signal(range(2 * self.units + self.most_taken))
        waiting = self._receive(m)
        release = self._move(m, current, position)
        m.d.comb += following.ready.eq(~current.valid | release)
        m.d.comb += waiting.ready.eq(~following.valid | following.ready)
        with m.If(following.ready):
            m.d.sync += [current.valid.eq(following.valid), current.payload.eq(following.payload)]
        with m.If(waiting.ready):
            m.d.sync += [following.valid.eq(waiting.valid), following.payload.eq(waiting.payload)]
        self._show(m, (current, following, waiting), position)
        return m

    def _receive(self, m: Module) -> stream.Interface:
        """The rows, from a buffer that cuts the way to `beats.ready`."""
        m.submodules.skid = skid = SkidBuffer(UnitRow(self.config))
        if self.units == self.config.stream_units:
            connect(m, producer=flipped(self.beats), consumer=skid.i)
        else:
            m.submodules.input = register = SkidBuffer(FeatureBeat(self.config))
            m.submodules.collector = collector = RowCollector(self.config)
            connect(m, producer=flipped(self.beats), consumer=register.i)
            connect(m, producer=register.o, consumer=collector.beats)
            connect(m, producer=collector.rows, consumer=skid.i)
        return skid.o

    def _move(self, m: Module, current: stream.Interface, position: Signal) -> Value:
        """Moves the position; the result says that the current row is left behind in this cycle."""
        last = current.payload.last
        after = Signal.like(position)
        ends, moves, release = Signal(), Signal(), Signal()
        closing = self._closing
        overrun = position >= self.units
        m.d.comb += [
            after.eq(position + Mux(self.take, self.taken, 0)),
            ends.eq((self.take & self.close) | closing),
            moves.eq(current.valid & (self.take | closing | overrun) & ~self.error),
            # The last row of a packet stays until its last slice, which may need no more units.
            release.eq(moves & (ends | ((after >= self.units) & ~last))),
        ]
        with m.If(moves):
            m.d.sync += [
                closing.eq(ends & ~last),
                position.eq(Mux(ends & last, 0, Mux(release, after - self.units, after))),
            ]
            with m.If(Mux(last, after > self.units, ends & (after <= self.units))):
                m.d.sync += self.error.eq(1)
        return release

    def _show(self, m: Module, rows: Sequence[stream.Interface], position: Signal) -> None:
        """The map, the columns, and whether they hold all that may be asked for."""
        current, following, waiting = rows
        units = self.units
        first = Signal(range(units + self.map_units))
        place = position[: ceil_log2(units)]
        behind = [following.payload.data[index] for index in range(self.map_units - 1)]
        m.d.comb += [
            first.eq(place + Mux(self.skip_map, self.map_units, 0)),
            self.offset.eq(first),
            self.map.eq(Cat(select_run([*current.payload.data, *behind], place, self.map_units))),
        ]
        for column in range(units):
            in_following = following.payload.data[column]
            if column < self.map_units - 1:
                in_following = Mux(first > units + column, waiting.payload.data[column], in_following)
            m.d.comb += self.columns[column].eq(
                Mux(first > column, in_following, current.payload.data[column])
            )
        reaches_third = self.map_units - 1 + self.config.codec_elements > units
        third = self.skip_map & (place == units - 1) if reaches_third else Const(0)
        covered = following.valid & (following.payload.last | waiting.valid | ~third)
        m.d.comb += self.filled.eq(
            current.valid
            & (current.payload.last | (covered & (position < units)))
            & ~self._closing
            & ~self.error
        )
