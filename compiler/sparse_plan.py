"""How a convolution is laid out for the rsnn dataflow: segments, planes, tiles, and the kernels of each group."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import gcd, lcm

import numpy as np
import numpy.typing as npt

from compiler.convolution import Convolution
from compiler.errors import CompilerError
from hw.config import WORD_ELEMENTS, CoreConfig

Ints = npt.NDArray[np.int64]


def _ceil_div(value: int, divisor: int) -> int:
    return -(-value // divisor)


@dataclass(frozen=True)
class SparseShape:
    """Segments and vectors of a layer; `docs/rsnn.md` explains the terms.

    Attributes:
        size: output rows and columns; kernel, stride, dilation; channels: of the input.
        banks: pixels of a scratchpad's vector.
        folds: output rows in a segment; columns: neighbouring pixels that a vector holds of each.
        pixels: outputs of a full segment.
        planes: vectors of a kernel row, for taps 0 to `planes` - 1; tap kx is in that of kx modulo `planes`.
        shift: places by which a tap lies to the right of the one `planes` taps before, in the same vector.
        blocks: vectors side by side that a plane needs.
        tile_words: words of a pixel in a tile.
        shared: a layer of one pixel, whose vectors are words of 16 channels; a group's lanes are neighbouring maps that
            share their entries.
    """

    size: tuple[int, int]
    kernel: tuple[int, int]
    channels: int
    banks: int
    folds: int
    columns: int
    pixels: int
    planes: int
    shift: int
    blocks: int
    tile_words: int = 0
    shared: bool = False

    @property
    def segments(self) -> tuple[int, int]:
        """Rows of segments, and segments in each."""
        rows, columns = self.size
        return _ceil_div(rows, self.folds), 1 if self.folds > 1 else _ceil_div(columns, self.pixels)

    @property
    def segment_count(self) -> int:
        """Segments of the layer."""
        return self.segments[0] * self.segments[1]

    @property
    def outputs(self) -> int:
        """Output pixels."""
        return self.size[0] * self.size[1]

    def segment_pixels(self) -> Ints:
        """Pixels of each segment, in order."""
        line = self.outputs if self.folds > 1 else self.size[1]
        full, rest = divmod(line, self.pixels)
        of_line = [self.pixels] * full + [rest] * (rest > 0)
        return np.array(of_line * (1 if self.folds > 1 else self.size[0]))

    @property
    def words(self) -> int:
        """Words of a pixel."""
        return _ceil_div(self.channels, WORD_ELEMENTS)

    @property
    def final_vectors(self) -> int:
        """Vectors of a plane of a pixel's last word: one for each of its channels."""
        return 1 if self.shared else self.channels - (self.words - 1) * WORD_ELEMENTS

    @property
    def plane_vectors(self) -> int:
        """Places of a plane in the scratchpad, for all words of a pixel but the last."""
        return 1 if self.shared else min(self.channels, WORD_ELEMENTS)

    @property
    def final_plane_vectors(self) -> int:
        """Places of a plane for a pixel's last word; neighbouring blocks are equally far apart in all words."""
        return self.final_vectors if self.blocks == 1 else self.plane_vectors

    @property
    def word_planes(self) -> int:
        """Planes, blocks counted apart, of each word of a pixel."""
        return self.kernel[0] * self.planes * self.blocks

    @property
    def tiles(self) -> int:
        """Tiles of a window."""
        return _ceil_div(self.words, self.tile_words)

    def tile_vectors(self, tile: int) -> int:
        """Places of a tile in the scratchpad."""
        words = min(self.tile_words, self.words - tile * self.tile_words)
        if tile < self.tiles - 1:
            return words * self.word_planes * self.plane_vectors
        return self.word_planes * ((words - 1) * self.plane_vectors + self.final_plane_vectors)

    @cached_property
    def places(self) -> tuple[Ints, Ints, Ints]:
        """Where the weights [kernel height, kernel width, channels] find their vector: tile, place in it, rotation."""
        ky, kx, c = np.meshgrid(*map(np.arange, (*self.kernel, self.channels)), indexing="ij")
        block, rotate = np.divmod(kx // self.planes * self.shift, self.banks)
        plane = (ky * self.planes + kx % self.planes) * self.blocks + block
        word = c // WORD_ELEMENTS
        vectors = np.where(word == self.words - 1, self.final_plane_vectors, self.plane_vectors)
        tile = word // self.tile_words
        first = (word - tile * self.tile_words) * self.word_planes * self.plane_vectors
        within = c % WORD_ELEMENTS
        if self.shared:
            return tile, first + plane, within
        return tile, first + plane * vectors + within, rotate


def _shape(conv: Convolution, config: CoreConfig, *, folds: int, planes: int, shift: int) -> SparseShape:
    pixels = folds * conv.output_size[1] if folds > 1 else min(config.lanes, conv.output_size[1])
    furthest = (conv.kernel[1] - 1) // planes * shift
    blocks = (furthest + pixels - 1) // config.window_banks + 1
    columns = conv.output_size[1] if folds > 1 else min(config.window_banks, pixels + furthest)
    return SparseShape(
        size=conv.output_size,
        kernel=conv.kernel,
        channels=conv.channels,
        banks=config.window_banks,
        folds=folds,
        columns=columns,
        pixels=pixels,
        planes=planes,
        shift=shift,
        blocks=blocks,
    )


def _tiled(shape: SparseShape, config: CoreConfig) -> SparseShape | None:
    """With tiles of which two fit a scratchpad, or else one; None if not even one of a single word does."""
    for room in (config.scratchpad_depth // 2, config.scratchpad_depth):
        words = min(shape.words, room // (shape.word_planes * shape.plane_vectors))
        if words:
            return replace(shape, tile_words=words)
    return None


def sparse_shapes(conv: Convolution, config: CoreConfig) -> list[SparseShape]:
    """The ways in which a convolution may run: its taps sharing vectors; or, if rows are folded, each with its own.

    Raises:
        CompilerError: a window does not fit the scratchpad.
    """
    stride, dilation, width = conv.stride[1], conv.dilation[1], conv.kernel[1]
    period = stride // gcd(stride, dilation)
    planes = min(period, width)
    found = [_shape(conv, config, folds=1, planes=planes, shift=period * dilation // stride)]
    folds = min(config.lanes // conv.output_size[1], conv.output_size[0])
    if folds > 1:
        found.append(_shape(conv, config, folds=folds, planes=width, shift=0))
    if config.shares_lanes and conv.output_size == (1, 1):
        found.append(replace(_shape(conv, config, folds=1, planes=width, shift=0), shared=True))
    tiled = [shape for one in found if (shape := _tiled(one, config)) is not None]
    if not tiled:
        needed = found[0].word_planes * found[0].plane_vectors
        raise CompilerError(
            f"layer {conv.name}: a window takes {needed} places of the rsnn scratchpad, but scratchpad_depth of this "
            f"configuration is {config.scratchpad_depth}: raise it to {1 << (needed - 1).bit_length()}"
        )
    return tiled


def slot_counts(conv: Convolution, shape: SparseShape, config: CoreConfig) -> list[int]:
    """Kernels a group may have in a pass, the most first; a pass before another ends with a whole beat of maps."""
    if shape.shared:
        return [1] if pass_maps(conv, shape, config, 1) else []
    most = min(config.accumulators, _ceil_div(conv.maps, config.groups))
    fitting = [slots for slots in range(most, 0, -1) if pass_maps(conv, shape, config, slots) > 0]
    # As few passes as possible, and as few slots as these need.
    best: dict[int, int] = {}
    for slots in fitting:
        best[_ceil_div(conv.maps, pass_maps(conv, shape, config, slots))] = slots
    return [best[passes] for passes in sorted(best)]


def pass_maps(conv: Convolution, shape: SparseShape, config: CoreConfig, slots: int) -> int:
    """Maps of a pass with so many kernels a group, or with a map a lane in a shared layer; 0 if there is none."""
    maps = config.groups * (config.lanes if shape.shared else slots)
    if maps >= conv.maps:
        return conv.maps
    unit = lcm(config.lanes, config.post_lanes) if shape.shared else config.post_lanes
    return maps // unit * unit
