"""Mapping a convolution onto the csc dataflow: split of the groups, blocks of maps a group, and runs of outputs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from compiler.convolution import Convolution
from compiler.csc_walk import EdgeWalk, blocks_share, edge_walk, is_vector, runs_on_csc
from compiler.errors import CompilerError
from compiler.mapping import Geometry, Mapping, ceil_div, check_limits
from hw.config import CoreConfig


def check_windows(conv: Convolution) -> None:
    """Refuse a convolution with a window that lies in the padding; raises CompilerError."""
    for axis, what in enumerate(("rows", "columns")):
        first = np.arange(conv.output_size[axis]) * conv.stride[axis] - conv.padding[axis][0]
        at = first[:, np.newaxis] + np.arange(conv.kernel[axis]) * conv.dilation[axis]
        if not ((at >= 0) & (at < conv.size[axis])).any(axis=1).all():
            raise CompilerError(
                f"layer {conv.name}: a window lies in the padding, with all its {what}, which the csc dataflow does "
                "not run: reduce the padding"
            )


def run_lengths(conv: Convolution, walk: EdgeWalk, config: CoreConfig) -> list[int]:
    """The runs that a convolution may have.

    Of several outputs, if their windows share columns that lie side by side, and a whole window fits a controller; and
    of as many as divide a row into runs of about one length.
    """
    columns = conv.output_size[1]
    shares = conv.stride[1] <= conv.kernel[1] and conv.dilation[1] == 1 and not walk.packed
    if not shares or conv.kernel[0] * conv.kernel[1] * walk.vectors > config.window_depth:
        return [1]
    return sorted({ceil_div(columns, parts) for parts in range(1, columns + 1)} & set(range(1, config.longest_run + 1)))


def _splits(conv: Convolution, config: CoreConfig) -> Iterator[tuple[int, int]]:
    """(channel groups, rounds) worth trying.

    Blocks of a pass must share their channels, or each have its own. Several rounds are for maps that read channels of
    their own: what a pixel takes to fetch is used for more maps then. With kernels the blocks' sums are under way
    together, each in an accumulator.
    """
    share = blocks_share(conv.edges, config.lanes)
    blocks = ceil_div(conv.maps, config.lanes)
    taps = conv.kernel[0] * conv.kernel[1]
    for channel_groups, _ in config.splits:
        if share and share % channel_groups:
            continue
        yield channel_groups, 1
        if not is_vector(conv.edges) or conv.depthwise or (taps > 1 and config.accumulators < config.max_rounds):
            continue
        for rounds in range(2, min(config.max_rounds // channel_groups, ceil_div(blocks, channel_groups)) + 1):
            if rounds * conv.map_weights <= config.weight_depth:
                yield channel_groups, rounds


def packs(conv: Convolution, config: CoreConfig) -> bool:
    """Whether the convolution can read an input that lies with each row as one pixel: a dense one of few channels."""
    dense = conv.edges is None and conv.dilation[1] == 1 and conv.pool == (1, 1)
    row = conv.size[1] * conv.channels
    reach = max(row + conv.kernel[1] * conv.channels, conv.stride[1] * conv.channels)
    fits = reach <= config.max_size and row <= min(config.max_channels, config.window_depth * config.lanes)
    return config.csc and dense and fits


def prefers_packed(conv: Convolution, config: CoreConfig) -> bool:
    """Whether a convolution is faster so: it has one input channel, and the banks can give each tap's row.

    With a word for each pixel it would take one word, and `nullhop` two cycles, for a single multiplication.
    """
    vectors = ceil_div(conv.size[1] * conv.channels, config.lanes)
    asked = config.groups * vectors / (conv.kernel[1] * conv.channels)
    return conv.channels == 1 < conv.size[1] and packs(conv, config) and asked <= config.activation_banks


def csc_mappings(
    conv: Convolution, config: CoreConfig, output_pixel_words: int, *, packed: bool = False
) -> list[Mapping]:
    """Every mapping of a convolution whose input and output lie whole in memory, on the csc dataflow.

    Args:
        packed: the input lies with each row as one pixel (see `packs`).

    Raises:
        CompilerError: the dataflow does not run it, or the configuration cannot hold it.
    """
    if not runs_on_csc(conv, config.lanes):
        raise CompilerError(f"layer {conv.name}: its channels are not in an order that the csc dataflow follows")
    check_limits(conv, config, whole=True, dataflows=("csc",))
    check_windows(conv)
    found = [
        _mapping(conv, config, output_pixel_words, channel_groups, rounds, run, packed)
        for channel_groups, rounds in _splits(conv, config)
        for walk in [edge_walk(conv, config, channel_groups, rounds, packed=packed)]
        if walk.held <= config.window_depth and conv.kernel[0] * conv.kernel[1] * walk.fan <= config.weight_depth
        for run in run_lengths(conv, walk, config)
    ]
    if not found:
        raise CompilerError(_too_deep(conv, config))
    return found


def _too_deep(conv: Convolution, config: CoreConfig) -> str:
    least = min(edge_walk(conv, config, channel_groups).held for channel_groups, _ in config.splits)
    if least <= config.window_depth:
        return (
            f"layer {conv.name}: a block of {config.lanes} maps reads more weights than weight_depth of this "
            f"configuration, {config.weight_depth}: raise it"
        )
    return (
        f"layer {conv.name}: the maps of a block read {least} vectors of {config.lanes} channels of a pixel, but "
        f"window_depth of this configuration is {config.window_depth}: raise it to {1 << (least - 1).bit_length()}"
    )


def _mapping(
    conv: Convolution,
    config: CoreConfig,
    output_pixel_words: int,
    channel_groups: int,
    rounds: int,
    run: int,
    packed: bool,
) -> Mapping:
    pass_maps = channel_groups * rounds * config.lanes
    row = conv.size[1] if packed else 1
    return Mapping(
        geometry=Geometry.of(conv, whole=True),
        channel_groups=channel_groups,
        space_groups=config.groups // channel_groups,
        passes=ceil_div(conv.maps, pass_maps),
        pass_maps=pass_maps,
        input_ring=conv.size[0],
        output_ring=conv.output_size[0],
        resident=True,
        merged=True,
        input_pixel_words=ceil_div(row * conv.channels, config.word_elements),
        output_pixel_words=output_pixel_words,
        run=run,
        rounds=rounds,
        packed=packed,
    )
