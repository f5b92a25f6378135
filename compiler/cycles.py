"""The cycle model of a pass: what it costs on a core, from the mapping and the zeros of the input.

The model follows the hardware's own bookkeeping, unit by unit: when the rows of a unit are loaded, which controller is free,
how many operations and steps the unit takes, when the post-processor has taken its results. Ideal cycles of a layer:
operations x passes / space_groups; what comes on top is filling, draining, and controllers that wait.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from compiler.convolution import Convolution
from compiler.mapping import Mapping, ceil_div
from hw.config import WORD_ELEMENTS, CoreConfig
from hw.control.units import unit_window

Counts = npt.NDArray[np.int64]

START_LATENCY = 4
"""From the descriptor's acceptance to the first request for a packet."""
LOAD_LATENCY = 8
"""From the request for a packet to its first word in the activation memory."""
ISSUE_LATENCY = 9
"""From a row's last word in memory to the first operation of a unit that waited for it."""
RESULT_LATENCY = 16
"""From a unit's last operation to its activations in memory."""
STORE_LATENCY = 12
"""From a row's last activation in memory to the last beat of its packet, for a packet of one word."""
UNIT_LATENCY = 5
"""From the last step of a unit to the first step that its controller's next unit can take."""


@dataclass(frozen=True)
class UnitCosts:
    """What each unit of a layer takes on its controller: arrays of [output rows, output columns].

    `operations`: non-zero activations under the window; `issues`: cycles of the decoder, at least one a result; `steps`:
    cycles of the walker.
    """

    operations: Counts
    issues: Counts
    steps: Counts


def _window_coordinates(conv: Convolution, mapping: Mapping, axis: int) -> tuple[Counts, Counts]:
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


def unit_costs(conv: Convolution, mapping: Mapping, stored: npt.NDArray) -> UnitCosts:
    """Costs of each unit for the stored input [rows sent, columns, channels] (0 is zero)."""
    non_zero = stored != 0
    pixel = non_zero.sum(axis=2)
    last_word = non_zero[:, :, (mapping.input_pixel_words - 1) * WORD_ELEMENTS :].any(axis=2)
    row_at, row_in = _window_coordinates(conv, mapping, 0)
    column_at, column_in = _window_coordinates(conv, mapping, 1)
    shape = conv.output_size
    operations, issues, steps = (np.zeros(shape, np.int64) for _ in range(3))
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
                    steps += np.where(inside, mapping.input_pixel_words, rows_in[:, None].astype(np.int64))
                    # The last tap closes the result: with an operation of its own if its last word is zero or padding.
                    closing = inside & last_word[index]
                steps += np.where(rows_in, 0, 1)[:, None]
            issues += np.where(closing, 0, 1)
    return UnitCosts(operations, issues + operations, steps)


def row_cycles(stored: npt.NDArray, config: CoreConfig, sparse: bool) -> Counts:
    """Cycles to load or store each row: the larger of the codec's beats and of the stream's."""
    rows, columns, channels = stored.shape
    elements = columns * channels
    if sparse:
        # A decoder beat ends with a sparsity map, with an activation word, and after `codec_elements` elements.
        groups = np.arange(0, elements, WORD_ELEMENTS)
        starts = (np.arange(columns)[:, None] * channels + np.arange(0, channels, WORD_ELEMENTS)).ravel()
        cuts = np.union1d(groups, starts)
    else:
        cuts = (np.arange(columns)[:, None] * channels + np.arange(0, channels, WORD_ELEMENTS)).ravel()
    lengths = np.diff(np.append(cuts, elements))
    decoder = int(np.ceil(lengths / config.codec_elements).sum())
    units = (stored != 0).reshape(rows, -1).sum(axis=1)
    if sparse:
        units = units + ceil_div(elements, WORD_ELEMENTS) * (WORD_ELEMENTS // config.activation_bits)
    else:
        units = np.full(rows, elements)
    return np.maximum(decoder, -(-units // config.stream_units))


class PassSimulation:
    """One pass over the input, in the order in which the allocator gives out units."""

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
        self.load, self.collect, self.store = load, collect, store

    def run(self, start: int, loads: bool) -> int:
        """The cycle in which the pass is done, when it starts at `start`."""
        rows, columns = self.conv.output_size
        geometry, mapping = self.mapping.geometry, self.mapping
        window = unit_window(self.config)
        controllers = [(0, index) for index in range(mapping.space_groups)]
        issue_end = [0] * mapping.space_groups
        collected = [0] * mapping.space_groups
        top = self.conv.padding[0][0]
        sent = len(geometry.rows)
        loaded: list[int] = []
        finished: list[int] = []
        stored: list[int] = []
        retired: list[int] = []
        load_at = start + START_LATENCY + LOAD_LATENCY
        post_free = 0
        for row in range(rows):
            needed = min(sent, row * geometry.unit_rows - top + geometry.reach + 1)
            while loads and len(loaded) < needed:
                load_at = max(load_at, self._row_free(len(loaded), finished, top)) + int(
                    self.load[len(loaded)]
                )
                loaded.append(load_at)
            ready = loaded[needed - 1] if loads and needed > 0 else start + START_LATENCY
            if row >= mapping.output_ring:
                ready = max(ready, stored[row - mapping.output_ring])
            row_end = 0
            for column in range(columns):
                issues, steps = int(self.costs.issues[row, column]), int(self.costs.steps[row, column])
                free, controller = heapq.heappop(controllers)
                begin = max(free, ready + 1)
                if len(retired) >= window:
                    begin = max(begin, retired[-window])
                # The decoder works through the unit behind the walker, at the pace of the slower of the two.
                first = max(issue_end[controller], begin + ISSUE_LATENCY)
                end = max(first + issues, begin + ISSUE_LATENCY + steps)
                end = max(end, collected[controller])
                issue_end[controller] = end
                post_free = max(post_free, end + RESULT_LATENCY - self.collect) + self.collect
                collected[controller] = post_free - RESULT_LATENCY
                row_end = max(row_end, post_free)
                retired.append(max(post_free, retired[-1] + 1 if retired else 0))
                ahead = min(issues, self.config.fetch_depth * issues // max(1, steps))
                heapq.heappush(controllers, (max(begin + steps, end - ahead - UNIT_LATENCY), controller))
            finished.append(retired[-1])
            if self.store is not None:
                stored.append(max(finished[-1], stored[-1] if stored else 0) + int(self.store[row]))
            else:
                stored.append(finished[-1])
        done = finished[-1]
        while loads and len(loaded) < sent:
            load_at += int(self.load[len(loaded)])
            loaded.append(load_at)
            done = max(done, load_at)
        return max(done, stored[-1] + STORE_LATENCY) if self.store is not None else done

    def _row_free(self, row: int, finished: list[int], top: int) -> int:
        """When the place of an input row in the ring is free: its predecessor's last reader is finished."""
        first_needed = row - self.mapping.input_ring + 1
        if first_needed <= 0:
            return 0
        output_rows = ceil_div(first_needed + top, self.mapping.geometry.unit_rows)
        return finished[min(output_rows, len(finished)) - 1] if finished else 0
