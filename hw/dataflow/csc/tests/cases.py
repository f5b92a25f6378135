"""Layers as the csc front end sees them: descriptors, maps in memory, and in plain loops what they mean."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from compiler.convolution import Convolution, Edges
from compiler.csc_mapping import csc_mappings, packs
from compiler.csc_walk import edge_walk, is_vector
from compiler.descriptor import Place, Places, describe
from compiler.errors import CompilerError
from compiler.mapping import Mapping, ceil_div
from hw.config import WORD_ELEMENTS, CoreConfig
from models.layers import Rounding
from sim.random_layers import LayerShape

SMALL = CoreConfig(groups=2, lanes=4, post_lanes=4, activation_depth=256, max_size=63, weight_depth=256)

Step = tuple[int, list[int | None], tuple[int, int]]
"""An edge: the number of its weight word, for each lane its channel (None: it has no map), and the pixel."""


@dataclass(frozen=True)
class Kind:
    """A layer's shape, and which channels its maps read: so many edges, so far apart; or groups; or all of them."""

    shape: LayerShape
    fan: int = 0
    dilation: int = 1
    groups: int = 1
    packed: bool = False

    @property
    def edges(self) -> Edges | None:
        """As the compiler has them."""
        channels, maps = self.shape.channels, self.shape.maps
        if self.fan:
            return Edges(channels, self.dilation % channels, step=1)
        return Edges(channels, 1, channels // self.groups, maps // self.groups) if self.groups > 1 else None


def depthwise(*size: int, kernel: tuple[int, int], channels: int = 4, **window: Any) -> Kind:
    """A layer of one edge."""
    return Kind(LayerShape(size, channels, channels, kernel=kernel, **window), fan=1)  # type: ignore[arg-type]


SAME = ((1, 1), (1, 1))
EDGES = {
    "one pixel, one channel": depthwise(1, 1, kernel=(1, 1), channels=1),
    "depthwise": depthwise(4, 5, kernel=(3, 3), channels=20, padding=SAME),
    "more padding than map": depthwise(1, 2, kernel=(5, 5), channels=3, padding=((2, 2), (3, 2))),
    "a row of taps": depthwise(3, 19, kernel=(1, 3), padding=((0, 0), (1, 1))),
    "a column of taps": depthwise(9, 3, kernel=(5, 1), padding=((2, 2), (0, 0))),
    "stride": depthwise(9, 11, kernel=(3, 3), channels=17, stride=(2, 2), padding=((1, 0), (0, 1))),
    "stride larger than the kernel": depthwise(8, 9, kernel=(2, 1), stride=(3, 4)),
    "dilation": depthwise(7, 8, kernel=(3, 2), channels=5, dilation=(2, 3), padding=((2, 1), (0, 2))),
    "larger than the window memory": depthwise(6, 7, kernel=(6, 6), padding=((2, 2), (2, 2))),
    "dense": Kind(LayerShape((3, 4), 10, 9, kernel=(2, 3), padding=((0, 1), (1, 1)))),
    "more channels than the window memory": Kind(LayerShape((1, 3), 140, 8)),
    "cyclic": Kind(LayerShape((3, 4), 16, 16, kernel=(3, 3), padding=SAME), fan=4),
    "cyclic, dilated by whole vectors": Kind(LayerShape((2, 3), 32, 32), fan=4, dilation=8),
    "cyclic, dilated otherwise": Kind(LayerShape((2, 3), 24, 24), fan=5, dilation=5),
    "cyclic, nodes that fill no vector": Kind(LayerShape((2, 3), 13, 13, kernel=(1, 2)), fan=4, dilation=4),
    "cyclic, more maps than nodes": Kind(LayerShape((2, 3), 7, 25), fan=3, dilation=2),
    "cyclic, fewer nodes than lanes": Kind(LayerShape((2, 2), 3, 3), fan=2),
    "cyclic, all nodes": Kind(LayerShape((1, 2), 12, 12), fan=12),
    "groups of several blocks": Kind(LayerShape((3, 3), 12, 16, kernel=(3, 2)), groups=2),
    "blocks of several groups": Kind(LayerShape((3, 3), 12, 8, kernel=(2, 2)), groups=4),
    "packed rows": Kind(LayerShape((5, 9), 2, 7, kernel=(3, 4), stride=(2, 2), padding=((1, 1), (1, 2))), packed=True),
}


@dataclass(frozen=True)
class Case:
    """A layer on a core: its input lies at word 3 of the memory, its output behind it."""

    config: CoreConfig
    conv: Convolution
    mapping: Mapping

    @property
    def places(self) -> Places:
        """Where the maps lie; the input begins with the second word of each pixel."""
        apart = self.mapping.input_pixel_words + 1
        source = Place(3, apart, apart * (1 if self.mapping.packed else self.conv.size[1]), 16)
        words = self.mapping.output_pixel_words
        base = source.base + self.conv.size[0] * source.row_words
        return Places(source, Place(base, words, words * self.conv.output_size[1]))

    @property
    def fields(self) -> dict[str, Any]:
        """The descriptor."""
        return describe(
            self.conv, self.mapping, self.config, sparse_input=False, sparse_output=False, places=self.places
        )

    def blocks(self, index: int, group: int) -> list[int]:
        """First maps of the blocks of a group in a pass."""
        first = index * self.mapping.pass_maps
        count = self.mapping.blocks_of_pass(index, self.conv.maps, self.config.lanes)
        mine = range(group % self.mapping.channel_groups, count, self.mapping.channel_groups)
        return [first + block * self.config.lanes for block in mine]

    def taps(self, unit: tuple[int, int]) -> list[tuple[int, tuple[int, int]]]:
        """The taps of an output inside the map, column by column: their number, and the pixel."""
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

    def tap_steps(self, unit: tuple[int, int], first_map: int) -> Iterator[list[Step]]:
        """The edges of a block of maps, for each tap of an output inside the map."""
        conv, lanes = self.conv, self.config.lanes
        maps = [n if n < conv.maps else None for n in range(first_map, first_map + lanes)]
        if self.mapping.packed:
            # Weights are row by row then, and a row of taps is a single one.
            for ky in range(conv.kernel[0]):
                taps = [tap for tap in self.taps(unit) if tap[0] % conv.kernel[0] == ky]
                yield [
                    ((ky * conv.kernel[1] + number // conv.kernel[0]) * conv.channels + channel, [channel] * lanes, at)
                    for number, at in taps
                    for channel in range(conv.channels)
                ]
            return
        walk = edge_walk(conv, self.config, self.mapping.channel_groups, self.mapping.rounds)
        start = 0 if conv.edges is None else conv.edges.base(first_map)
        for number, at in self.taps(unit):
            steps: list[Step] = []
            for edge in range(walk.fan):
                if is_vector(conv.edges):
                    assert conv.edges is not None
                    channels = [None if n is None else (n + edge * conv.edges.dilation) % conv.channels for n in maps]
                else:
                    channels = [start + edge] * lanes
                steps.append((number * walk.fan + edge, channels, at))
            yield steps

    def units(self) -> list[tuple[int, int]]:
        """The output pixels in raster order."""
        return [(row, column) for row in range(self.conv.output_size[0]) for column in range(self.conv.output_size[1])]

    def result_address(self, unit: tuple[int, int]) -> int:
        """Where the first word of an output pixel lies."""
        place = self.places.output
        return place.base + unit[0] * place.row_words + unit[1] * place.pixel_words

    def activation(self, words: list[list[int]], pixel: tuple[int, int], channel: int) -> int:
        """The signed activation of a channel of an input pixel."""
        place, column = self.places.input, pixel[1]
        if self.mapping.packed:
            channel, column = pixel[1] * self.conv.channels + channel, 0
        at = place.first_word + pixel[0] * place.row_words + column * place.pixel_words + channel // WORD_ELEMENTS
        stored = words[at][channel % WORD_ELEMENTS]
        return stored - (1 << self.config.activation_bits) * (stored > self.fields["input"]["threshold"])


def convolution(kind: Kind, input_zero_point: int = 0) -> Convolution:
    """A layer of a kind, with weights that do not matter."""
    shape, ones = kind.shape, np.ones(kind.shape.maps, np.int32)
    fan = kind.fan or shape.channels // kind.groups
    return Convolution(
        name="layer",
        op="conv_2d",
        size=shape.size,
        weights=np.zeros((shape.maps, *shape.kernel, fan), np.int8),
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
        edges=kind.edges,
    )


def cases(kind: Kind, config: CoreConfig = SMALL, input_zero_point: int = 0) -> list[Case]:
    """A layer with every mapping that it has; raises CompilerError if it has none."""
    conv = convolution(kind, input_zero_point)
    found = csc_mappings(conv, config, ceil_div(conv.maps, WORD_ELEMENTS), packed=kind.packed)
    return [Case(config, conv, mapping) for mapping in found]


def random_kind(rng: random.Random, config: CoreConfig) -> Kind:
    """A layer of any kind that the front end may run."""
    kernel = (rng.randint(1, 4), rng.randint(1, 4))
    channels = rng.randint(1, 40)
    window: dict[str, Any] = {
        "size": (rng.randint(1, 6), rng.randint(1, 9)),
        "kernel": kernel,
        "stride": (rng.randint(1, 3), rng.randint(1, 3)),
        "dilation": rng.choice([(1, 1), (1, 1), (rng.randint(1, 3), rng.randint(1, 3))]),
        "padding": tuple((rng.randrange(size), rng.randrange(size)) for size in kernel),
    }
    what = rng.choice(["depthwise", "cyclic", "cyclic", "dense", "grouped", "packed"])
    if what == "depthwise":
        return Kind(LayerShape(channels=channels, maps=channels, **window), fan=1)
    maps = rng.randint(1, 40)
    if what == "cyclic":
        fan, dilation = rng.randint(1, min(6, channels)), rng.randint(1, channels)
        return Kind(LayerShape(channels=channels, maps=maps, **window), fan=fan, dilation=dilation)
    if what == "grouped":
        groups = rng.randint(2, 4)
        of_group = rng.choice([rng.randint(1, 3) * config.lanes, *(n for n in (1, 2, 4) if config.lanes % n == 0)])
        return Kind(LayerShape(channels=groups * rng.randint(1, 6), maps=groups * of_group, **window), groups=groups)
    few = LayerShape(channels=min(channels, 3 if what == "packed" else 12), maps=min(maps, 12), **window)
    kind = Kind(few)
    return Kind(few, packed=True) if what == "packed" and packs(convolution(kind), config) else kind


def random_case(seed: int, config: CoreConfig) -> Case:
    """A layer of any kind that the front end runs, with any mapping that it may have."""
    rng = random.Random(seed)
    while True:
        kind = random_kind(rng, config)
        try:
            case = rng.choice(cases(kind, config, rng.choice([-128, 0, 127])))
        except (CompilerError, IndexError):
            continue
        end = case.places.output.base + case.conv.output_size[0] * case.places.output.row_words
        if min(case.conv.output_size) >= 1 and end <= config.activation_words:
            return case
