"""The csc dataflow, cycle by cycle: which words are asked for, who gets a bank, what is multiplied, what is collected.

It follows the registers of `hw.dataflow.csc`, of the arbiters of the activation memory, of the array and of the result
collector, without any value. So it knows how readers meet in the banks, which no formula does.
"""

from __future__ import annotations

from collections import deque

from compiler.csc_shape import PassShape, RunColumns
from compiler.cycles import write_latency
from hw.config import CoreConfig
from hw.control.units import unit_window
from hw.memory.activation import read_latency

Steps = list[tuple[int, bool]]
Column = tuple[int, int, Steps, bool, bool, int]
"""First vector, rows of taps, operations of a tap, whether it is its output's last and is released, the output."""

Slice = tuple[int, bool, bool]
"""The output that it is of, whether it is the last one of a block, and whether that is the last block."""

SKID = 2
"""Slices that may wait at the collector."""

_NOTHING, _OPERATION = -1, 0


def _turn(last: int, requests: list[int]) -> int:
    """Of the requesters, in rising order, the one that follows the one granted last."""
    for one in requests:
        if one > last:
            return one
    return requests[0]


class _Group:
    """A group's registers: fetcher, request, column walker, column, operands, multiplier, adder, result, slices.

    Of the stages behind the operands, what is there: nothing, an operation, or one that ends a block of an output.
    """

    def __init__(self, position: int, shape: PassShape, config: CoreConfig) -> None:
        self.position, self.shape, self.lanes = position, shape, config.lanes
        self.banks = config.activation_banks
        self.steps = [] if shape.walk.packed else shape.tap_steps(position, config.lanes)
        self.first_vector = 0 if shape.walk.whole else shape.starts[position] // config.lanes
        self.asked: deque[int] = deque()  # banks, -1 for a column in the padding
        self.fetched = self.run_vectors = 0
        self.room = config.window_depth
        self.request = -1
        self.coming: deque[int] = deque()
        self.arrived = 0
        self.next_run: deque[Column | None] | None = None
        self.columns: deque[Column | None] = deque()
        self.column: Column | None = None
        self.row = self.step = self.gone = 0
        self.operand = self.product = self.sum = self.result = _NOTHING
        self.beat = 0
        self.slice: Slice | None = None
        self.arriving: deque[Slice] = deque()
        self.block = 0
        self.groups, self.post_beats, self.word_elements = config.groups, config.post_beats, config.word_elements

    @property
    def wants(self) -> int:
        """The bank that the fetcher asks for; -1 if it asks for none."""
        return self.asked[0] if self.asked and self.room else -1

    def offers(self, large: bool) -> Slice | None:
        """The slice that the collector sees; in a small core the result itself."""
        if large:
            return self.arriving[0] if self.arriving else None
        return self._next_slice()

    def _next_slice(self) -> Slice | None:
        if self.result <= _OPERATION:
            return None
        unit, block = divmod(self.result - 1, self.groups)
        final = block == self.shape.blocks - 1
        return unit, self.beat == (self.shape.final_beats if final else self.post_beats) - 1, final

    def slice_off(self, taken: bool, large: bool) -> bool:
        """Move slices on from the result to the collector, if there is room; returns whether the result is used up."""
        moves = len(self.arriving) < SKID
        if large and taken:
            self.arriving.popleft()
        if large and self.slice is not None:
            if not moves:
                return False
            self.arriving.append(self.slice)
        moved = self._next_slice() if large or taken else None
        if large:
            self.slice = moved
        if moved is None:
            return False
        self.beat = 0 if moved[1] else self.beat + 1
        return moved[1]

    @property
    def ready(self) -> bool:
        """Whether it takes a run in this cycle."""
        return not self.asked and (self.next_run is None or not self.columns)

    def give(self, row: int, run: RunColumns, unit: int) -> None:
        """Take a run; the fetcher and the walker see it from the next cycle on."""
        walk, taps = self.shape.walk, self.shape.row_taps[row]
        vectors = [(self.first_vector + i) % (walk.last_vector + 1) for i in range(walk.vectors)]
        words = [vector * self.lanes // self.word_elements for vector in vectors]
        for column in run.fetched:
            if column is None:
                self.asked.append(-1)
                continue
            at = column * self.shape.pixel_words
            self.asked.extend((tap * self.shape.row_words + at + word) % self.banks for tap in taps for word in words)
        columns: deque[Column | None] = deque()
        per_column = len(taps) * walk.vectors
        for order, (numbers, released) in enumerate(run.outputs):
            last = max(index for index, number in enumerate(numbers) if number is not None)
            output = unit + order
            steps = self.steps or self.shape.tap_steps(self.position, self.lanes, output % self.shape.columns.outputs)
            for index, number in enumerate(numbers):
                first = self.run_vectors + (number or 0) * per_column
                one = (first, len(taps), steps, index == last, index < released, output)
                columns.append(None if number is None else one)
        self.run_vectors += per_column * sum(column is not None for column in run.fetched)
        self.next_run = columns


class CscSimulation:
    """One pass.

    Args:
        shape: of the pass; config: of the core; rows: of outputs that are followed.
    """

    def __init__(self, shape: PassShape, config: CoreConfig, rows: int) -> None:
        self.shape, self.config, self.rows = shape, config, rows
        self.width = shape.mapping.channel_groups
        self.groups = [_Group(index % self.width, shape, config) for index in range(config.groups)]
        self.used = [group for group in self.groups if group.position < shape.groups_used]
        self.sets = [self.groups[head : head + shape.groups_used] for head in range(0, config.groups, self.width)]
        # The collector: the set that is served and the group whose turn it is, and the set that comes next.
        self._single = len(self.sets) == 1
        self._served, self._position, self._chosen, self._collector_turn = 0 if self._single else -1, 0, -1, -1
        self._bank_turns = [-1] * config.activation_banks
        self._set_turn = -1
        self._row = self._run = self._unit = 0
        self._deals_from = 2 + shape.rows.kernel
        self._complete: dict[int, int] = {}
        self._retired, self._last = 0, 0
        # From a request at the arbiters to a vector that can be read.
        self._latency = read_latency(config) + 1 - config.large
        self._leaving = write_latency(config) + 1

    def run(self) -> int:
        """Cycles from the start of the pass until all its outputs are retired."""
        units, now = self.rows * self.shape.columns.outputs, 0
        while self._retired < units:
            now += 1
            dealt = self._deal(now)
            taken = self._collect(now)
            granted = self._arbitrate()
            for number, group in enumerate(self.groups):
                if group.position < self.shape.groups_used:
                    self._fetch(group, now, number in granted)
                    released = self._multiply(group, now, group is taken)
                    group.room += released
            for group in dealt:
                group.give(*self._given)
            while (at := self._complete.get(self._retired, now + 1)) <= now:
                del self._complete[self._retired]
                self._retired, self._last = self._retired + 1, max(at, self._last + 1)
        return self._last

    def _deal(self, now: int) -> list[_Group]:
        """The set that is given a run in this cycle, and what it is given."""
        under_way = self._unit - self._retired
        if now < self._deals_from or under_way > unit_window(self.config) - self.config.longest_run:
            return []
        ready = [index for index, one in enumerate(self.sets) if all(group.ready for group in one)]
        if not ready or self._row == self.rows:
            return []
        self._set_turn = _turn(self._set_turn, ready)
        run = self.shape.runs[self._run]
        self._given = (self._row, run, self._unit)
        self._unit += len(run.outputs)
        self._run += 1
        if self._run == len(self.shape.runs):
            self._run, self._row = 0, self._row + 1
            self._deals_from = now + 2 + self.shape.rows.kernel
        return self.sets[self._set_turn]

    def _collect(self, now: int) -> _Group | None:
        """The group whose slice leaves in this cycle; the next set is chosen ahead."""
        valid = [index for index, one in enumerate(self.sets) if one[0].offers(self.config.large) is not None]
        taken, set_done = None, False
        if self._served >= 0:
            group = self.sets[self._served][self._position]
            slice_ = group.offers(self.config.large)
            if slice_ is not None:
                taken = group
                unit, block_done, final = slice_
                set_done = block_done and (final or self._position == self.width - 1)
                if block_done and final:
                    self._complete[unit] = now + self._leaving
                self._position += block_done
        if set_done:
            self._position = 0
        if self._single:
            return taken
        free = self._served < 0 or set_done
        requests = [index for index in valid if index not in (self._served, self._chosen)]
        chosen = self._chosen
        if free or chosen < 0:
            self._chosen = _turn(self._collector_turn, requests) if requests else -1
            self._collector_turn = self._chosen if requests else self._collector_turn
        if free:
            self._served = chosen
        return taken

    def _arbitrate(self) -> set[int]:
        """The groups whose requests are granted in this cycle."""
        wanted: dict[int, list[int]] = {}
        for number, group in enumerate(self.groups):
            bank = group.request if self.config.large else group.wants
            if bank >= 0:
                wanted.setdefault(bank, []).append(number)
        for bank, requests in wanted.items():
            self._bank_turns[bank] = _turn(self._bank_turns[bank], requests)
        return {self._bank_turns[bank] for bank in wanted}

    def _fetch(self, group: _Group, now: int, granted: bool) -> None:
        """Ask for a word, and take those that come."""
        if group.asked and group.asked[0] < 0:
            group.asked.popleft()
            accepted = False
        else:
            accepted = group.wants >= 0 and (granted if not self.config.large else group.request < 0 or granted)
        if granted:
            group.coming.append(now + self._latency)
            group.request = -1
        if accepted:
            group.request = group.asked.popleft()
            group.room -= 1

    def _multiply(self, group: _Group, now: int, taken: bool) -> int:
        """What moves from stage to stage, the last one first; returns the vectors that are released."""
        while group.coming and group.coming[0] <= now:
            group.coming.popleft()
            group.arrived += 1
        result_taken = group.slice_off(taken, self.config.large)
        finishes = group.sum > _OPERATION
        stuck = finishes and group.result > _OPERATION
        ready = not stuck or group.operand == _NOTHING
        issued, released = self._issue(group) if ready else (_NOTHING, 0)
        if result_taken:
            group.result = _NOTHING
        if not stuck:
            if finishes:
                group.result = group.sum
            group.sum, group.product = group.product, group.operand
        if ready:
            group.operand = issued
        self._walk(group)
        return released

    def _issue(self, group: _Group) -> tuple[int, int]:
        """The operation of the column that can be read, if there is one, and the vectors that it releases."""
        if group.column is None:
            return _NOTHING, 0
        first, rows, steps, last, release, unit = group.column
        vectors = self.shape.walk.vectors
        needed, block_done = steps[group.step]
        if group.arrived < first + group.row * vectors + needed:
            return _NOTHING, 0
        group.step += 1
        tap_done, released = group.step == len(steps), 0
        if release:
            # A broadcast vector goes when an edge needs the next one; the rest with the tap.
            if tap_done:
                released, group.gone = vectors - group.gone, 0
            elif self.shape.walk.broadcast and steps[group.step][0] > needed:
                released = 1
                group.gone += 1
        code = _OPERATION
        if block_done and last and group.row == rows - 1:
            code = unit * self.config.groups + group.position + group.block * self.width + 1
        group.block += block_done
        if tap_done:
            group.step, group.block, group.row = 0, 0, group.row + 1
            if group.row == rows:
                group.row, group.column = 0, None
        return code, released

    def _walk(self, group: _Group) -> None:
        """The next column of taps, and the next run; a column in the padding takes a cycle."""
        if not group.columns:
            if group.next_run is not None:
                group.columns, group.next_run = group.next_run, None
        elif group.columns[0] is None:
            group.columns.popleft()
        elif group.column is None:
            group.column = group.columns.popleft()
