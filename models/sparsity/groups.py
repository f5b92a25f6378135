"""Groups of 16 elements and their sparsity maps, in numpy."""

from __future__ import annotations

import numpy as np

from models.errors import SkipstoneError

GROUP_ELEMENTS = 16
"""Elements that share a sparsity map."""

MAP_BITS = 16
"""Width of a sparsity map."""


class CodecError(SkipstoneError):
    """A feature map that cannot be encoded, or a stream that is no encoding."""


def check_width(bits: int) -> None:
    """Refuse a width that no value has."""
    if not 1 <= bits <= 16:
        raise CodecError(f"activations of {bits} bits: give 1 to 16")


def as_rows(dense: np.ndarray, bits: int) -> np.ndarray:
    """The values as [rows][elements], checked."""
    check_width(bits)
    array = np.asarray(dense)
    if array.ndim == 0 or array.shape[-1] == 0 or not np.issubdtype(array.dtype, np.integer):
        raise CodecError(f"cannot encode an array {array.dtype}{list(array.shape)}: give rows of whole numbers")
    if array.size and (int(array.min()) < 0 or int(array.max()) >> bits):
        raise CodecError(f"values {int(array.min())} to {int(array.max())} do not fit in {bits} bits")
    return array.reshape(-1, array.shape[-1]).astype(np.uint16, copy=False)


def groups_of(elements: int) -> int:
    """Groups that a row of so many elements takes."""
    return -(-elements // GROUP_ELEMENTS)


def grouped(rows: np.ndarray) -> np.ndarray:
    """[rows][elements] as [rows][groups][16], zeros after the end."""
    count, elements = rows.shape
    groups = groups_of(elements)
    if elements % GROUP_ELEMENTS:
        rows = np.pad(rows, ((0, 0), (0, groups * GROUP_ELEMENTS - elements)))
    return rows.reshape(count, groups, GROUP_ELEMENTS)


def pack_maps(nonzero: np.ndarray) -> np.ndarray:
    """bool [..., 16] as uint16 [...]."""
    packed = np.packbits(nonzero, axis=-1, bitorder="little")
    return packed[..., 0].astype(np.uint16) | packed[..., 1].astype(np.uint16) << 8


def unpack_maps(maps: np.ndarray) -> np.ndarray:
    """uint16 [...] as bool [..., 16]."""
    split = np.stack([maps & 0xFF, maps >> 8], axis=-1).astype(np.uint8)
    return np.unpackbits(split, axis=-1, bitorder="little").astype(bool)
