"""The cycle model of a pass: what it costs on a core, from the mapping and the zeros of the input.

The model follows the hardware's own bookkeeping, unit by unit: when the rows of a unit are loaded, which controller
is free, how many operations and steps the unit takes, when the post-processor has taken its results. Ideal cycles of
a layer: operations x passes / space_groups; what comes on top is filling, draining, and controllers that wait.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from compiler.convolution import Convolution
from compiler.mapping import Mapping, ceil_div
from hw.config import WORD_ELEMENTS, CoreConfig
from hw.control.units import unit_window
from hw.mac.array import group_of
from hw.memory.activation import read_latency
from hw.stream.layouts import map_units, row_units

Counts = npt.NDArray[np.int64]

LOAD_LATENCY = 8
"""From the start of a pass until its first packet, waiting at the port, is decoded: request, decoder, write."""
STORE_LATENCY = 14
"""From the retirement of a row's last unit to its packet's last beat, on top of the beats that it takes."""
FETCH_CYCLES = 2
"""From a word that is taken, or dropped, to the next one, where one is asked for at a time."""


def fetch_latency(config: CoreConfig) -> int:
    """From a row that is loaded, or a unit that is given out, to the first activation in the map decoder."""
    return 5 + read_latency(config) + config.large


def array_latency(config: CoreConfig) -> int:
    """From a unit's last activation in the map decoder to its results."""
    return 1 + group_of(config).latency


def write_latency(config: CoreConfig) -> int:
    """From a unit's results, as soon as the post-processor has time for them, to its retirement."""
    return 10 + 2 * config.product_registers + 3 * config.large + config.vector


def result_cycles(config: CoreConfig, collect: int) -> int:
    """Cycles for which a group stands still for a result that takes the post-processor `collect` cycles.

    Meanwhile a word is fetched, where that takes time.
    """
    if config.product_registers:
        return 0
    return max(0, collect - FETCH_CYCLES) if config.fetch_depth == 1 else collect


@dataclass(frozen=True)
class UnitCosts:
    """What each unit of a layer takes on its controller: arrays of [output rows, output columns].

    `operations`: non-zero activations under the window; `words`: activation words that hold them, or close a result;
    `issues`: cycles of the map decoder, at least one a word; `steps`: cycles of the walker.
    """

    operations: Counts
    words: Counts
    issues: Counts
    steps: Counts


def _window_coordinates(conv: Convolution, mapping: Mapping, axis: int) -> tuple[Counts, npt.NDArray[np.bool_]]:
    """Input coordinates [units, pool, taps] along an axis, and whether each lies inside the map."""
    geometry = mapping.geometry
    unit = (geometry.unit_rows, geometry.unit_columns)[axis]
    pool_step = (geometry.stride_rows, conv.stride[1])[axis]
    size = (len(geometry.rows), conv.size[1])[axis]
    at = (
        np.arange(conv.output_size[axis])[:, None, None] * unit
        + np.arange(conv.pool[axis])[None, :, None] * pool_step
        + np.arange(conv.kernel[axis])[None, None, :] * conv.dilation[axis]
        - conv.padding[axis][0]
    )
    return at, (at >= 0) & (at < size)


def unit_costs(
    conv: Convolution,
    mapping: Mapping,
    stored: npt.NDArray,
    word_elements: int = WORD_ELEMENTS,
    *,
    one_by_one: bool = False,
) -> UnitCosts:
    """Costs of each unit for the stored input [rows sent, columns, channels] (0 is zero), in words of so many.

    `one_by_one`: a word is asked for when the one before is taken or dropped, and not sooner.
    """
    non_zero = stored != 0
    pixel = non_zero.sum(axis=2)
    cuts = range(0, stored.shape[2], word_elements)
    in_word = np.stack([non_zero[:, :, cut : cut + word_elements].sum(axis=2) for cut in cuts], axis=2)
    used = in_word > 0
    pixel_used, last_word = used.sum(axis=2), used[:, :, -1]
    fetched = in_word + FETCH_CYCLES if one_by_one else in_word
    pixel_issues = fetched.sum(axis=2)
    row_at, row_in = _window_coordinates(conv, mapping, 0)
    column_at, column_in = _window_coordinates(conv, mapping, 1)
    shape = conv.output_size
    operations, words, nulls, issues, steps = (np.zeros(shape, np.int64) for _ in range(5))
    taps = conv.kernel
    for pool_row in range(conv.pool[0]):
        for pool_column in range(conv.pool[1]):
            closing = np.zeros(shape, bool)
            for tap_row in range(taps[0]):
                rows, rows_in = row_at[:, pool_row, tap_row], row_in[:, pool_row, tap_row]
                for tap_column in range(taps[1]):
                    columns = column_at[:, pool_column, tap_column]
                    inside = rows_in[:, None] & column_in[:, pool_column, tap_column][None, :]
                    index = np.ix_(rows.clip(0, stored.shape[0] - 1), columns.clip(0, stored.shape[1] - 1))
                    operations += np.where(inside, pixel[index], 0)
                    words += np.where(inside, pixel_used[index], 0)
                    issues += np.where(inside, pixel_issues[index], 0)
                    steps += np.where(inside, 1 + mapping.input_pixel_words, 2 * rows_in[:, None].astype(np.int64))
                    # The last tap closes the result: with an operation of its own if its last word is zero or padding.
                    closing = inside & last_word[index]
                steps += np.where(rows_in, 0, 2)[:, None]
            nulls += np.where(closing, 0, 1)
    return UnitCosts(operations, words + nulls, issues + nulls, steps)


def _slices(columns: int, channels: int, config: CoreConfig, sparse: bool) -> int:
    """Pieces in which the codec handles a row: up to `codec_elements`, within an activation word and within a group."""
    elements = columns * channels
    starts = (np.arange(columns)[:, None] * channels + np.arange(0, channels, config.word_elements)).ravel()
    cuts = np.union1d(starts, np.arange(0, elements, WORD_ELEMENTS)) if sparse else starts
    lengths = np.diff(np.append(cuts, elements))
    return int(np.ceil(lengths / config.codec_elements).sum())


def _group_counts(stored: npt.NDArray) -> Counts:
    """Non-zero values of each group of 16 elements: [rows, groups]."""
    flat = (stored != 0).reshape(len(stored), -1)
    padded = np.pad(flat, ((0, 0), (0, -flat.shape[1] % WORD_ELEMENTS)))
    return padded.reshape(len(stored), -1, WORD_ELEMENTS).sum(axis=2)


def _row_beats(stored: npt.NDArray, config: CoreConfig, sparse: bool) -> Counts:
    """Beats of each row on the stream."""
    rows, columns, channels = stored.shape
    if not sparse:
        return np.full(rows, ceil_div(columns * channels, config.stream_units))
    groups = _group_counts(stored)
    units = groups.sum(axis=1) + groups.shape[1] * map_units(config)
    return -(-units // config.stream_units)


def load_cycles(stored: npt.NDArray, config: CoreConfig, sparse: bool) -> Counts:
    """Cycles to load each row: the larger of the decoder's slices and of the stream's beats."""
    _, columns, channels = stored.shape
    return np.maximum(_slices(columns, channels, config, sparse), _row_beats(stored, config, sparse))


def store_cycles(stored: npt.NDArray, config: CoreConfig, sparse: bool) -> Counts:
    """Cycles to store each row.

    The encoder takes one more for a group whose values and map fill more than a row of units.
    """
    rows, columns, channels = stored.shape
    slices = np.full(rows, _slices(columns, channels, config, sparse))
    if sparse:
        slices += (_group_counts(stored) > row_units(config) - map_units(config)).sum(axis=1)
    return np.maximum(slices, _row_beats(stored, config, sparse))


class _Controller:
    """When a controller's walker and its map decoder are done with what they were given.

    The walker asks for words ahead of the decoder, but never holds more than `fetch_depth`: it asks for a word once the
    word `fetch_depth` before has gone into the decoder. In a large core the next unit already waits beside it.

    Attributes:
        free: when another unit may be given.
    """

    def __init__(self, config: CoreConfig) -> None:
        self.free = self.walker = 0.0
        self.decoder = 0.0
        self._waits = config.large
        self.taken: deque[float] = deque([0.0] * config.fetch_depth, maxlen=config.fetch_depth)
        self._latency = fetch_latency(config)

    def run(self, given: float, steps: int, words: int, issues: int, held_until: float) -> float:
        """Do a unit; returns when its last activation leaves the decoder.

        `held_until`: the array stands still before.
        """
        depth = len(self.taken)
        taken = max(given + self._waits, self.walker)
        asked = max(taken, self.taken[0])
        first = max(self.decoder, asked + self._latency)
        per_word = issues / words
        last_taken = first + (words - depth) * per_word if words > depth else self.taken[words - 1]
        self.walker = max(asked + steps, last_taken)
        self.free = taken + 1 if self._waits else self.walker
        self.decoder = max(first + issues, self.walker + self._latency, held_until)
        kept = min(words, depth)
        self.taken.extend(first + (words - kept + index) * per_word for index in range(kept))
        return self.decoder


class PassSimulation:
    """One pass over the input, in the order in which the allocator gives out units.

    Args:
        costs: of each unit; load, store: cycles of each input and output row on the streams (None: nothing leaves).
        collect: cycles that the post-processor takes for the results of one output pixel.
    """

    def __init__(
        self,
        conv: Convolution,
        mapping: Mapping,
        config: CoreConfig,
        costs: UnitCosts,
        load: Counts,
        collect: int,
        store: Counts | None,
    ) -> None:
        self.conv, self.mapping, self.config, self.costs = conv, mapping, config, costs
        self.load, self.store = load, store
        self.collect, self.results = collect, conv.pool[0] * conv.pool[1]

    def run(self, start: int, loads: bool) -> int:
        """The cycle in which the pass is done, when it starts at `start`."""
        rows, columns = self.conv.output_size
        geometry, mapping = self.mapping.geometry, self.mapping
        window, latency = unit_window(self.config), write_latency(self.config)
        array, stands = array_latency(self.config), self.results * result_cycles(self.config, self.collect)
        controllers = [_Controller(self.config) for _ in range(mapping.space_groups)]
        free = [(float(start), index) for index in range(mapping.space_groups)]
        collected = [0.0] * mapping.space_groups
        top = self.conv.padding[0][0]
        sent = len(geometry.rows)
        loaded: list[float] = []
        finished: list[float] = []
        stored: list[float] = []
        retired: deque[float] = deque([0.0] * window, maxlen=window)
        load_at = start + float(LOAD_LATENCY)
        post_free, work, first_result = 0.0, 0, None
        given = float(start)
        for row in range(rows):
            needed = max(0, min(sent, row * geometry.unit_rows - top + geometry.reach + 1))
            while loads and len(loaded) < needed:
                load_at = max(load_at, self._row_free(len(loaded), finished, top)) + int(self.load[len(loaded)])
                loaded.append(load_at)
            ready = loaded[needed - 1] if loads and needed else float(start)
            if row >= mapping.output_ring:
                ready = max(ready, stored[row - mapping.output_ring])
            given = max(given + 1, ready)
            for column in range(columns):
                at, index = heapq.heappop(free)
                given = max(given + 1, at, retired[0])
                end = controllers[index].run(
                    given,
                    int(self.costs.steps[row, column]),
                    int(self.costs.words[row, column]),
                    int(self.costs.issues[row, column]) + stands,
                    collected[index] - array,
                )
                # Results but a unit's last are collected while others are computed: together they only take their time.
                if first_result is None:
                    first_result = end + array - (end - given) * (self.results - 1) / self.results
                work += self.collect * self.results
                post_free = max(post_free, end + array) + self.collect
                post_free = max(post_free, first_result + work)
                collected[index] = post_free
                retired.append(max(post_free + latency, retired[-1] + 1))
                heapq.heappush(free, (controllers[index].free, index))
            finished.append(retired[-1])
            leaves = 0 if self.store is None else int(self.store[row])
            stored.append(max(finished[-1], stored[-1] if stored else 0.0) + leaves)
        done = finished[-1]
        for row in range(len(loaded), sent if loads else 0):
            load_at += int(self.load[row])
            done = max(done, load_at)
        return round(done if self.store is None else max(done, stored[-1] + STORE_LATENCY))

    def _row_free(self, row: int, finished: list[float], top: int) -> float:
        """When the place of an input row in the ring is free: its predecessor's last reader is finished."""
        first_needed = row - self.mapping.input_ring + 1
        if first_needed <= 0:
            return 0.0
        output_rows = ceil_div(first_needed + top, self.mapping.geometry.unit_rows)
        return finished[min(output_rows, len(finished)) - 1] if finished else 0.0
