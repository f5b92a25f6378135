"""Where tensors lie: buffers of the activation memory, and the feature maps in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import prod

from compiler.mapping import ceil_div
from hw.config import WORD_ELEMENTS
from models.tensor import Shape

MapShape = tuple[int, int, int]
"""Rows, columns and channels of a feature map."""


def pixel_words(channels: int, word_elements: int = WORD_ELEMENTS) -> int:
    """Activation words of a pixel."""
    return ceil_div(channels, word_elements)


def map_shape(shape: Shape) -> MapShape:
    """A tensor's shape for batch 1 as a feature map: the last dimension is the channels, the one before the columns."""
    dims = [int(size) for size in shape[1:]]
    if not dims:
        return 1, 1, 1
    columns = dims[-2] if len(dims) > 1 else 1
    return prod(dims[:-2]), columns, dims[-1]


@dataclass(frozen=True)
class Buffer:
    """A run of words in the activation memory: `pixels` one after another, each with room for `channels`."""

    name: str
    pixels: int
    channels: int
    word_elements: int = WORD_ELEMENTS

    @property
    def words(self) -> int:
        """Its length."""
        return self.pixels * pixel_words(self.channels, self.word_elements)


@dataclass(frozen=True)
class FeatureMap:
    """A tensor in a buffer, all of it or a part: pixels one after another, row by row, `pixel_words` apart.

    Attributes:
        tensor: whose elements these are; buffer: which buffer they lie in.
        rows, columns, channels: its shape.
        zero_point: an activation is stored as its distance from it.
        offset: words from the buffer's start to the pixel where the map begins; first_channel: where in its pixels.
        pixel_words: from a pixel to the next.
        ends_pixel: behind its channels only the unused elements of the pixel's last word follow.
        word_elements: of a word of the memory.
    """

    tensor: str
    buffer: str
    rows: int
    columns: int
    channels: int
    zero_point: int
    offset: int
    first_channel: int
    pixel_words: int
    ends_pixel: bool = True
    word_elements: int = WORD_ELEMENTS

    @classmethod
    def filling(cls, buffer: Buffer, shape: MapShape, zero_point: int) -> FeatureMap:
        """The map, named as the buffer, that fills a buffer."""
        words = pixel_words(buffer.channels, buffer.word_elements)
        return cls(buffer.name, buffer.name, *shape, zero_point, 0, 0, words, word_elements=buffer.word_elements)

    @property
    def shape(self) -> MapShape:
        """Rows, columns and channels."""
        return self.rows, self.columns, self.channels

    @property
    def row_words(self) -> int:
        """From a row to the next."""
        return self.columns * self.pixel_words

    @property
    def words(self) -> int:
        """From its first word to the end of its last row."""
        return self.rows * self.row_words

    @property
    def end_channel(self) -> int:
        """Where it ends in its pixels."""
        return self.first_channel + self.channels

    @property
    def used_words(self) -> int:
        """Words of a pixel that hold the map's channels, if it is `readable`."""
        return pixel_words(self.channels, self.word_elements)

    @property
    def readable(self) -> bool:
        """Whether it can be read by itself: its channels begin with a word, and share none with other channels."""
        whole = self.channels % self.word_elements == 0 or self.ends_pixel
        return self.first_channel % self.word_elements == 0 and whole

    def part(self, tensor: str, shape: MapShape, *, first_pixel: int, first_channel: int) -> FeatureMap:
        """A tensor that is a part of this one, after so many pixels or channels."""
        rows, columns, channels = shape
        return replace(
            self,
            tensor=tensor,
            rows=rows,
            columns=columns,
            channels=channels,
            offset=self.offset + first_pixel * self.pixel_words,
            first_channel=self.first_channel + first_channel,
            ends_pixel=self.ends_pixel and first_channel + channels == self.channels,
        )

    def viewed(self, shape: MapShape) -> FeatureMap | None:
        """The same elements in the same order as a map of another shape, or None if they do not lie that way."""
        rows, columns, channels = shape
        if channels == self.channels:
            return replace(self, rows=rows, columns=columns)
        alone = self.pixel_words * self.word_elements == self.channels
        if not alone or channels % self.word_elements:
            return None
        words = pixel_words(channels, self.word_elements)
        return replace(self, rows=rows, columns=columns, channels=channels, pixel_words=words)

    def flattened(self, largest: int) -> Iterator[FeatureMap]:
        """Views of at most `largest` rows and columns that hold the elements in order, the fewest pixels first."""
        pixels = self.rows * self.columns
        for merged in range(pixels, 0, -1):
            taps, rest = divmod(pixels, merged)
            if rest or taps > largest * largest:
                continue
            for rows in range(1, largest + 1):
                view = self.viewed((rows, taps // rows, self.channels * merged)) if taps % rows == 0 else None
                if view is not None and view.columns <= largest:
                    yield view
