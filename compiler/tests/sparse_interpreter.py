"""The rsnn dataflow in numpy, from the bits of a descriptor and of its weight stream alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hw.config import PARAMETER_PLANES, WORD_ELEMENTS, CoreConfig
from hw.dataflow.rsnn.layouts import (
    GroupHeader,
    WeightEntry,
    entries_per_word,
    header_words,
    word_bits,
    words_per_entry,
)
from sim.harness.payload import unpack

Ints = npt.NDArray[np.int64]
Fields = dict[str, Any]


def group_entries(words: npt.NDArray, core: CoreConfig) -> tuple[Fields, list[Fields]]:
    """The header and the entries of a group."""
    layout, count = WeightEntry(core), header_words(core)
    shape = GroupHeader(core)
    header = unpack(shape, int.from_bytes(words[:count].tobytes(), "little") & (1 << shape.size) - 1)
    body = words[count : count + header["words_last"] + 1]
    per_word = entries_per_word(core)
    taken = 1 if per_word else words_per_entry(core)
    found = []
    for at in range(0, len(body), taken):
        bits = int.from_bytes(body[at : at + taken].tobytes(), "little")
        found += [
            unpack(layout, bits >> number * layout.size & (1 << layout.size) - 1) for number in range(max(1, per_word))
        ]
    assert word_bits(core) == 8 * words.shape[1]
    return header, found


def shared_entries(words: npt.NDArray, core: CoreConfig) -> tuple[Fields, list[Fields]]:
    """The same of a layer whose lanes share their entries: each has `weights`, one a lane, instead of a value."""
    layout, count, per_word = WeightEntry(core), header_words(core), entries_per_word(core)
    shape = GroupHeader(core)
    header = unpack(shape, int.from_bytes(words[:count].tobytes(), "little") & (1 << shape.size) - 1)
    body = words[count : count + header["words_last"] + 1]
    found = []
    for at in range(0, len(body), per_word + 1):
        bits = int.from_bytes(body[at].tobytes(), "little")
        for number, weights in enumerate(body[at + 1 : at + 1 + per_word]):
            entry = unpack(layout, bits >> number * layout.size & (1 << layout.size) - 1)
            found.append({**entry, "weights": weights.view(np.int8).astype(np.int64)})
    return header, found


def windows_of(memory: npt.NDArray, layer: Fields, core: CoreConfig, threshold: int) -> tuple[Ints, npt.NDArray]:
    """What each segment finds in the scratchpad: [segments, vectors, banks]; and the memory words that were read."""
    source, sparse, rows, columns = layer["input"], layer["sparse"], layer["window"]["rows"], layer["window"]["columns"]
    modulus = 1 << core.activation_address_bits
    counts = [
        sparse["segment_rows_last"], sparse["segments_last"], source["pixel_words"] - 1, rows["tap_last"],
        sparse["planes_last"], sparse["blocks_last"], sparse["folds_last"], sparse["columns_last"],
    ]  # fmt: skip
    down, across, word, ky, plane, block, fold, q = np.indices([count + 1 for count in counts])
    row = rows["start"] + down * sparse["segment_rows"] + ky * rows["tap_step"] + fold * rows["unit_step"]
    column = (
        columns["start"] + across * sparse["segment_columns"] + plane * columns["tap_step"]
        + block * sparse["block_columns"] + q * columns["unit_step"]
    )  # fmt: skip
    address = (
        rows["start_words"] + down * sparse["segment_row_words"] + ky * rows["tap_words"] + fold * rows["unit_words"]
        + columns["start_words"] + across * sparse["segment_column_words"] + plane * columns["tap_words"]
        + block * sparse["block_words"] + q * columns["unit_words"] + word
    ) % modulus  # fmt: skip
    inside = (row >= 0) & (row <= source["rows_last"]) & (column >= 0) & (column < source["columns"])
    stored = memory[np.where(inside, address, 0)].astype(np.int64) * inside[..., np.newaxis]
    pixels = np.where(stored > threshold, stored - 256, stored)
    segments = pixels.shape[0] * pixels.shape[1]
    # By segment, word, plane and channel the pixels of a vector.
    by_plane = pixels.reshape(segments, counts[2] + 1, -1, (counts[6] + 1) * (counts[7] + 1), WORD_ELEMENTS)
    by_plane = by_plane.swapaxes(3, 4)
    vectors = []
    for number in range(counts[2] + 1):
        if sparse["shared"]:
            vectors.append(by_plane[:, number, :, :, 0])
            continue
        final = number == counts[2]
        channels = sparse["final_channels" if final else "channels"]
        places = sparse["final_plane_vectors" if final else "plane_vectors"]
        kept = np.pad(by_plane[:, number, :, :channels], ((0, 0), (0, 0), (0, places - channels), (0, 0)))
        vectors.append(kept.reshape(segments, -1, kept.shape[-1]))
    whole = np.concatenate(vectors, axis=1)
    padded = np.pad(whole, ((0, 0), (0, 0), (0, core.window_banks - whole.shape[2])))
    return padded, np.unique(address[inside])


def _sums(windows: Ints, header: Fields, entries: list[Fields], layer: Fields, core: CoreConfig) -> dict[int, Ints]:
    """Sums [segments, lanes] of each map of a group."""
    sparse = layer["sparse"]
    lanes, banks = np.arange(core.lanes), core.window_banks
    maps = header["maps"][: sparse["slots_last"] + 1]
    sums = {number: np.zeros((len(windows), core.lanes), np.int64) for number in maps}
    following, base = iter(entries), 0
    for tile in range(sparse["tiles_last"] + 1):
        final = tile == sparse["tiles_last"]
        size = sparse["final_tile_vectors" if final else "tile_vectors"]
        for slot in range(sparse["slots_last"] + 1):
            place, end = 0, False
            while not end:
                entry = next(following)
                place, end = place + entry["delta"], bool(entry["end"])
                at = lanes + entry["rotate"]
                vector = base + place + sparse["plane_vectors"] * (at >= banks)
                assert place < size
                pixels = windows[:, np.minimum(vector, windows.shape[1] - 1), at % banks]
                sums[maps[slot]] += entry["value"] * pixels
        base += size
    assert base == windows.shape[1] <= core.scratchpad_depth * (sparse["tiles_last"] + 1)
    return sums


def _shared_sums(
    windows: Ints, header: Fields, entries: list[Fields], layer: Fields, core: CoreConfig
) -> dict[int, Ints]:
    """The same of a layer whose lanes are neighbouring maps of its only pixel."""
    sparse, (window,) = layer["sparse"], windows
    sums, following, base = np.zeros(core.lanes, np.int64), iter(entries), 0
    for tile in range(sparse["tiles_last"] + 1):
        place, end = 0, False
        while not end:
            entry = next(following)
            place, end = place + entry["delta"], bool(entry["end"])
            sums += entry["weights"] * window[base + place, entry["rotate"]]
        base += sparse["final_tile_vectors" if tile == sparse["tiles_last"] else "tile_vectors"]
    assert base == len(window) and next(following, None) is None and sparse["slots_last"] == 0
    first = header["maps"][0] * core.lanes
    return {first + lane: np.full((1, core.lanes), value) for lane, value in enumerate(sums)}


def sparse_pass(
    windows: Ints, layer: Fields, stream: npt.NDArray, core: CoreConfig
) -> tuple[npt.NDArray, dict[int, Ints], int]:
    """A pass: parameters by beat and plane, sums [segments, lanes] by map, and the beats of the stream that it took."""
    words, at = layer["weights"]["words"], 0
    length = core.post_beats * PARAMETER_PLANES * core.parameter_chunks
    assert words <= core.weight_depth
    planes: list[npt.NDArray] = []
    sums: dict[int, Ints] = {}
    for _ in range(core.groups):
        part = stream[at : at + length].reshape(-1, core.parameter_chunks * core.lanes)[:, : core.post_lanes]
        planes.append(part.reshape(-1, PARAMETER_PLANES, core.post_lanes))
        shared = layer["sparse"]["shared"]
        read, add = (shared_entries, _shared_sums) if shared else (group_entries, _sums)
        sums |= add(windows, *read(stream[at + length : at + length + words], core), layer, core)
        at += length + words
    return np.concatenate(planes), sums, at


def raster(sums: Ints, layer: Fields) -> Ints:
    """Sums [segments, lanes] of a map as pixels in raster order, by the lengths of segments that the fields give."""
    sparse, found, segment = layer["sparse"], [], iter(sums)
    for _ in range(sparse["lines_last"] + 1):
        left = sparse["line_last"] + 1
        while left > 0:
            pixels = min(left, sparse["pixels_last"] + 1)
            found.append(next(segment)[:pixels])
            left -= pixels
    assert next(segment, None) is None
    return np.concatenate(found)
