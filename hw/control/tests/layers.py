"""Layers as the components of a pass see them: descriptors, and in plain loops what they mean."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from compiler.convolution import Convolution
from compiler.descriptor import describe
from compiler.mapping import Geometry, Mapping, ceil_div
from hw.config import WORD_ELEMENTS, CoreConfig
from models.layers import Rounding
from sim.random_layers import LayerShape, random_shape

SMALL = CoreConfig(groups=2, lanes=2, post_lanes=2, activation_depth=256, max_size=63)

EDGES = {
    "one pixel, one channel": LayerShape((1, 1), 1, 1),
    "one channel": LayerShape((3, 4), 1, 1, kernel=(2, 3)),
    "padding on all sides": LayerShape((3, 2), 17, 1, kernel=(3, 3), padding=((1, 1), (1, 1))),
    "windows wholly in the padding": LayerShape((1, 2), 3, 1, kernel=(2, 1), padding=((3, 3), (2, 2))),
    "stride larger than the kernel": LayerShape((8, 7), 16, 1, kernel=(2, 1), stride=(4, 3)),
    "rows that no window touches": LayerShape((7, 4), 2, 1, kernel=(1, 2), stride=(3, 1)),
    "dilation": LayerShape((6, 6), 3, 1, kernel=(3, 2), dilation=(2, 3), padding=((2, 1), (0, 3)), stride=(2, 1)),
    "pooling": LayerShape((6, 3), 33, 1, kernel=(3, 2), padding=((1, 1), (1, 0)), pool=2),
    "pooling and stride": LayerShape((9, 8), 4, 1, kernel=(2, 2), stride=(2, 1), pool=2),
    "many channels": LayerShape((1, 2), 200, 1),
}


@dataclass(frozen=True)
class Tap:
    """A kernel tap of an output: its number, if its row is in the map, the pixel under it (row as sent)."""

    number: int
    row_inside: bool
    pixel: tuple[int, int] | None


@dataclass(frozen=True)
class LayerCase:
    """A convolution on a core, with rings of a chosen length."""

    config: CoreConfig
    conv: Convolution
    mapping: Mapping

    @cached_property
    def fields(self) -> dict[str, Any]:
        """The descriptor."""
        return describe(self.conv, self.mapping, self.config, sparse_input=True, sparse_output=True)

    @property
    def geometry(self) -> Geometry:
        return self.mapping.geometry

    @property
    def row_words(self) -> int:
        """Activation words of an input row."""
        return self.conv.size[1] * self.mapping.input_pixel_words

    def address(self, pixel: tuple[int, int], word: int) -> int:
        """Where an input word lies."""
        row, column = pixel
        in_row = column * self.mapping.input_pixel_words + word
        return row % self.mapping.input_ring * self.row_words + in_row

    def result_address(self, unit: tuple[int, int]) -> int:
        """Where the first word of an output pixel lies: its ring begins behind the input's."""
        row, column = unit
        in_ring = row % self.mapping.output_ring * self.conv.output_size[1] + column
        return self.mapping.input_ring * self.row_words + in_ring * self.mapping.output_pixel_words

    def units(self) -> Iterator[tuple[int, int]]:
        """The output pixels (behind the pooling), in raster order."""
        rows, columns = self.conv.output_size
        return ((row, column) for row in range(rows) for column in range(columns))

    def outputs(self, unit: tuple[int, int]) -> list[list[Tap]]:
        """The taps of each output of a unit's pooling window."""
        return [
            [
                self._tap(unit, (py, px), (ky, kx))
                for ky in range(self.conv.kernel[0])
                for kx in range(self.conv.kernel[1])
            ]
            for py in range(self.conv.pool[0])
            for px in range(self.conv.pool[1])
        ]

    def _tap(self, unit: tuple[int, int], pool: tuple[int, int], tap: tuple[int, int]) -> Tap:
        conv = self.conv
        row, column = (
            (unit[axis] * conv.pool_stride[axis] + pool[axis]) * conv.stride[axis]
            - conv.padding[axis][0]
            + tap[axis] * conv.dilation[axis]
            for axis in range(2)
        )
        row_inside = 0 <= row < conv.size[0]
        inside = row_inside and 0 <= column < conv.size[1]
        pixel = (self.geometry.rows.index(row), column) if inside else None
        return Tap(tap[0] * conv.kernel[1] + tap[1], row_inside, pixel)

    def rows_of(self, output_row: int) -> set[int]:
        """Input rows, as sent, under the windows of an output row."""
        columns = range(self.conv.output_size[1])
        taps = (tap for column in columns for output in self.outputs((output_row, column)) for tap in output)
        return {tap.pixel[0] for tap in taps if tap.pixel}

    def work_unit(self, unit: tuple[int, int], sequence: int = 0) -> dict[str, Any]:
        """The `WorkUnit` of an output pixel."""
        window = self.fields["window"]
        words = 1 << (self.config.activation_address_bits + 1)
        at = [
            unit[axis] * window[name]["unit_step"] - self.conv.padding[axis][0]
            for axis, name in enumerate(("rows", "columns"))
        ]
        return {
            "row": {"at": at[0], "words": at[0] % self.mapping.input_ring * self.row_words},
            "column": {"at": at[1], "words": at[1] * self.mapping.input_pixel_words % words},
            "tag": {"sequence": sequence, "address": self.result_address(unit)},
        }


def make_case(
    shape: LayerShape,
    config: CoreConfig = SMALL,
    *,
    channel_groups: int = 1,
    input_ring: int | None = None,
    output_ring: int | None = None,
    merged: bool = False,
    pool_gap: int = 0,
    input_zero_point: int = 0,
) -> LayerCase:
    """A layer of that shape; rings hold the whole map if not said otherwise.

    `input_ring` is brought into the lengths that are possible. `pool_gap`: rows and columns of outputs that
    are left out between pooling windows.
    """
    ones = np.ones(shape.maps, np.int32)
    conv = Convolution(
        name="layer",
        op="CONV_2D",
        size=shape.size,
        weights=np.zeros((shape.maps, *shape.kernel, shape.channels), np.int8),
        bias=ones,
        multiplier=ones,
        shift=ones,
        rounding=Rounding.SINGLE,
        stride=shape.stride,
        dilation=shape.dilation,
        padding=shape.padding,
        input_zero_point=input_zero_point,
        output_zero_point=0,
        activation=(-128, 127),
        input="input",
        output="output",
        pool=(shape.pool, shape.pool),
        pool_stride=(shape.pool + pool_gap, shape.pool + pool_gap),
    )
    geometry = Geometry.of(conv)
    rows = len(geometry.rows)
    ring = rows if input_ring is None else max(min(input_ring, rows), min(rows, geometry.reach + 1))
    pass_maps = channel_groups * config.lanes
    stored_maps = shape.maps if merged else min(shape.maps, pass_maps)
    mapping = Mapping(
        geometry=geometry,
        channel_groups=channel_groups,
        space_groups=config.groups // channel_groups,
        passes=ceil_div(shape.maps, pass_maps),
        pass_maps=pass_maps,
        input_ring=ring,
        output_ring=conv.output_size[0] if output_ring is None else min(output_ring, conv.output_size[0]),
        resident=ring >= rows,
        merged=merged,
        input_pixel_words=ceil_div(shape.channels, WORD_ELEMENTS),
        output_pixel_words=ceil_div(stored_maps, WORD_ELEMENTS),
    )
    return LayerCase(config, conv, mapping)


def random_case(seed: int, config: CoreConfig = SMALL, *, largest: int = 6) -> LayerCase:
    """A layer of any kind, with rings from the shortest possible to the whole map."""
    rng = np.random.default_rng(seed)
    shape = random_shape(rng, largest=largest)
    merged = bool(rng.random() < 0.5)
    channel_groups = int(rng.choice([c for c, _ in config.splits]))
    return make_case(
        # More maps than one map a lane and group would only make the rings longer.
        dataclasses.replace(shape, maps=min(shape.maps, 40)),
        config,
        channel_groups=channel_groups,
        input_ring=int(rng.choice([1, 1, 2, 3, largest])),
        output_ring=None if merged else int(rng.choice([1, 2, 3, largest])),
        merged=merged,
        pool_gap=int(rng.choice([0, 0, 1])) if shape.pool > 1 else 0,
    )
