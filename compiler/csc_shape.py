"""A pass of the csc dataflow by its shape alone: which vectors and operations each run has. Nothing else decides it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from compiler.convolution import Convolution
from compiler.csc_walk import EdgeWalk, edge_walk
from compiler.mapping import Mapping, ceil_div
from hw.config import CoreConfig


@dataclass(frozen=True)
class Axis:
    """Where the windows of a convolution lie along an axis."""

    size: int
    outputs: int
    kernel: int
    stride: int
    dilation: int
    before: int

    @cached_property
    def inside(self) -> np.ndarray:
        """Which taps lie inside the map: bool[outputs, taps]."""
        at = self.stride * np.arange(self.outputs)[:, np.newaxis] - self.before
        at = at + np.arange(self.kernel) * self.dilation
        return (at >= 0) & (at < self.size)


@dataclass(frozen=True)
class RunColumns:
    """The columns of taps of a run of outputs.

    `fetched`: columns of the input that are asked for, in order, None for one in the padding. `outputs`: for each
    output its columns of taps, by their number among those fetched, None in the padding; and how many of the first of
    these nobody needs afterwards.
    """

    fetched: tuple[int | None, ...]
    outputs: tuple[tuple[tuple[int | None, ...], int], ...]


@dataclass(frozen=True)
class PassShape:
    """What decides the cycles of a pass.

    `starts`: channel of edge 0 of the first block of each group of a set; `blocks` of maps in this pass, `final_beats`
    of the results of the last; `pixel_words`, `row_words`: from a pixel and from a row of the input to the next.
    """

    rows: Axis
    columns: Axis
    walk: EdgeWalk
    mapping: Mapping
    starts: tuple[int, ...]
    blocks: int
    final_beats: int
    pixel_words: int
    row_words: int

    @property
    def groups_used(self) -> int:
        """Groups of a set that have a block."""
        return min(self.blocks, self.mapping.channel_groups)

    def rounds(self, position: int) -> int:
        """Blocks of the group at that position of a set."""
        return ceil_div(self.blocks - position, self.mapping.channel_groups)

    def tap_steps(self, position: int, lanes: int, output: int = 0) -> list[tuple[int, bool]]:
        """The operations of a tap, for the group at that position of a set.

        Of each the vectors of the pixel that must be there, and whether it ends a block. With packed rows they differ
        from `output` to output.
        """
        walk, found = self.walk, []
        start, fan = self.starts[position], walk.fan
        if walk.packed:
            channels = fan // self.columns.kernel
            start = (output * self.columns.stride - self.columns.before) * channels
            fan, start = self.edges_inside[output], max(start, 0)
        elif not walk.whole:
            start %= lanes
        for _ in range(self.rounds(position)):
            channel = start
            for edge in range(fan):
                shift = channel % lanes
                if walk.crosses and channel + lanes > walk.nodes:
                    found.append((channel // lanes + (shift != 0) + 1, False))
                    found.append((1, edge == fan - 1))
                else:
                    found.append((channel // lanes + (shift != 0 and not walk.broadcast) + 1, edge == fan - 1))
                channel = (channel + walk.dilation) % walk.nodes
            start = (start + walk.round_step) % walk.nodes
        return found

    @property
    def block_words(self) -> int:
        """Weight words of a block of maps."""
        columns = 1 if self.walk.packed else self.columns.kernel
        return self.rows.kernel * columns * self.walk.fan

    @cached_property
    def row_taps(self) -> tuple[tuple[int, ...], ...]:
        """The input rows under each row of outputs."""
        return tuple(
            tuple(
                y * self.rows.stride - self.rows.before + int(tap) * self.rows.dilation for tap in np.flatnonzero(one)
            )
            for y, one in enumerate(self.rows.inside)
        )

    @cached_property
    def edges_inside(self) -> tuple[int, ...]:
        """With packed rows, the operations of a tap for each output of a row."""
        channels = self.walk.fan // self.columns.kernel
        return tuple(int(count) * channels for count in self.columns.inside.sum(axis=1))

    @cached_property
    def runs(self) -> tuple[RunColumns, ...]:
        """The runs of a row of outputs."""
        axis, length = self.columns, self.mapping.run
        return tuple(self._run(start, min(length, axis.outputs - start)) for start in range(0, axis.outputs, length))

    def _run(self, start: int, outputs: int) -> RunColumns:
        axis = self.columns
        if self.walk.packed:
            return RunColumns((0,), (((0,), 1),))
        first = start * axis.stride - axis.before
        taps = range(axis.kernel) if outputs == 1 else range(axis.kernel + (outputs - 1) * axis.stride)
        at = [first + tap * axis.dilation for tap in taps]
        inside = [0 <= column < axis.size for column in at]
        number = np.cumsum(inside) - 1
        found = []
        for output in range(outputs):
            span = range(output * axis.stride, output * axis.stride + axis.kernel)
            numbers = tuple(int(number[tap]) if inside[tap] else None for tap in span)
            found.append((numbers, axis.kernel if output == outputs - 1 else axis.stride))
        fetched = tuple(column if there else None for column, there in zip(at, inside, strict=True))
        return RunColumns(fetched, tuple(found))

    def operations(self, config: CoreConfig) -> int:
        """Operations of the pass, over all groups; of two for one edge the second counts."""
        if self.walk.packed:
            taps = int(self.rows.inside.sum()) * sum(self.edges_inside)
        else:
            taps = int(self.rows.inside.sum()) * int(self.columns.inside.sum()) * self.walk.fan
        return taps * self.blocks


def pass_shape(conv: Convolution, mapping: Mapping, config: CoreConfig, index: int) -> PassShape:
    """The shape of a pass."""
    rows, columns = (
        Axis(
            conv.size[axis],
            conv.output_size[axis],
            conv.kernel[axis],
            conv.stride[axis],
            conv.dilation[axis],
            conv.padding[axis][0],
        )
        for axis in range(2)
    )
    walk = edge_walk(conv, config, mapping.channel_groups, mapping.rounds, packed=mapping.packed)
    blocks = mapping.blocks_of_pass(index, conv.maps, config.lanes)
    left = mapping.maps_of_pass(index, conv.maps) - (blocks - 1) * config.lanes
    starts = walk.starts
    if walk.crosses:
        starts = tuple((start + index * walk.pass_step) % walk.nodes for start in starts)
    return PassShape(
        rows,
        columns,
        walk,
        mapping,
        starts,
        blocks,
        ceil_div(left, config.post_lanes),
        mapping.input_pixel_words,
        mapping.input_pixel_words * (1 if mapping.packed else conv.size[1]),
    )
