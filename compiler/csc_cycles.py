"""What a convolution takes on the csc dataflow: a formula to compare mappings by, and what it is, cycle by cycle."""

from __future__ import annotations

from functools import lru_cache
from math import gcd

from compiler.convolution import Convolution
from compiler.csc_shape import PassShape, pass_shape
from compiler.csc_simulation import CscSimulation
from compiler.mapping import Mapping, block_cycles, ceil_div
from hw.config import CoreConfig
from hw.control.units import unit_window

PASS_LATENCY = 45
"""Filling and draining of a pass."""
WAITING = 1.1
"""Where the outputs under way are too few for each set to have a run and the next one."""
MEETING = 0.05
"""Cycles lost for each word that is fetched, as a share of the cycle that it takes."""
FOLLOWED_CYCLES, LEAST_ROWS = 3000, 3
"""Of a pass with at least three times as many cycles and rows of outputs, twice as many are followed one by one."""


def csc_estimate(conv: Convolution, mapping: Mapping, config: CoreConfig, kept: bool = False) -> float:
    """Cycles of a mapping: of each pass multiplying, fetching, collecting or loading weights, the slowest.

    `kept`: the weights are there already, and only parameters are loaded.
    """
    full, last = (_pass_estimate(conv, mapping, config, index, kept) for index in (0, mapping.passes - 1))
    return full * (mapping.passes - 1) + last


def _pass_estimate(conv: Convolution, mapping: Mapping, config: CoreConfig, index: int, kept: bool) -> float:
    shape = pass_shape(conv, mapping, config, index)
    sets, walk = mapping.space_groups, shape.walk
    units = shape.rows.outputs * shape.columns.outputs
    # The rest of the last runs: a set does whole runs.
    runs = shape.rows.outputs * len(shape.runs)
    share = ceil_div(runs, sets) * sets / runs
    taps = shape.operations(config) / shape.blocks
    if 2 * sets * mapping.run > unit_window(config) - config.longest_run:
        share *= WAITING
    computing = taps * ceil_div(shape.blocks, mapping.channel_groups) / sets * share
    # Where all pixels begin in the same banks, those are all that a lone vector comes from.
    apart = gcd(shape.pixel_words, shape.row_words, config.activation_banks)
    banks = min(config.activation_banks, config.activation_banks // apart * max(walk.vectors, shape.groups_used))
    words = (
        int(shape.rows.inside.sum())
        * walk.vectors
        * sum(sum(column is not None for column in run.fetched) for run in shape.runs)
    )
    fetching = max(words * shape.groups_used / banks, words / sets)
    collecting = units * ((shape.blocks - 1) * config.post_beats + shape.final_beats)
    weights = shape.blocks * block_cycles(0 if kept else shape.block_words, config)
    # What waits for the others at the end: an output.
    end = taps / units * ceil_div(shape.blocks, mapping.channel_groups)
    # Readers meet the more often, the more words they want.
    return max(computing, fetching, collecting, weights) + MEETING * fetching + end + PASS_LATENCY


def simulated_cycles(conv: Convolution, mapping: Mapping, config: CoreConfig, kept: bool = False) -> float:
    """Cycles of a mapping as simulated, and the weights of each pass where they take longer."""
    cycles = 0
    for index in range(mapping.passes):
        shape = pass_shape(conv, mapping, config, index)
        weights = shape.blocks * block_cycles(0 if kept else shape.block_words, config)
        cycles += max(pass_cycles(shape, config), weights)
    return cycles


@lru_cache(maxsize=1024)
def pass_cycles(shape: PassShape, config: CoreConfig) -> int:
    """Cycles of a pass; of a long one, whose rows repeat themselves, those in the middle are not followed."""
    rows, sets = shape.rows.outputs, shape.mapping.space_groups
    row = shape.operations(config) / rows / shape.groups_used / sets
    # So many rows at a time that all sets have equally many of their runs.
    step = sets // gcd(sets, len(shape.runs))
    followed = ceil_div(max(LEAST_ROWS, round(FOLLOWED_CYCLES / row)), step) * step
    if rows < 3 * followed:
        return CscSimulation(shape, config, rows).run()
    counts = (followed, 2 * followed, rows)
    half, whole, all_taps = (sum(len(taps) for taps in shape.row_taps[:count]) for count in counts)
    first, second = (CscSimulation(shape, config, count).run() for count in counts[:2])
    return second + round((second - first) / (whole - half) * (all_taps - whole))
