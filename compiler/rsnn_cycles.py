"""The cycle model of a pass of the rsnn dataflow: it depends on weights and shapes alone, not on the input.

Followed are, tile by tile and slot by slot, when vectors are in the scratchpads, when each group is done with its
entries, when the collector has its results, and when the post-processor has taken a segment's pixels.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from compiler.convolution import Convolution
from compiler.cycles import LOAD_LATENCY, STORE_LATENCY, Counts, write_latency
from compiler.mapping import Mapping, ceil_div
from compiler.sparse_plan import Ints, SparseShape
from hw.config import WORD_ELEMENTS, CoreConfig
from hw.dataflow.rsnn.layouts import entries_per_word, words_per_entry
from hw.dataflow.rsnn.processing_unit import TILES_AHEAD
from hw.memory.activation import read_latency

Times = npt.NDArray[np.float64]

RESULT_LATENCY = 5
"""From a weight entry whose vector is there to its result in the banks, if it closes a kernel and is alone."""
SEGMENT_LATENCY = 3
"""Of the collector, from a segment's last slice to its first beat."""
TRANSPOSER_LATENCY = 4
"""From a plane's last word to its first vector in the scratchpads."""


def vector_latency(config: CoreConfig) -> int:
    """From the request of a plane's last word to its first vector in the scratchpads."""
    return read_latency(config) + 6 + config.large


class Reach(NamedTuple):
    """The last vector that each group needs of a tile: of which word and plane, and its number there."""

    word: Ints
    plane: Ints
    vector: Ints


class _Fetch:
    """When vectors are in the scratchpads: planes in order, as the ring has room for them."""

    def __init__(self, shape: SparseShape, config: CoreConfig, start: float, loading: _Loading | None) -> None:
        self.shape, self.depth, self.loading = shape, config.scratchpad_depth, loading
        self._latency = vector_latency(config)
        self.free = start + 2
        self._given = self._begun = self.free
        self._ahead = config.fetch_depth
        self._written = 0
        self.released: list[tuple[int, float]] = [(0, start)]

    def _room(self, vectors: int) -> float:
        """When the ring has room for so many vectors since the pass began."""
        while self.released[0][0] < vectors - self.depth:
            del self.released[0]
        return self.released[0][1]

    def tile(self, number: int, earliest: float) -> _Arrival:
        """When the vectors of the next tile are there."""
        shape = self.shape
        requests = shape.folds * shape.columns
        words = min(shape.tile_words, shape.words - number * shape.tile_words)
        self.free = max(self.free, earliest)
        begins, paces = np.zeros(words), np.zeros(words)
        for word in range(words):
            final = number == shape.tiles - 1 and word == words - 1
            vectors = shape.final_vectors if final else shape.plane_vectors
            places = shape.final_plane_vectors if final else shape.plane_vectors
            # Planes of a word are alike: the first and the last tell when the others are there.
            for planes in (1, shape.word_planes - 1):
                if not planes:
                    continue
                self.free += planes * requests
                if self.loading is not None:
                    self.free += self.loading.in_the_way(self.free - planes * requests, self.free)
                room = self._room(self._written + planes * places)
                there = self.free + self._latency + vectors - 1
                # The words of a plane are taken in while the one before is given out, and not sooner.
                begun = max(self._given + 1, self._begun + requests) + (planes - 1) * max(vectors, requests)
                self._given = max(begun + vectors - 1, there, room + vectors)
                self._begun = self._given - vectors + 1
                self.free = max(self.free, self._begun - self._latency - self._ahead)
                self._written += planes * places
                begins[word] = begins[word] or self._begun
            paces[word] = (self._begun - begins[word]) / max(1, shape.word_planes - 1)
        return _Arrival(begins, paces)

    @property
    def words_came(self) -> float:
        """When the last word that was asked for is there."""
        return self._begun - TRANSPOSER_LATENCY


class _Loading:
    """Words of the input that are written while others are read: where both want a bank, the read waits."""

    def __init__(self, loaded: Times, conv: Convolution, config: CoreConfig) -> None:
        self._times = np.concatenate([loaded[:1] - (loaded[-1] - loaded[0]) / max(1, len(loaded) - 1), loaded])
        words = conv.size[1] * ceil_div(conv.channels, WORD_ELEMENTS)
        self._reads = np.arange(len(loaded) + 1) * words / config.activation_banks

    def in_the_way(self, start: float, end: float) -> float:
        """Cycles by which reads from start to end come later."""
        if start >= self._times[-1]:
            return 0.0
        before, after = np.interp((start, end), self._times, self._reads)
        return float(after - before)


@dataclass(frozen=True)
class _Arrival:
    """When vectors of a tile are there: of each word's first plane the first, and planes of a word so far apart."""

    begins: Times
    paces: Times

    @property
    def first(self) -> float:
        """When the first vector is there."""
        return float(self.begins[0])

    def last_entry(self, reach: Reach, count: Times) -> Times:
        """When entries may be done at the earliest, whose last needs the vector there, and so many are in a plane."""
        begin = self.begins[reach.word] + reach.plane * self.paces[reach.word]
        return np.asarray(begin + np.maximum(count, reach.vector + 1))


class RsnnPass:
    """One pass.

    Args:
        index: of the pass.
        load: cycles in which each input row arrives, if they do; store: the same of output rows that leave.
    """

    def __init__(
        self,
        conv: Convolution,
        mapping: Mapping,
        config: CoreConfig,
        index: int,
        load: Counts | None = None,
        store: Counts | None = None,
    ) -> None:
        assert mapping.sparse is not None
        self.conv, self.config, self.load, self.store = conv, config, load, store
        self.plan, self.shape = mapping.sparse, mapping.sparse.shape
        groups = self.plan.weights.passes[index]
        per_word = entries_per_word(config)
        self.counts = np.array([group.slot_counts for group in groups]) * (1 if per_word else words_per_entry(config))
        """[groups, tiles, slots]"""
        if self.shape.shared:
            self.counts += -(-self.counts // per_word)
        reaches = np.array([group.slot_reaches for group in groups])
        self.reach = [[self._reach(slot, tile) for slot in reaches[:, tile].T] for tile in range(self.shape.tiles)]
        """[tiles][slots]"""
        self.slice_beats = ceil_div(config.lanes if self.shape.shared else self.shape.pixels, config.post_lanes)
        self.map_beats = ceil_div(mapping.maps_of_pass(index, conv.maps), config.post_lanes)

    def _reach(self, places: Ints, tile: int) -> Reach:
        shape = self.shape
        word, place = np.divmod(places, shape.word_planes * shape.plane_vectors)
        final = tile * shape.tile_words + word == shape.words - 1
        return Reach(word, *np.divmod(place, np.where(final, shape.final_plane_vectors, shape.plane_vectors)))

    def run(self, start: int) -> int:
        """The cycle in which the pass is done, when it starts at `start`."""
        shape, config = self.shape, self.config
        loaded = self._loaded(start)
        loading = None if loaded is None else _Loading(loaded, self.conv, config)
        fetch = _Fetch(shape, config, start, loading)
        groups = np.full(config.groups, start + 4.0)
        taken: deque[Times] = deque([groups - 4, groups - 4], maxlen=2)
        released: deque[float] = deque([float(start)] * TILES_AHEAD, maxlen=TILES_AHEAD)
        given: deque[float] = deque([float(start)] * 2, maxlen=2)
        collector, retired, total = float(start), float(start), 0
        finished: list[float] = []
        for segment, pixels in enumerate(shape.segment_pixels()):
            earliest = self._rows_there(segment, loaded, start)
            if segment % shape.segments[1] == 0:
                earliest = max(earliest, fetch.free + 1)
            for tile in range(shape.tiles):
                arrival = fetch.tile(tile, earliest)
                planes = shape.word_planes * min(shape.tile_words, shape.words - tile * shape.tile_words)
                total += shape.tile_vectors(tile)
                for slot in range(self.plan.slots):
                    count = self.counts[:, tile, slot]
                    # The last plane's entries cannot be done before their vectors come.
                    least = arrival.last_entry(self.reach[tile][slot], count / planes)
                    groups = np.maximum(np.maximum(groups, arrival.first) + count, least)
                    if tile < shape.tiles - 1:
                        continue
                    groups = np.maximum(groups, taken[0])
                    collector, slices = self._collect(groups + RESULT_LATENCY, max(collector, given[0]))
                    taken.append(slices)
                groups = np.maximum(groups, released[0])
                released.append(float(groups.max()) + 1)
                fetch.released.append((total, released[-1] + 2))
            begin = max(given[-1] + 1, collector + SEGMENT_LATENCY - 1)
            given.append(begin + int(pixels) * self.map_beats)
            retired = max(given[-1] + write_latency(config), retired + int(pixels))
            finished.append(retired)
        # Done with the last result, but not before the last word has come, however few weights want it.
        return round(max(self._stored(finished), fetch.words_came))

    def _collect(self, ready: Times, free: float) -> tuple[float, Times]:
        """When the collector is done with the results of a slot, and when each group's was taken."""
        order = np.argsort(ready, kind="stable")
        steps = np.arange(len(ready)) * float(self.slice_beats)
        begun: Times = np.maximum.accumulate(np.maximum(ready[order], free) - steps) + steps
        slices = np.empty_like(ready)
        slices[order] = begun + self.slice_beats - 1 - (2 if self.config.large else 1)
        return float(begun[-1]) + self.slice_beats, slices

    def _loaded(self, start: int) -> Times | None:
        return None if self.load is None else np.cumsum(self.load).astype(np.float64) + start + LOAD_LATENCY

    def _rows_there(self, segment: int, loaded: Times | None, start: int) -> float:
        """When the input rows of a segment are in memory."""
        if loaded is None:
            return float(start)
        row = segment // self.shape.segments[1] * self.shape.folds + self.shape.folds - 1
        last = row * self.conv.stride[0] - self.conv.padding[0][0] + (self.conv.kernel[0] - 1) * self.conv.dilation[0]
        return float(loaded[min(max(last, 0), len(loaded) - 1)]) + 1

    def _stored(self, finished: list[float]) -> float:
        """When the output has left, if it does."""
        if self.store is None:
            return finished[-1]
        stored, each = 0.0, self.shape.segment_pixels()
        ends = np.cumsum(each)
        for row, leaves in enumerate(self.store):
            segment = int(np.searchsorted(ends, (row + 1) * self.shape.size[1]))
            stored = max(stored, finished[segment]) + int(leaves)
        return stored + STORE_LATENCY
