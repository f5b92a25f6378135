"""What the descriptor of a layer on the csc dataflow means, in numpy: sums of each block of maps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def block_starts(layer: dict[str, Any], channel_groups: int) -> Iterator[list[tuple[int, int]]]:
    """For each pass, for each of its blocks: the first vector of a pixel in the window, and the channel of edge 0."""
    edges, weights = layer["edges"], layer["weights"]
    starts = list(edges["starts"])
    for index in range(layer["passes_last"] + 1):
        blocks = weights["final_blocks_last" if index == layer["passes_last"] else "blocks_last"] + 1
        found = []
        for block in range(blocks):
            start = starts[block % channel_groups]
            vector, channel = (0, start) if edges["whole"] else divmod(start, lanes_of(layer))
            for _ in range(block // channel_groups):
                channel = wrapped(channel + edges["round_step"], edges)
            found.append((vector, channel))
        yield found
        if (index + 1) % (edges["phases_last"] + 1) == 0:
            starts = [wrapped(start + edges["pass_step"], edges) for start in starts]


def lanes_of(layer: dict[str, Any]) -> int:
    """Put there by the interpreter, since no field has it."""
    return int(layer["lanes"])


def wrapped(channel: int, edges: dict[str, int]) -> int:
    """A conditional subtraction."""
    return channel - edges["nodes"] if channel >= edges["nodes"] else channel


def block_sums(layer: dict[str, Any], pixels: Ints, place: tuple[int, int], weights: Ints) -> Ints:
    """Sums of a block [rows, columns, lanes].

    `pixels`: signed elements under each tap [rows, columns, taps (column by column), elements]; `place`: see
    `block_starts`; `weights`: [taps x edges, lanes].
    """
    edges, lanes = layer["edges"], lanes_of(layer)
    first, channel = place
    count, wrap = edges["vectors_last"] + 1, edges["vector_wrap"] + 1
    order = np.concatenate([(first + i) % wrap * lanes + np.arange(lanes) for i in range(count)])
    # A pixel's last vector may be longer than what its last word has: what is behind belongs to nobody.
    window = np.pad(pixels, [(0, 0)] * 3 + [(0, lanes)], constant_values=99)[..., order]
    fan = edges["last"] + 1
    by_tap = weights.reshape(pixels.shape[2], fan, lanes)
    if edges["packed"]:
        return _packed_sums(layer, window, by_tap)
    sums = np.zeros((*pixels.shape[:2], lanes), np.int64)
    for edge in range(fan):
        at = channel + (np.zeros(lanes, int) if edges["broadcast"] else np.arange(lanes))
        if edges["crosses"]:
            at = np.where(at >= edges["nodes"], at - edges["nodes"], at)
        # What is beyond what was fetched is for lanes without a map.
        sums += (window[..., np.minimum(at, window.shape[3] - 1)] * by_tap[:, edge]).sum(axis=2)
        channel = wrapped(channel + edges["dilation"], edges)
    return sums


def _packed_sums(layer: dict[str, Any], window: Ints, by_tap: Ints) -> Ints:
    """A row of the map is one pixel: the window of an output begins at a channel, and what is outside is left out."""
    edges, axis = layer["edges"], layer["window"]["columns"]
    assert edges["broadcast"] and edges["whole"] and axis["unit_words"] == axis["tap_last"] == 0
    sums = np.zeros((*window.shape[:2], by_tap.shape[2]), np.int64)
    for column in range(window.shape[1]):
        begin = axis["start"] + column * axis["unit_step"]
        for edge in range(edges["last"] + 1):
            if 0 <= begin + edge < edges["nodes"]:
                sums[:, column] += (window[:, column, :, begin + edge, np.newaxis] * by_tap[:, edge]).sum(axis=1)
    return sums
