"""Where an activation's elements lie: ONNX counts channels first, Skipstone stores them last.

A feature map of shape (1, C, H, W) in the file is stored as (1, H, W, C); any other activation is stored as the
file has it. Operators that only rename elements (Transpose, Reshape, Flatten) may leave an activation whose
elements lie in another order. Its *order* then says where each lies: an array of the shape that ONNX gives
the activation, whose entries are indices into the stored tensor, flattened. None is the natural order.
"""

from collections.abc import Sequence
from math import prod

import numpy as np
import numpy.typing as npt

from models.network import Shape

Order = npt.NDArray[np.int64]

_CHANNELS_LAST = (0, 2, 3, 1)


def stored_axes(rank: int) -> tuple[int, ...]:
    """For each dimension of the stored tensor, ONNX's dimension of a naturally ordered activation."""
    return _CHANNELS_LAST if rank == len(_CHANNELS_LAST) else tuple(range(rank))


def stored_axis(axis: int, rank: int) -> int:
    """The stored dimension of ONNX's dimension ``axis``."""
    return stored_axes(rank).index(axis)


def stored_shape(shape: Shape) -> Shape:
    """The stored shape of a naturally ordered activation."""
    return tuple(shape[axis] for axis in stored_axes(len(shape)))


def to_stored(values: npt.NDArray) -> npt.NDArray:
    """Elements in ONNX's order, as they are stored."""
    return np.ascontiguousarray(values.transpose(stored_axes(values.ndim)))


def natural_order(shape: Shape) -> Order:
    """The natural order, spelled out."""
    flat = np.arange(prod(shape)).reshape(stored_shape(shape))
    return flat.transpose(np.argsort(stored_axes(len(shape))))


def simplified(order: Order) -> Order | None:
    """None if the order is the natural one."""
    return None if np.array_equal(order, natural_order(order.shape)) else order


def row_major(order: Order) -> bool:
    """Whether elements lie as ONNX counts them."""
    return bool(np.array_equal(order.ravel(), np.arange(order.size)))


def columns(order: Order) -> npt.NDArray[np.int64] | None:
    """Where the elements of each row (the last dimension) lie within it, if rows follow each other and are alike."""
    depth = order.shape[-1]
    rows = order.reshape(-1, depth)
    within = rows[0]
    expected = np.arange(len(rows))[:, np.newaxis] * depth + within
    alike = np.array_equal(rows, expected) and np.array_equal(np.sort(within), np.arange(depth))
    return within if alike else None


def resolve_reshape(shape: Shape, target: Sequence[int], keep_zeros: bool) -> Shape | None:
    """The shape that Reshape's target means, or None if it does not fit (0: as in the input, -1: the rest)."""
    sizes = list(target)
    for index, size in enumerate(sizes):
        if size == 0 and not keep_zeros:
            if index >= len(shape):
                return None
            sizes[index] = shape[index]
    if sizes.count(-1) == 1:
        known = -prod(sizes)
        if known <= 0 or prod(shape) % known:
            return None
        sizes[sizes.index(-1)] = prod(shape) // known
    return tuple(sizes) if all(size > 0 for size in sizes) and prod(sizes) == prod(shape) else None
