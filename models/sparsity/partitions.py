"""Partitions of a layer's weights: which of them share a quota when it is pruned with balance.

A partition is an integer label for each weight. Weights of one label are those that one unit (PU) of a sparse-weight
grid reads between two moments at which it waits for the others: its kernels' weights of one tile of input channels.

`kernel_partition` gives each kernel a quota of its own. Kernels that are level stay so in whatever way they are dealt
to units, so weights pruned by it are balanced on a grid of any number of units, and in any tiling by a multiple of its
tile. `unit_partition` is for one given grid: coarser, so it leaves the choice of weights freer.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.errors import SkipstoneError

Labels = npt.NDArray[np.int64]


class PartitionError(SkipstoneError):
    """Weights that cannot be divided in the way that was asked for."""


def unit_partition(
    shape: tuple[int, ...], units: npt.ArrayLike, channel_tile: int | None = None, channel_axis: int = -1
) -> Labels:
    """A label for each pair of unit and tile of input channels.

    Args:
        shape: of the weights, output kernels first.
        units: the unit of each kernel, integers of 0 or more [kernels].
        channel_tile: input channels of a tile, the last tile has what is left; None is one tile of all.
        channel_axis: the dimension of the input channels: the last in a network's layers, 1 in PyTorch and ONNX.

    Returns:
        int64 labels of ``shape``: 0 up to the number of units times that of tiles.

    Raises:
        PartitionError: no kernels and channels, units of another number of kernels, or a tile of no channels.
    """
    given = np.asarray(units)
    if len(shape) < 2 or min(shape) < 1:
        raise PartitionError(f"weights of shape {list(shape)}: outputs first and a dimension of channels are needed")
    if given.shape != shape[:1] or not np.issubdtype(given.dtype, np.integer) or given.min() < 0:
        raise PartitionError(f"units {given.dtype}{list(given.shape)} are not those of {shape[0]} kernels")
    axis = channel_axis % len(shape)
    if axis == 0 or (channel_tile is not None and channel_tile < 1):
        raise PartitionError(f"tiles of {channel_tile} channels along dimension {axis} of {list(shape)}")
    channels = shape[axis]
    tile = channels if channel_tile is None else channel_tile
    tiles = -(-channels // tile)
    spread = [1] * len(shape)
    spread[axis] = channels
    tile_of = (np.arange(channels) // tile).reshape(spread)
    unit_of = given.astype(np.int64).reshape(-1, *[1] * (len(shape) - 1))
    return np.broadcast_to(unit_of * tiles + tile_of, shape)


def kernel_partition(shape: tuple[int, ...], channel_tile: int | None = None, channel_axis: int = -1) -> Labels:
    """A label for each pair of output kernel and tile of input channels; otherwise as `unit_partition`."""
    return unit_partition(shape, np.arange(shape[0] if shape else 0), channel_tile, channel_axis)


def nonzeros_by_kernel(
    weights: npt.NDArray, channel_tile: int | None = None, channel_axis: int = -1
) -> npt.NDArray[np.int64]:
    """Non-zero weights of each kernel in each tile: int64[tiles, kernels], what `merge_kernels` takes.

    Raises:
        PartitionError: as `kernel_partition`.
    """
    labels = kernel_partition(weights.shape, channel_tile, channel_axis)
    counts = np.bincount(labels[weights != 0], minlength=int(labels.max()) + 1)
    return counts.reshape(len(weights), -1).T
