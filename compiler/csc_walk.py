"""How the csc dataflow walks the channels of a convolution: what `hw.control.descriptor.EdgesLayout` is given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from compiler.convolution import Convolution, Edges
from compiler.mapping import ceil_div
from hw.config import CoreConfig


@dataclass(frozen=True)
class EdgeWalk:
    """The walk of a convolution with a mapping; attributes as in `EdgesLayout`.

    Attributes:
        fan: edges of a block of maps, for each tap; more than a map has where a block spans several of its groups.
        starts: of the first blocks of a set of groups; vectors: fetched of each pixel; last_vector: of a pixel.
        phases: passes from a step to the next.
    """

    broadcast: bool
    whole: bool
    crosses: bool
    packed: bool
    fan: int
    dilation: int
    nodes: int
    starts: tuple[int, ...]
    round_step: int
    pass_step: int
    phases: int
    vectors: int
    last_vector: int

    @property
    def held(self) -> int:
        """Vectors of a pixel that a controller must hold at once: those of a broadcast go as they come."""
        return 1 if self.broadcast else self.vectors

    def operations(self, start: int, lanes: int) -> int:
        """Operations of a tap of the block of maps that begins with channel `start`: two for an edge that crosses."""
        if not self.crosses:
            return self.fan
        channels = (start + np.arange(self.fan) * self.dilation) % self.nodes
        return self.fan + int((channels + lanes > self.nodes).sum())


def blocks_share(edges: Edges | None, lanes: int) -> int:
    """Neighbouring blocks of maps that read the same channels; 0 for blocks whose maps read different ones."""
    if edges is None:
        return 0
    return edges.step_maps // lanes if edges.step_maps % lanes == 0 else 0


def is_vector(edges: Edges | None) -> bool:
    """Whether neighbouring maps read neighbouring channels, lane by lane; otherwise a channel is broadcast."""
    return edges is not None and edges.step == edges.step_maps == 1


def runs_on_csc(conv: Convolution, lanes: int) -> bool:
    """Whether there is a walk for the convolution, as it is.

    Not for groups of maps that are neither a multiple nor a divisor of the lanes, nor for more maps than nodes where
    these are fewer than the lanes.
    """
    edges = conv.edges
    if is_vector(edges):
        return conv.depthwise or conv.channels % lanes == 0 or conv.channels >= lanes or conv.maps <= conv.channels
    return edges is None or edges.step_maps % lanes == 0 or lanes % edges.step_maps == 0


def edge_walk(
    conv: Convolution, config: CoreConfig, channel_groups: int, rounds: int = 1, *, packed: bool = False
) -> EdgeWalk:
    """The walk of a convolution that has one (`runs_on_csc`).

    Args:
        channel_groups: of the split; rounds: blocks of maps of a group; packed: a row of the map is one pixel.
    """
    lanes = config.lanes
    if is_vector(conv.edges):
        return _vector_walk(conv, lanes, channel_groups, rounds)
    if conv.edges is None:
        nodes, fan = conv.channels, conv.fan
        if packed:
            nodes, fan = conv.size[1] * nodes, conv.kernel[1] * fan
        starts, step, phases, vectors = [0] * channel_groups, 0, 1, ceil_div(nodes, lanes)
    else:
        nodes, phases = conv.channels, max(1, blocks_share(conv.edges, lanes) // channel_groups)
        together = max(1, lanes // conv.edges.step_maps)
        fan = min(conv.fan * together, nodes)
        starts = [conv.edges.base(position * lanes) for position in range(channel_groups)]
        step = conv.edges.step * max(1, channel_groups * lanes // conv.edges.step_maps) % nodes
        furthest = lanes - 1 if conv.edges.step * together % lanes else 0
        vectors = (furthest + fan - 1) // lanes + 1
    last_vector = ceil_div(nodes, lanes) - 1
    if conv.edges is not None:
        # What a last block's missing groups would read is not looked at, so it needs no wrapping.
        nodes = min(nodes + fan, config.max_channels)
    return EdgeWalk(
        broadcast=True,
        whole=conv.edges is None,
        crosses=False,
        packed=packed,
        fan=fan,
        dilation=1 % nodes,
        nodes=nodes,
        starts=tuple(starts),
        round_step=0,
        pass_step=step,
        phases=phases,
        vectors=vectors,
        last_vector=last_vector,
    )


def _vector_walk(conv: Convolution, lanes: int, channel_groups: int, rounds: int) -> EdgeWalk:
    """Lane by lane, each a channel further. Only the vectors between the first and the last edge are fetched, if fewer.

    Of nodes that fill their vectors, the first vector is fetched again behind the last, for lanes that start over.
    """
    assert conv.edges is not None
    dilation, fan = conv.edges.dilation, conv.fan
    # Channels behind a depthwise layer's last one have no map.
    nodes = ceil_div(conv.maps, lanes) * lanes if conv.depthwise else conv.channels
    full = nodes % lanes == 0
    all_vectors = ceil_div(nodes, lanes)
    aligned = full and dilation % lanes == 0
    vectors, whole = all_vectors + (not aligned), True
    between = (rounds - 1) * channel_groups * lanes + (fan - 1) * dilation + lanes
    if full and between <= nodes and ceil_div(between, lanes) < vectors:
        vectors, whole = ceil_div(between, lanes), False
    return EdgeWalk(
        broadcast=False,
        whole=whole,
        crosses=not full,
        packed=False,
        fan=fan,
        dilation=dilation % nodes,
        nodes=nodes,
        starts=tuple(position * lanes % nodes for position in range(channel_groups)),
        round_step=channel_groups * lanes % nodes,
        pass_step=channel_groups * rounds * lanes % nodes,
        phases=1,
        vectors=vectors,
        last_vector=all_vectors - 1,
    )


def lane_weights(conv: Convolution, walk: EdgeWalk, lanes: int) -> npt.NDArray[np.int8]:
    """The weights as blocks of maps read them: int8[maps, kernel height, kernel width, fan of the walk].

    Where a block spans several groups of channels, zeros for those of the others.
    """
    if conv.edges is None or walk.fan == conv.fan:
        return conv.weights
    spread = np.zeros((*conv.weights.shape[:3], walk.fan), conv.weights.dtype)
    for index in range(conv.maps):
        # Of the block's first map to that of its own.
        first = index // lanes * lanes
        offset = (conv.edges.base(index) - conv.edges.base(first)) % conv.channels
        spread[index, ..., offset : offset + conv.fan] = conv.weights[index]
    return spread
