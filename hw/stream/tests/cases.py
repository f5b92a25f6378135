"""Random packets for the benches of the codec, and what numpy says of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hw.config import WORD_ELEMENTS, CoreConfig
from models.sparsity import Beats, encode_beats, to_packets

CORES = [
    # elements a cycle, units a beat, bits of an activation
    (1, 2, 8),
    (1, 1, 16),
    (2, 4, 16),
    (4, 2, 16),
    (4, 32, 8),
    (8, 8, 8),
    (16, 2, 8),
    (16, 16, 8),
    (16, 16, 16),
    (16, 32, 8),
]

SHAPES = [(1, 1), (1, 16), (16, 1), (7, 3), (5, 4), (3, 15), (2, 16), (3, 17), (1, 31), (2, 33), (2, 48)]
"""Pixels and channels of a packet."""


def core(elements: int, units: int, bits: int) -> CoreConfig:
    return CoreConfig(codec_elements=elements, stream_units=units, activation_bits=bits)


@dataclass(frozen=True)
class Packet:
    """One row of a feature map, [pixels][channels]."""

    row: np.ndarray
    sparse: bool
    bits: int

    @property
    def segment(self) -> dict[str, int]:
        pixels, channels = self.row.shape
        return {"pixels": pixels, "channels": channels, "sparse": int(self.sparse)}

    def beats(self, units: int) -> Beats:
        return encode_beats(self.row.reshape(1, -1), self.bits, units, sparse=self.sparse)

    @property
    def units(self) -> int:
        return int(to_packets(self.row.reshape(1, -1), self.bits, sparse=self.sparse).units.size)

    def wire(self, units: int) -> list[dict[str, object]]:
        """The beats as payloads."""
        beats = self.beats(units)
        data = beats.data.view("<u2") if self.bits == 16 else beats.data
        return [{"data": beat.tolist(), "last": int(last)} for beat, last in zip(data, beats.last, strict=True)]

    def words(self) -> list[dict[str, object]]:
        """The activation words, each pixel in words of its own, as payloads for the encoder."""
        channels = self.row.shape[1]
        words: list[dict[str, object]] = []
        for pixel in self.row:
            for start in range(0, channels, WORD_ELEMENTS):
                elements = pixel[start : start + WORD_ELEMENTS].tolist()
                padding = [1] * (WORD_ELEMENTS - len(elements))
                words.append(
                    {
                        "data": elements + padding,
                        "count": len(elements),
                        "last": 0,
                        "sparse": int(self.sparse),
                    }
                )
        words[-1]["last"] = 1
        return words

    def slices(self, most: int, *, aligned: bool = False) -> Iterator[Slice]:
        """The packet in slices of at most so many elements, none across the end of a word, a pixel or a
        group.

        `aligned`: nor across a multiple of `most` in the word.
        """
        channels = self.row.shape[1]
        elements = self.row.reshape(-1).tolist()
        position, start = 0, 0
        while position < len(elements):
            channel, place = position % channels, position % WORD_ELEMENTS
            limits = [most, channels - channel, WORD_ELEMENTS - start]
            if self.sparse:
                limits.append(WORD_ELEMENTS - place)
            if aligned:
                limits.append(most - start % most)
            count = min(limits)
            word_last = channel + count == channels or start + count == WORD_ELEMENTS
            yield Slice(
                elements=elements[position : position + count],
                start=start,
                word_last=word_last,
                packet_last=position + count == len(elements),
                map_ahead=self.sparse and position == 0,
                map_behind=self.sparse and place + count == WORD_ELEMENTS and position + count < len(elements),
                sparse=self.sparse,
            )
            position += count
            start = 0 if word_last else start + count

    def crowded_groups(self, most: int) -> int:
        """Groups of the sparse form with more than so many non-zero values."""
        if not self.sparse:
            return 0
        elements = self.row.reshape(-1)
        groups = [elements[start : start + WORD_ELEMENTS] for start in range(0, elements.size, WORD_ELEMENTS)]
        return sum(int(np.count_nonzero(group)) > most for group in groups)


@dataclass(frozen=True)
class Slice:
    """Elements that the decoder or the encoder handles at once.

    `start`: place in the word of the first one; `word_last`, `packet_last`: the word, the packet ends with
    them; `map_ahead`, `map_behind`: a map comes before, after their values.
    """

    elements: list[int]
    start: int
    word_last: bool
    packet_last: bool
    map_ahead: bool
    map_behind: bool
    sparse: bool

    @property
    def values(self) -> int:
        """Units of values."""
        return sum(value != 0 for value in self.elements) if self.sparse else len(self.elements)


def random_packets(bits: int, seed: int, count: int, max_elements: int = 100) -> list[Packet]:
    """Packets of all kinds: sparse and dense, empty and full, of one pixel, of one channel, of odd sizes."""
    generator = np.random.default_rng(seed)
    packets: list[Packet] = []
    while len(packets) < count:
        pixels, channels = SHAPES[generator.integers(len(SHAPES))]
        if generator.random() < 0.3:
            pixels, channels = int(generator.integers(1, 9)), int(generator.integers(1, 70))
        if pixels * channels > max_elements:
            continue
        density = generator.choice([0, 0.1, 0.5, 0.9, 1])
        row = generator.integers(1, 1 << bits, (pixels, channels))
        row *= generator.random(row.shape) < density
        packets.append(Packet(row, bool(generator.random() < 0.7), bits))
    return packets
