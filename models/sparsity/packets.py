"""Packets on the wire: rows as units, units as beats, and back. The format is described in `codec`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.sparsity.codec import EncodedRows, decode
from models.sparsity.groups import (
    GROUP_ELEMENTS,
    MAP_BITS,
    CodecError,
    as_rows,
    grouped,
    groups_of,
    pack_maps,
)


@dataclass(frozen=True)
class Packets:
    """Packets as units.

    Attributes
    ----------
    units : uint8 (uint16 for 16 bits) [units of all packets]
    starts : int64 [packets + 1]
        Where each packet starts; the last entry is the end of the last packet.
    bits : width of a unit, 8 or 16
    """

    units: np.ndarray
    starts: np.ndarray
    bits: int

    def __len__(self) -> int:
        return len(self.starts) - 1


@dataclass(frozen=True)
class Beats:
    """Packets as beats.

    Attributes
    ----------
    data : uint8 [beats][beat_units * bits / 8]
        Least significant byte first.
    last : bool [beats]
        The packet ends with this beat.
    """

    data: np.ndarray
    last: np.ndarray

    def __len__(self) -> int:
        return len(self.data)

    @property
    def ends(self) -> np.ndarray:
        """For each packet the beat after its last one, int64."""
        return np.flatnonzero(self.last) + 1

    def select(self, packets: Sequence[int] | np.ndarray) -> Beats:
        """The beats of those packets, in that order."""
        ends = self.ends
        starts = np.concatenate([[0], ends])[:-1]
        index = _runs(starts[packets], ends[packets] - starts[packets])
        return Beats(self.data[index], self.last[index])

    def as_integers(self) -> list[int]:
        """Each beat's data as one number."""
        return [int.from_bytes(row.tobytes(), "little") for row in self.data]

    @staticmethod
    def from_integers(data: Sequence[int], last: Sequence[bool], beat_units: int, bits: int) -> Beats:
        """Beats from one number each."""
        width = beat_units * bits // 8
        joined = b"".join(beat.to_bytes(width, "little") for beat in data)
        rows = np.frombuffer(joined, dtype=np.uint8).reshape(len(data), width)
        return Beats(rows, np.array(last, dtype=bool))


def to_packets(dense: np.ndarray, bits: int, *, sparse: bool) -> Packets:
    """Each row of [..., elements] as a packet, in sparse or dense form.

    Raises
    ------
    CodecError
        `bits` is not 8 or 16, or a value does not fit.
    """
    dtype = _unit_dtype(bits)
    rows = as_rows(dense, bits)
    if not sparse:
        starts = np.arange(len(rows) + 1, dtype=np.int64) * rows.shape[1]
        return Packets(rows.reshape(-1).astype(dtype), starts, bits)
    groups = grouped(rows)
    nonzero = groups != 0
    maps = pack_maps(nonzero)
    map_units = MAP_BITS // bits
    units = np.empty((*maps.shape, map_units + GROUP_ELEMENTS), dtype=dtype)
    kept = np.ones(units.shape, dtype=bool)
    for index in range(map_units):
        units[..., index] = maps >> (index * bits) & ((1 << bits) - 1)
    units[..., map_units:] = groups
    kept[..., map_units:] = nonzero
    lengths = np.count_nonzero(kept, axis=(1, 2))
    return Packets(units[kept], np.concatenate([[0], np.cumsum(lengths)]), bits)


def to_beats(packets: Packets, beat_units: int) -> Beats:
    """The packets in beats of `beat_units` units (at least 1)."""
    lengths = np.diff(packets.starts)
    beats = -(-lengths // beat_units)
    first = np.concatenate([[0], np.cumsum(beats)])
    padded = np.zeros(int(first[-1]) * beat_units, dtype=packets.units.dtype)
    padded[_runs(first[:-1] * beat_units, lengths)] = packets.units
    last = np.zeros(int(first[-1]), dtype=bool)
    last[first[1:] - 1] = True
    little = padded.astype(padded.dtype.newbyteorder("<"), copy=False)
    return Beats(little.view(np.uint8).reshape(len(last), beat_units * packets.bits // 8), last)


def encode_beats(dense: np.ndarray, bits: int, beat_units: int, *, sparse: bool) -> Beats:
    """The beats of the rows [..., elements]: `to_packets`, then `to_beats`."""
    return to_beats(to_packets(dense, bits, sparse=sparse), beat_units)


def from_beats(beats: Beats, elements: int, bits: int, *, sparse: bool) -> np.ndarray:
    """The rows that the packets hold, uint16 [packets][elements].

    Raises
    ------
    CodecError
        A packet is shorter or longer than its row, its padding is not zero, a map marks elements past the end
        of the row, or a listed value is zero.
    """
    if len(beats) and not beats.last[-1]:
        raise CodecError(f"packet {len(beats.ends)}: the stream ends before the packet does")
    units = np.ascontiguousarray(beats.data).view(_unit_dtype(bits).newbyteorder("<"))
    beat_units = units.shape[1]
    ends = beats.ends * beat_units
    starts = np.concatenate([[0], ends])[:-1].astype(np.int64)
    flat = units.reshape(-1).astype(np.uint16)
    if sparse:
        maps, values, stops = _split_groups(flat, starts, ends, elements, bits)
        rows = decode(EncodedRows(maps, values, elements, bits))
    else:
        stops = starts + elements
        _check_present(stops, ends, "row")
        rows = flat[starts[:, np.newaxis] + np.arange(elements)]
    _check_end(flat, stops, ends, beat_units)
    return rows


def _unit_dtype(bits: int) -> np.dtype:
    if bits not in (8, 16):
        raise CodecError(f"units of {bits} bits: give 8 or 16")
    return np.dtype(np.uint8 if bits == 8 else np.uint16)


def _runs(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Indices starts[0], starts[0]+1, ... (lengths[0] of them), then those of the next run, and so on."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))


def _split_groups(
    units: np.ndarray, starts: np.ndarray, ends: np.ndarray, elements: int, bits: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Maps [packets][groups], the values, and where each packet stops; all packets side by side."""
    map_units = MAP_BITS // bits
    groups = groups_of(elements)
    maps = np.zeros((len(starts), groups), dtype=np.uint16)
    value_starts = np.zeros((len(starts), groups), dtype=np.int64)
    position = starts.copy()
    for group in range(groups):
        _check_present(position + map_units, ends, f"group {group}")
        for index in range(map_units):
            maps[:, group] |= units[position + index] << (index * bits)
        position += map_units
        value_starts[:, group] = position
        position += np.bitwise_count(maps[:, group])
        _check_present(position, ends, f"group {group}")
    counts = np.bitwise_count(maps).reshape(-1)
    return maps, units[_runs(value_starts.reshape(-1), counts.astype(np.int64))], position


def _check_present(stops: np.ndarray, ends: np.ndarray, what: str) -> None:
    if (stops > ends).any():
        raise CodecError(f"packet {int(np.flatnonzero(stops > ends)[0])} ends within its {what}")


def _check_end(units: np.ndarray, stops: np.ndarray, ends: np.ndarray, beat_units: int) -> None:
    if (ends - stops >= beat_units).any():
        packet = int(np.flatnonzero(ends - stops >= beat_units)[0])
        raise CodecError(f"packet {packet} goes on after its row is complete")
    padding = _runs(stops, ends - stops)
    if units[padding].any():
        where = padding[np.flatnonzero(units[padding])[0]]
        packet = int(np.searchsorted(ends, where, side="right"))
        raise CodecError(f"packet {packet}: the padding of its last beat is not zero")
