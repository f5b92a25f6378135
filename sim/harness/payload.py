"""A stream's payload in its four forms: a Python value, the integer of its bits, bytes, a line of hex digits.

In the Verilog a payload is one vector, whatever its Amaranth shape, and it has lost its sign. `pack` and
`unpack` cross that border for one value; `to_rows` and `from_rows` carry many at once as an array of bytes,
least significant first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from amaranth.hdl import Shape
from amaranth.lib import data, enum

Rows = np.ndarray
"""Beats as uint8 of shape (beats, bytes a beat); byte 0 of a row holds bits 7..0."""


def width_of(shape: Any) -> int:
    """Bits of a payload of that shape."""
    return Shape.cast(shape).width


def bytes_of(width: int) -> int:
    """Bytes that hold that many bits."""
    return -(-width // 8)


def pack(shape: Any, value: Any) -> int:
    """The bits of a value, as an unsigned integer.

    A structure is a mapping of its fields, an array a sequence, nested as deep as the shape; fields left out
    are 0.

    Raises
    ------
    ValueError
        A number does not fit its field.
    """
    shape = _resolved(shape)
    if isinstance(shape, data.Layout) and not isinstance(value, int | np.integer):
        return _pack_layout(shape, value)
    number = value.value if isinstance(value, enum.Enum) else value
    return _fit(Shape.cast(shape), int(number))


def _resolved(shape: Any) -> Any:
    """The layout of a `data.Struct` or `data.Union` class; any other shape as it is."""
    is_aggregate = isinstance(shape, type) and issubclass(shape, data.Struct | data.Union)
    return data.Layout.cast(shape) if is_aggregate else shape


def _pack_layout(layout: data.Layout, value: Any) -> int:
    if isinstance(value, data.Const):
        return value.as_bits()
    items: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, Mapping) else enumerate(value)
    bits = 0
    for key, item in items:
        field = layout[key]
        bits |= pack(field.shape, item) << field.offset
    return bits


def _fit(shape: Shape, value: int) -> int:
    low, high = (-(1 << shape.width - 1), 1 << shape.width - 1) if shape.signed else (0, 1 << shape.width)
    if shape.width == 0:
        low, high = 0, 1
    if not low <= value < high:
        raise ValueError(f"{value} does not fit {shape!r}")
    return value & ((1 << shape.width) - 1)


def unpack(shape: Any, bits: int) -> Any:
    """The value that those bits are: an int, an enumeration's member, or dicts and lists of them."""
    shape = _resolved(shape)
    if isinstance(shape, data.ArrayLayout):
        return [_unpack_field(shape[index], bits) for index in range(shape.length)]
    if isinstance(shape, data.Layout):
        return {key: _unpack_field(field, bits) for key, field in shape}
    plain = Shape.cast(shape)
    bits &= (1 << plain.width) - 1
    number = bits - (1 << plain.width) if plain.signed and bits >> (plain.width - 1) else bits
    return shape(number) if isinstance(shape, enum.EnumType) else number


def _unpack_field(field: data.Field, bits: int) -> Any:
    return unpack(field.shape, bits >> field.offset)


def to_rows(width: int, beats: Any) -> Rows:
    """Beats as rows of bytes.

    Parameters
    ----------
    width
        Bits of the payload.
    beats
        A uint8 array of shape (beats, bytes a beat), least significant byte first, taken as it is; or an
        iterable of unsigned integers (an integer array, or Python integers of any size), or of `bytes`, least
        significant first.

    Raises
    ------
    ValueError
        A beat has bits beyond `width`.
    """
    size = bytes_of(width)
    if isinstance(beats, np.ndarray) and beats.dtype == np.uint8 and beats.ndim == 2:
        rows = beats
    else:
        packed = [
            b if isinstance(b, bytes) else int(b).to_bytes(max(size, _bytes_needed(int(b))), "little") for b in beats
        ]
        if any(len(b) != size for b in packed):
            raise ValueError(f"a beat of a {width}-bit stream must have {size} bytes and fit in {width} bits")
        rows = np.frombuffer(b"".join(packed), np.uint8).reshape(len(packed), size)
    if rows.shape[1] != size or (width % 8 and np.any(rows[:, -1] >> (width % 8))):
        raise ValueError(f"a beat of a {width}-bit stream must have {size} bytes and fit in {width} bits")
    return rows


def _bytes_needed(value: int) -> int:
    if value < 0:
        raise ValueError(f"beat {value} is negative: give the bits of the payload (see pack)")
    return bytes_of(value.bit_length())


def from_rows(rows: Rows) -> list[int]:
    """Each beat as an unsigned integer."""
    return [int.from_bytes(row.tobytes(), "little") for row in rows]


def to_hex(rows: Rows) -> str:
    """One line of hex digits a beat, most significant first: what the Verilog player reads."""
    if not len(rows):
        return ""
    text = np.ascontiguousarray(rows[:, ::-1]).tobytes().hex()
    digits = 2 * rows.shape[1]
    return "\n".join(text[start : start + digits] for start in range(0, len(text), digits)) + "\n"


def from_hex(text: str, width: int) -> Rows:
    """What the Verilog recorder wrote, as rows of bytes."""
    size = bytes_of(width)
    return np.frombuffer(bytes.fromhex(text), np.uint8).reshape(-1, size)[:, ::-1]
