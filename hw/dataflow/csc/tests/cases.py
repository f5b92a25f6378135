"""Depthwise layers as the csc front end sees them: descriptors, maps in memory, and in plain loops what they mean."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import numpy as np

from compiler.convolution import Convolution
from compiler.descriptor import Place, Places, describe
from compiler.errors import CompilerError
from compiler.mapping import Mapping, ceil_div, mappings_in_memory
from hw.config import WORD_ELEMENTS, CoreConfig
from models.layers import Rounding
from sim.random_layers import LayerShape

SMALL = CoreConfig(groups=2, lanes=4, post_lanes=4, activation_depth=256, max_size=63, weight_depth=64)

EDGES = {
    "one pixel, one channel": LayerShape((1, 1), 1, 1),
    "same padding": LayerShape((4, 5), 20, 20, kernel=(3, 3), padding=((1, 1), (1, 1))),
    "more padding than map": LayerShape((1, 2), 3, 3, kernel=(5, 5), padding=((2, 2), (3, 2))),
    "a row of taps": LayerShape((3, 19), 4, 4, kernel=(1, 3), padding=((0, 0), (1, 1))),
    "a column of taps": LayerShape((9, 3), 4, 4, kernel=(5, 1), padding=((2, 2), (0, 0))),
    "stride": LayerShape((9, 11), 17, 17, kernel=(3, 3), stride=(2, 2), padding=((1, 0), (0, 1))),
    "stride as large as the kernel": LayerShape((4, 8), 4, 4, kernel=(2, 2), stride=(2, 2)),
    "stride larger than the kernel": LayerShape((8, 9), 4, 4, kernel=(2, 1), stride=(3, 4)),
    "dilation": LayerShape((7, 8), 5, 5, kernel=(3, 2), dilation=(2, 3), padding=((2, 1), (0, 2))),
    "larger than the window memory": LayerShape((6, 7), 4, 4, kernel=(5, 5), padding=((2, 2), (2, 2))),
    "wide": LayerShape((2, 40), 4, 4, kernel=(3, 3), padding=((1, 1), (1, 1))),
}


@dataclass(frozen=True)
class DepthwiseCase:
    """A depthwise layer on a core: its input lies at word 3 of the memory, its output behind it."""

    config: CoreConfig
    conv: Convolution
    mapping: Mapping

    @property
    def places(self) -> Places:
        """Where the maps lie; the input begins with the second word of each pixel."""
        apart = self.mapping.input_pixel_words + 1
        source = Place(3, apart, apart * self.conv.size[1], 16)
        words = self.mapping.output_pixel_words
        base = source.base + self.conv.size[0] * source.row_words
        return Places(source, Place(base, words, words * self.conv.output_size[1]))

    @property
    def fields(self) -> dict[str, Any]:
        """The descriptor."""
        return describe(
            self.conv, self.mapping, self.config, sparse_input=False, sparse_output=False, places=self.places
        )

    def taps(self, unit: tuple[int, int]) -> list[tuple[int, tuple[int, int]]]:
        """The taps of an output inside the map, in order: number of the weight word, and the pixel."""
        conv, found = self.conv, []
        for kx in range(conv.kernel[1]):
            for ky in range(conv.kernel[0]):
                row, column = (
                    unit[axis] * conv.stride[axis] - conv.padding[axis][0] + tap * conv.dilation[axis]
                    for axis, tap in enumerate((ky, kx))
                )
                if 0 <= row < conv.size[0] and 0 <= column < conv.size[1]:
                    found.append((kx * conv.kernel[0] + ky, (row, column)))
        return found

    def units(self) -> list[tuple[int, int]]:
        """The output pixels in raster order."""
        return [(row, column) for row in range(self.conv.output_size[0]) for column in range(self.conv.output_size[1])]

    def result_address(self, unit: tuple[int, int]) -> int:
        """Where the first word of an output pixel lies."""
        place = self.places.output
        return place.base + unit[0] * place.row_words + unit[1] * place.pixel_words

    def address(self, pixel: tuple[int, int], channel: int) -> int:
        """Where the word with a channel of an input pixel lies."""
        place = self.places.input
        return place.first_word + pixel[0] * place.row_words + pixel[1] * place.pixel_words + channel // WORD_ELEMENTS

    def vector(self, words: list[list[int]], pixel: tuple[int, int], channel: int) -> list[int]:
        """The signed activations of so many channels from `channel` on, one a lane."""
        first = channel % WORD_ELEMENTS
        stored = words[self.address(pixel, channel)][first : first + self.config.lanes]
        threshold = self.fields["input"]["threshold"]
        return [value - (1 << self.config.activation_bits) * (value > threshold) for value in stored]


def make_case(
    shape: LayerShape,
    config: CoreConfig = SMALL,
    *,
    channel_groups: int = 1,
    run: int | None = None,
    input_zero_point: int = 0,
) -> DepthwiseCase:
    """A layer of that shape with that split, and the longest runs unless one is given."""
    ones = np.ones(shape.maps, np.int32)
    conv = Convolution(
        name="layer",
        op="depthwise_conv_2d",
        size=shape.size,
        weights=np.zeros((shape.maps, *shape.kernel, 1), np.int8),
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
        depthwise=True,
    )
    found = mappings_in_memory(conv, config, ceil_div(shape.maps, WORD_ELEMENTS))
    fitting = [one for one in found if one.channel_groups == channel_groups and run in (None, one.run)]
    return DepthwiseCase(config, conv, fitting[-1])


def random_case(seed: int, config: CoreConfig) -> DepthwiseCase:
    """A layer of any kind that the front end runs, with any split and run that it may have."""
    rng = random.Random(seed)
    while True:
        kernel = (rng.randint(1, 5), rng.randint(1, 5))
        shape = LayerShape(
            size=(rng.randint(1, 6), rng.randint(1, 12)),
            channels=(channels := rng.randint(1, 40)),
            maps=channels,
            kernel=kernel,
            stride=(rng.randint(1, 3), rng.randint(1, 3)),
            dilation=rng.choice([(1, 1), (1, 1), (rng.randint(1, 3), rng.randint(1, 3))]),
            padding=tuple((rng.randrange(size), rng.randrange(size)) for size in kernel),  # type: ignore[arg-type]
        )
        try:
            case = make_case(shape, config, input_zero_point=rng.choice([-128, 0, 127]))
        except (CompilerError, ValueError, IndexError):
            continue
        if min(case.conv.output_size) < 1:
            continue
        found = mappings_in_memory(case.conv, config, case.mapping.output_pixel_words)
        case = DepthwiseCase(config, case.conv, rng.choice(found))
        end = case.places.output.base + case.conv.output_size[0] * case.places.output.row_words
        if end <= config.activation_words:
            return case
