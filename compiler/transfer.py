"""Feature maps on their way to and from an accelerator: dense packets, one a row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from compiler.errors import CompilerError
from compiler.feature_maps import MapShape, ceil_div
from compiler.program import from_stored, to_stored
from hw.config import CoreConfig


def packet_bytes(columns: int, channels: int, config: CoreConfig) -> int:
    """Length of a row's packet: whole beats."""
    beats = ceil_div(columns * channels, config.stream_units)
    return beats * config.stream_units * config.activation_bits // 8


def to_packets(values: npt.NDArray, shape: MapShape, zero_point: int, config: CoreConfig) -> bytes:
    """Quantised values, in any shape, as the packets of a map of rows x columns x channels."""
    rows, columns, channels = shape
    stored = to_stored(values.reshape(rows, columns * channels), zero_point, config)
    length = packet_bytes(columns, channels, config) // stored.itemsize
    return np.pad(stored, ((0, 0), (0, length - columns * channels))).astype(stored.dtype.newbyteorder("<")).tobytes()


def from_packets(packets: bytes, shape: MapShape, zero_point: int, config: CoreConfig) -> npt.NDArray:
    """The quantised values [rows, columns, channels] of a map that came as packets.

    Raises:
        CompilerError: there are more or fewer bytes than the map has.
    """
    rows, columns, channels = shape
    length = rows * packet_bytes(columns, channels, config)
    if len(packets) != length:
        raise CompilerError(f"a map of {rows} x {columns} x {channels} has {length} bytes, but {len(packets)} came")
    kind = np.dtype({8: np.uint8, 16: np.uint16}[config.activation_bits]).newbyteorder("<")
    stored = np.frombuffer(packets, kind).reshape(rows, -1)[:, : columns * channels]
    return from_stored(stored.reshape(shape), zero_point, config)
