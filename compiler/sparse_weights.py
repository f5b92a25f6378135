"""Weights of the rsnn dataflow: the entries of each group, packed into weight words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from compiler.convolution import Convolution
from compiler.sparse_plan import Ints, SparseShape, pass_maps
from hw.config import CoreConfig
from hw.dataflow.rsnn.layouts import (
    GroupHeader,
    WeightEntry,
    entries_per_word,
    header_words,
    word_bits,
    words_per_entry,
)
from models.sparsity.merging import merge_kernels

Bytes = npt.NDArray[np.uint8]


@cache
def _entry_layout(config: CoreConfig) -> WeightEntry:
    return WeightEntry(config)


@cache
def _header_layout(config: CoreConfig) -> GroupHeader:
    return GroupHeader(config)


@dataclass(frozen=True, eq=False)
class GroupEntries:
    """The entries of a group in a pass.

    Attributes:
        packed: bits of each `WeightEntry`, in order.
        maps: number in the pass of the map of each slot.
        slot_counts: entries [tiles, slots]; fillers: those without a weight.
        slot_reaches: place in the tile of the last vector that they need [tiles, slots].
        vectors: in a shared layer the weights of each entry, int8[entries, lanes].
    """

    packed: npt.NDArray[np.uint64]
    maps: tuple[int, ...]
    slot_counts: Ints
    slot_reaches: Ints
    fillers: int
    vectors: npt.NDArray[np.int8] | None = None

    def words(self, config: CoreConfig) -> int:
        """Weight words, the header's among them."""
        per_word = entries_per_word(config)
        entries = len(self.packed)
        if self.vectors is not None:
            return header_words(config) + -(-entries // per_word) + entries
        return header_words(config) + (-(-entries // per_word) if per_word else entries * words_per_entry(config))

    def word_bytes(self, config: CoreConfig) -> Bytes:
        """The words: uint8[words, lanes]."""
        size, width, per_word = _entry_layout(config).size, word_bits(config), entries_per_word(config)
        bits = (self.packed[:, np.newaxis] >> np.arange(size, dtype=np.uint64) & np.uint64(1)).astype(np.uint8)
        if per_word:
            bits = np.pad(bits, ((0, -len(bits) % per_word), (0, 0))).reshape(-1, per_word * size)
        bits = np.pad(bits, ((0, 0), (0, -bits.shape[1] % width))).reshape(-1, width)
        words = np.packbits(bits, axis=1, bitorder="little")
        if self.vectors is not None:
            # Each word of entries in front of their weights.
            words = np.insert(self.vectors.view(np.uint8), np.arange(len(words)) * per_word, words, axis=0)
        fields = {"words_last": len(words) - 1, "maps": list(self.maps)}
        header = _header_layout(config).const(fields).as_bits().to_bytes(header_words(config) * config.lanes, "little")
        return np.concatenate([np.frombuffer(header, np.uint8).reshape(-1, config.lanes), words])


def _pack(config: CoreConfig, fields: Mapping[str, npt.NDArray]) -> npt.NDArray[np.uint64]:
    """Entries with these fields, as bits of the hardware's own layout."""
    layout = _entry_layout(config)
    packed = np.uint64(0)
    for name, values in fields.items():
        field = layout[name]
        masked = values.astype(np.int64) & (1 << field.width) - 1
        packed = packed | masked.astype(np.uint64) << np.uint64(field.offset)
    return np.asarray(packed, np.uint64)


def _tile_entries(values: Ints, places: Ints, rotates: Ints, config: CoreConfig) -> tuple[dict[str, Ints], int]:
    """A kernel's weights in a tile as entries, and how many of these are fillers."""
    furthest = (1 << config.delta_bits) - 1
    if not len(values):
        zero = np.zeros(1, np.int64)
        return {"value": zero, "delta": zero, "rotate": zero, "end": zero + 1}, 1
    deltas = np.diff(places, prepend=0)
    fillers = np.maximum(-(-deltas // furthest) - 1, 0)
    ends = np.arange(len(values)) + np.cumsum(fillers)
    entries = {name: np.zeros(ends[-1] + 1, np.int64) for name in ("value", "delta", "rotate", "end")}
    entries["value"][ends], entries["rotate"][ends] = values, rotates
    entries["delta"][:] = furthest
    entries["delta"][ends] = deltas - fillers * furthest
    entries["end"][-1] = 1
    return entries, int(fillers.sum())


@dataclass(frozen=True, eq=False)
class SparseWeights:
    """All entries of a layer.

    Attributes:
        passes: for each pass the entries of each group.
        nonzeros: weights that are not zero.
    """

    passes: tuple[tuple[GroupEntries, ...], ...]
    nonzeros: int

    def words(self, config: CoreConfig) -> int:
        """Weight words that each group has room for in a pass."""
        return max(group.words(config) for one in self.passes for group in one)

    @property
    def entries(self) -> int:
        """Entries of all groups and passes."""
        return sum(len(group.packed) for one in self.passes for group in one)

    @property
    def fillers(self) -> int:
        """Entries without a weight: for steps that are too far, and for kernels that are zero in a tile."""
        return sum(group.fillers for one in self.passes for group in one)


def pack_sparse(conv: Convolution, shape: SparseShape, slots: int, config: CoreConfig) -> SparseWeights:
    """Deal the kernels of each pass to groups and slots, and pack them."""
    tile, place, rotate = (part.ravel() for part in shape.places)
    order = np.lexsort((rotate, place, tile))
    tile, place, rotate = tile[order], place[order], rotate[order]
    cuts = np.searchsorted(tile, np.arange(shape.tiles + 1))
    kernels = conv.weights.reshape(conv.maps, -1)[:, order]
    size = pass_maps(conv, shape, config, slots)
    passes = []
    for first in range(0, conv.maps, size):
        of_pass = kernels[first : first + size]
        if shape.shared:
            passes.append(_pack_shared(of_pass, place, rotate, cuts, config))
            continue
        # A rotation past the vector's end takes pixels of the next block too.
        needed = place + (rotate > shape.banks - shape.pixels) * shape.plane_vectors
        passes.append(_pack_pass(of_pass, place, needed, rotate, cuts, slots, config))
    return SparseWeights(tuple(passes), int(np.count_nonzero(conv.weights)))


def _pack_shared(
    kernels: npt.NDArray, places: Ints, rotates: Ints, cuts: Ints, config: CoreConfig
) -> tuple[GroupEntries, ...]:
    """Neighbouring kernels in the lanes of a group; an entry wherever one of them has a weight."""
    lanes, groups = config.lanes, config.groups
    blocks = np.pad(kernels, ((0, groups * lanes - len(kernels)), (0, 0))).reshape(groups, lanes, -1)
    found = []
    for group, block in enumerate(blocks):
        pieces, vectors, reaches, fillers = [], [], [], 0
        for tile in (slice(start, stop) for start, stop in pairwise(cuts)):
            chosen = np.flatnonzero(block[:, tile].any(axis=0))
            # That there is a weight counts here; the weights themselves follow in words of their own.
            marks = np.ones(len(chosen), np.int64)
            entries, missing = _tile_entries(marks, places[tile][chosen], rotates[tile][chosen], config)
            vector = np.zeros((len(entries["value"]), lanes), np.int8)
            vector[entries["value"] != 0] = block[:, tile][:, chosen].T
            pieces.append(_pack(config, {**entries, "value": np.zeros(len(vector), np.int64)}))
            vectors.append(vector)
            reaches.append([places[tile][chosen].max(initial=0)])
            fillers += missing
        counts = np.array([[len(piece)] for piece in pieces])
        packed = np.concatenate(pieces)
        # With one slot the header still names a map for each: the block's number, and others that none computes.
        found.append(GroupEntries(packed, (group,), counts, np.array(reaches), fillers, np.concatenate(vectors)))
    return tuple(found)


def _pack_pass(
    kernels: npt.NDArray, places: Ints, needed: Ints, rotates: Ints, cuts: Ints, slots: int, config: CoreConfig
) -> tuple[GroupEntries, ...]:
    tiles = [slice(start, stop) for start, stop in pairwise(cuts)]
    nonzeros = np.array([np.count_nonzero(kernels[:, tile], axis=1) for tile in tiles])
    dealt = merge_kernels(nonzeros, config.groups, slots)
    holder = {(int(group), int(slot)): number for number, (group, slot) in enumerate(dealt)}
    free = iter(range(len(kernels), config.groups * slots))
    found = []
    for group in range(config.groups):
        maps = [holder[group, slot] if (group, slot) in holder else next(free) for slot in range(slots)]
        pieces, fillers = [], 0
        counts, reaches = np.zeros((2, len(tiles), slots), np.int64)
        for index, tile in enumerate(tiles):
            for slot, number in enumerate(maps):
                kernel = kernels[number, tile] if number < len(kernels) else np.zeros(0, np.int8)
                chosen = np.flatnonzero(kernel)
                entries, missing = _tile_entries(
                    kernel[chosen].astype(np.int64), places[tile][chosen], rotates[tile][chosen], config
                )
                pieces.append(_pack(config, entries))
                counts[index, slot] = len(pieces[-1])
                reaches[index, slot] = needed[tile][chosen].max(initial=0)
                fillers += missing
        found.append(GroupEntries(np.concatenate(pieces), tuple(maps), counts, reaches, fillers))
    return tuple(found)


@dataclass(frozen=True, eq=False)
class SparsePlan:
    """What a mapping for the rsnn dataflow has besides.

    Attributes:
        shape: segments, vectors and tiles; slots: kernels of a group; weights: their entries.
        words: weight words of each group and pass.
    """

    shape: SparseShape
    slots: int
    weights: SparseWeights
    words: int

    @property
    def operations(self) -> int:
        """Entries with a weight that enter the array, over all segments."""
        return (self.weights.entries - self.weights.fillers) * self.shape.segment_count

    def multiplies(self, operations: int) -> int:
        """Multiplications by a weight that is not zero, for a pixel of the map, of so many operations."""
        return operations * self.weights.nonzeros * self.shape.outputs // max(1, self.operations)
