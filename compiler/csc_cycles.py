"""The cycle model of a pass of the csc dataflow: it depends on shapes alone, since nothing is skipped but padding.

Followed are, column of taps by column of taps, when the words of a set of groups are asked for (as the window has room
and the banks have time), when they are multiplied, and when the post-processor has taken the results. Only estimated is
how readers meet in the banks; it matters where more words are wanted than the banks give.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from compiler.convolution import Convolution
from compiler.cycles import write_latency
from compiler.mapping import Mapping, ceil_div
from hw.config import WORD_ELEMENTS, CoreConfig
from hw.control.units import unit_window
from hw.memory.activation import read_latency

RESULT_LATENCY = 5
"""From an output's last tap to its results."""
ROW_LATENCY = 2
"""Cycles of the dealer for a row, on top of the kernel's height."""
BANK_SLACK = 8.0
"""Cycles by which one reader's wish for a word may lie behind another's that was looked at before."""


def words_a_cycle(mapping: Mapping, config: CoreConfig, blocks: int) -> float:
    """Words that the banks give in a cycle, for all groups together, when more are wanted.

    The groups of a set want neighbouring words at the same time, or where lanes are few the same word, one after
    another. Where these words lie in all banks, sets take turns; otherwise they meet in the banks by chance. How far
    readers get that always want something, but only one word at a time, is measured.
    """
    banks, sets = config.activation_banks, mapping.space_groups
    together = ceil_div(blocks * config.lanes, WORD_ELEMENTS)
    if together >= banks:
        return 0.98 * banks
    served = banks * (1 - (1 - together / banks) ** sets)
    return (0.98 if sets == 1 else 0.88) * served


def _inside(conv: Convolution, mapping: Mapping, axis: int) -> np.ndarray:
    """Which taps along an axis lie inside the map: bool[outputs, taps]."""
    step = (mapping.geometry.unit_rows, mapping.geometry.unit_columns)[axis]
    first = np.arange(conv.output_size[axis]) * step - conv.padding[axis][0]
    at = first[:, np.newaxis] + np.arange(conv.kernel[axis]) * conv.dilation[axis]
    return (at >= 0) & (at < conv.size[axis])


def tap_count(conv: Convolution, mapping: Mapping) -> int:
    """Taps inside the map, over all outputs."""
    return int(_inside(conv, mapping, 0).sum() * _inside(conv, mapping, 1).sum())


@dataclass(frozen=True)
class RunColumns:
    """The columns of taps of a run: for each output those inside the map, counted from the run's first one fetched.

    `released`: columns that each output releases; `fetched`: of the run.
    """

    outputs: tuple[range, ...]
    released: tuple[int, ...]
    fetched: int


def _runs(conv: Convolution, mapping: Mapping) -> list[RunColumns]:
    """The runs of a row."""
    inside = _inside(conv, mapping, 1)
    step, left, size = mapping.geometry.unit_columns, conv.padding[1][0], conv.size[1]
    found = []
    for start in range(0, len(inside), mapping.run):
        outputs = range(start, min(start + mapping.run, len(inside)))
        if mapping.run == 1:
            count = int(inside[start].sum())
            found.append(RunColumns((range(count),), (count,), count))
            continue
        # Columns that lie side by side; those in the padding are not fetched.
        first = max(0, start * step - left)
        spans = [
            range(max(0, output * step - left) - first, min(size, output * step - left + conv.kernel[1]) - first)
            for output in outputs
        ]
        starts = [span.start for span in spans[1:]] + [spans[-1].stop]
        released = tuple(later - span.start for later, span in zip(starts, spans, strict=True))
        found.append(RunColumns(tuple(spans), released, spans[-1].stop))
    return found


class _Banks:
    """The activation memory: so many words a cycle, for all readers together."""

    def __init__(self, rate: float) -> None:
        self.free = 0.0
        self.rate = rate

    def ask(self, wanted: float, readers: int) -> float:
        """When a word that all groups of a set want from then on has been asked for."""
        self.free = max(self.free, wanted - BANK_SLACK) + readers / self.rate
        return max(wanted, self.free)


class _Set:
    """A set of groups: when it asked for its words, when it released them, and when its last tap was multiplied."""

    def __init__(self, banks: _Banks, readers: int, config: CoreConfig, start: float) -> None:
        self._banks, self._readers = banks, readers
        self._latency = read_latency(config) + 2
        self._released: deque[float] = deque([start] * config.window_depth, maxlen=config.window_depth)
        self._asked = self._dealt = self.now = start
        self._begun = self.collected = start
        self._rows = self._fetched = 0
        self._arrived: list[float] = []

    @property
    def free(self) -> float:
        """When it can be given another run: it has asked for the words of this one, and begun with it."""
        return max(self._asked + 2, self._begun + 1)

    def give(self, dealt: float, rows: int) -> None:
        """Begin with a run."""
        self._dealt, self._rows, self._arrived = dealt + 1, rows, []
        self._begun = max(self.now, dealt + 2)

    def multiply(self, columns: range, released: int) -> float:
        """Do an output; returns when its last tap is multiplied."""
        now = max(self.now, self.collected - RESULT_LATENCY - self._rows * len(columns))
        for order, column in enumerate(columns):
            while len(self._arrived) <= column:
                self._arrived.append(self._fetch())
            now = max(now, self._arrived[column] - self._rows) + self._rows
            if order < released:
                self._released.extend(now - self._rows + 1 + row for row in range(self._rows))
        self.now = max(now, self.collected - RESULT_LATENCY)
        return self.now

    def _fetch(self) -> float:
        """Ask for a column; returns when all of it is there."""
        for row in range(self._rows):
            wanted = max(self._asked + 1, self._dealt, self._released[row] + 1)
            self._asked = self._banks.ask(wanted, self._readers)
        return self._asked + self._latency


class CscPass:
    """One pass, in the order in which the dealer gives out runs.

    Args:
        blocks: of maps in this pass; beats: that the post-processor takes for the results of one output.
    """

    def __init__(self, conv: Convolution, mapping: Mapping, config: CoreConfig, blocks: int, beats: int) -> None:
        self.conv, self.mapping, self.config = conv, mapping, config
        self.blocks, self.beats = blocks, beats

    def run(self, start: int) -> int:
        """The cycle in which the pass is done, when it starts at `start`."""
        config = self.config
        banks = _Banks(words_a_cycle(self.mapping, config, self.blocks))
        self._post, self._dealt = 0.0, float(start)
        sets = [_Set(banks, self.blocks, config, start) for _ in range(self.mapping.space_groups)]
        waiting = [(float(start), index) for index in range(len(sets))]
        self._completed: dict[int, float] = {}
        self._retired: list[float] = []
        runs = self._deals()
        upcoming = next(runs, None)
        under_way: dict[int, list[tuple[int, range, int]]] = {index: [] for index in range(len(sets))}
        while waiting:
            _, index = heapq.heappop(waiting)
            one = sets[index]
            if not under_way[index]:
                if upcoming is None:
                    continue
                first, rows, columns, new_row = upcoming
                room = self._room(first)
                if room is None:
                    heapq.heappush(waiting, (waiting[0][0] + 1, index))
                    continue
                ready = self._dealt + 1 + (ROW_LATENCY + self.conv.kernel[0] if new_row else 0)
                self._dealt = max(ready, one.free, room)
                one.give(self._dealt, rows)
                pieces = zip(columns.outputs, columns.released, strict=True)
                under_way[index] = [(first + order, *piece) for order, piece in enumerate(pieces)][::-1]
                upcoming = next(runs, None)
            unit, span, released = under_way[index].pop()
            end = one.multiply(span, released)
            self._post = max(self._post, end + RESULT_LATENCY) + self.beats
            one.collected = self._post
            self._complete(unit, self._post + write_latency(config))
            heapq.heappush(waiting, (one.now, index))
        return round(self._retired[-1])

    def _deals(self) -> Iterator[tuple[int, int, RunColumns, bool]]:
        """Each run: its first unit, rows of taps, columns, and whether a row begins with it."""
        columns, unit = _runs(self.conv, self.mapping), 0
        for rows in _inside(self.conv, self.mapping, 0).sum(axis=1):
            for order, run in enumerate(columns):
                yield unit, int(rows), run, order == 0
                unit += len(run.outputs)

    def _room(self, unit: int) -> float | None:
        """When there is room for a run from that unit on; None if that depends on a unit not yet looked at."""
        oldest = unit - (unit_window(self.config) - self.config.longest_run) - 1
        if oldest < 0:
            return 0.0
        return self._retired[oldest] if oldest < len(self._retired) else None

    def _complete(self, unit: int, at: float) -> None:
        """Units complete in any order and retire in order."""
        self._completed[unit] = at
        while (found := self._completed.pop(len(self._retired), None)) is not None:
            self._retired.append(max(found, self._retired[-1] + 1) if self._retired else found)
