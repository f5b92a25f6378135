"""The feature-map stream: sparsity map + non-zero value list (NullHop, TNNLS 2018, section "compression").

**Elements.** A feature map [H][W][C] of stored activations: unsigned, `bits` wide, 0 exactly where the real
value is 0. It travels as *packets*, one a row, so that a sender can pick, skip or reorder rows, or blocks of
channels of rows, by pointer and without merging data. A packet has the W x C elements of its row, channel
fastest.

**Groups.** In sparse form a packet is cut into groups of 16 elements; the last one may have fewer. A group is
a 16-bit sparsity map, whose bit i (least significant first) says that element i is not zero, then the
non-zero values in order. An all-zero group is its map alone. Map bits past the end of the row are 0. In dense
form a packet is its elements and nothing else.

**Units.** On the wire a packet is a sequence of units of `bits` bits, 8 or 16: a value is one unit, a map
16/bits units, least significant first.

**Beats.** A beat carries `beat_units` units, the first one in the least significant bits. A packet starts
with a new beat; its last beat is filled up with zeros and flagged `last`.

A sparse element takes 1 + bits x (1 - s) bits, where s is the share of zeros (rows of a multiple of 16
elements), so the compression is bits / (1 + bits x (1 - s)), and sparse form pays from s = 1/bits on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.sparsity.groups import (
    GROUP_ELEMENTS,
    MAP_BITS,
    CodecError,
    as_rows,
    check_width,
    grouped,
    groups_of,
    pack_maps,
    unpack_maps,
)


def ideal_bits_per_element(bits: int, sparsity: float) -> float:
    """Bits that an element takes in sparse form when a share `sparsity` of the elements is zero."""
    return MAP_BITS / GROUP_ELEMENTS + bits * (1 - sparsity)


def ideal_compression(bits: int, sparsity: float) -> float:
    """Dense size over sparse size."""
    return bits / ideal_bits_per_element(bits, sparsity)


def break_even_sparsity(bits: int) -> float:
    """Share of zeros from which on sparse form is the smaller one."""
    return MAP_BITS / GROUP_ELEMENTS / bits


def compressed_bits(dense: np.ndarray, bits: int) -> int:
    """Bits of the rows [..., elements] in sparse form, without the padding of beats."""
    rows = as_rows(dense, bits)
    return MAP_BITS * rows.shape[0] * groups_of(rows.shape[1]) + bits * int(np.count_nonzero(rows))


@dataclass(frozen=True)
class EncodedRows:
    """Rows in sparse form, for any width of value.

    Attributes
    ----------
    maps : uint16 [rows][groups]
    values : uint16 [non-zero values of all rows]
    elements : elements of a row
    bits : width of a value, 1 to 16
    """

    maps: np.ndarray
    values: np.ndarray
    elements: int
    bits: int

    @property
    def size_bits(self) -> int:
        """Bits of all maps and values."""
        return MAP_BITS * self.maps.size + self.bits * self.values.size


def encode(dense: np.ndarray, bits: int) -> EncodedRows:
    """Sparse form of the rows [..., elements] of unsigned values less than 2**bits, `bits` being 1 to 16.

    Raises
    ------
    CodecError
        `bits` is out of range, or a value is.
    """
    rows = as_rows(dense, bits)
    maps = pack_maps(grouped(rows) != 0)
    return EncodedRows(maps, rows[rows != 0], rows.shape[1], bits)


def decode(encoded: EncodedRows) -> np.ndarray:
    """The rows, uint16 [rows][elements].

    Raises
    ------
    CodecError
        The number of values is not that of the maps, a map marks an element past the end of a row, or a value
        is zero or too wide.
    """
    row_count, groups = encoded.maps.shape
    marked = unpack_maps(encoded.maps).reshape(row_count, groups * GROUP_ELEMENTS)
    if marked[:, encoded.elements :].any():
        row = int(np.flatnonzero(marked[:, encoded.elements :].any(axis=1))[0])
        raise CodecError(f"packet {row}: the last sparsity map marks elements past the row's {encoded.elements}")
    marked = marked[:, : encoded.elements]
    if int(marked.sum()) != encoded.values.size:
        raise CodecError(f"{encoded.values.size} values for maps that mark {int(marked.sum())} elements")
    check_width(encoded.bits)
    if encoded.values.size and (encoded.values.min() == 0 or int(encoded.values.max()) >> encoded.bits):
        raise CodecError(f"a listed value is zero or wider than {encoded.bits} bits")
    rows = np.zeros((row_count, encoded.elements), dtype=np.uint16)
    rows[marked] = encoded.values
    return rows
