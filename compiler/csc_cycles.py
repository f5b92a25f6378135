"""The cycle model of a pass of the csc dataflow: it depends on shapes alone, since nothing is skipped but padding."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from compiler.convolution import Convolution
from compiler.cycles import Counts, write_latency
from compiler.mapping import Mapping
from hw.config import CoreConfig
from hw.control.units import unit_window
from hw.memory.activation import read_latency

RESULT_LATENCY = 4
"""From a tap that the window memory is read for to its output's results."""
FETCH_EFFICIENCY = 0.95
"""Share of the banks' cycles that readers who meet in them use."""


def fetch_latency(config: CoreConfig) -> int:
    """From a run that is given out to its first tap."""
    return 3 + read_latency(config)


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
class RunCosts:
    """What the runs of a row cost, for each row of taps inside the map.

    `taps`: of each output; `words`: fetched for each run.
    """

    taps: list[Counts]
    words: list[int]


def run_costs(conv: Convolution, mapping: Mapping) -> RunCosts:
    """Costs of the runs of an output row."""
    taps = _inside(conv, mapping, 1).sum(axis=1)
    starts = range(0, len(taps), mapping.run)
    words = []
    for start in starts:
        stop = min(start + mapping.run, len(taps))
        if mapping.run == 1:
            words.append(int(taps[start]))
            continue
        first = start * mapping.geometry.unit_columns - conv.padding[1][0]
        last = (stop - 1) * mapping.geometry.unit_columns - conv.padding[1][0] + conv.kernel[1] - 1
        words.append(min(last, conv.size[1] - 1) - max(first, 0) + 1)
    return RunCosts([taps[start : start + mapping.run] for start in starts], words)


class _Set:
    """A set of groups: when its fetcher takes another run, and when its taps have been given to the array."""

    def __init__(self) -> None:
        self.fetched = 0.0
        self.walked = 0.0
        self.done = 0.0
        self.collected = 0.0


class CscPass:
    """One pass, run by run, in the order in which the dealer gives them out.

    Args:
        blocks: of maps in this pass; beats: that the post-processor takes for the results of one output.
    """

    def __init__(self, conv: Convolution, mapping: Mapping, config: CoreConfig, blocks: int, beats: int) -> None:
        self.conv, self.mapping, self.config = conv, mapping, config
        self.blocks, self.beats = blocks, beats
        self.rows = _inside(conv, mapping, 0).sum(axis=1)
        self.costs = run_costs(conv, mapping)

    def run(self, start: int) -> int:
        """The cycle in which the pass is done, when it starts at `start`."""
        config = self.config
        sets = [_Set() for _ in range(self.mapping.space_groups)]
        window = unit_window(config) - config.longest_run
        retired: deque[float] = deque([0.0] * (window + 1), maxlen=window + 1)
        readers = self.blocks * len(sets)
        per_word = max(1.0, readers / (config.activation_banks * FETCH_EFFICIENCY))
        now, post = float(start), 0.0
        for rows in self.rows:
            now += 1 + self.conv.kernel[0]
            for taps, words in zip(self.costs.taps, self.costs.words, strict=True):
                chosen = min(sets, key=lambda one: one.fetched)
                now = max(now + 1, chosen.fetched, retired[0])
                begin = max(chosen.done, now + fetch_latency(config))
                arriving = now + fetch_latency(config) + rows * words * per_word
                # The walker has taken the run before, so that the fetcher may take the next.
                chosen.fetched = max(now + rows * words * per_word + 1, chosen.walked)
                chosen.walked = begin
                for output, count in enumerate(taps):
                    behind = (len(taps) - 1 - output) / len(taps) * rows * words * per_word
                    end = max(begin + rows * count, arriving - behind, chosen.collected - RESULT_LATENCY)
                    begin = end
                    post = max(post, end + RESULT_LATENCY) + self.beats
                    chosen.collected = post
                    retired.append(max(post + write_latency(config), retired[-1] + 1))
                chosen.done = begin
        return round(retired[-1])
