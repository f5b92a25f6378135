"""Packing weights and post-processing parameters into the beats of the weight stream."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from amaranth.lib import data

from compiler.convolution import Convolution
from compiler.mapping import Mapping, ceil_div
from compiler.operations import Scaling
from hw.config import PARAMETER_PLANES, CoreConfig
from hw.post.parameters import MapParameters
from models.layers import Rounding

Beats = npt.NDArray[np.uint8]


def _packed(scaling: Scaling) -> Beats:
    """An entry's parameters as bytes: uint8[PARAMETER_PLANES]."""
    bits = (
        data.Layout.cast(MapParameters)
        .const(
            {
                "bias": scaling.bias,
                "multiplier": scaling.multiplier,
                "shift": scaling.shift,
                "single_rounding": scaling.rounding is Rounding.SINGLE,
            }
        )
        .as_bits()
    )
    return np.frombuffer(bits.to_bytes(PARAMETER_PLANES, "little"), np.uint8)


def _parameters(conv: Convolution, maps: npt.NDArray[np.int64]) -> Beats:
    """Parameters of `maps` (-1: a lane without a map) as bytes: uint8[len(maps), PARAMETER_PLANES]."""
    packed = np.zeros((len(maps), PARAMETER_PLANES), np.uint8)
    for lane, index in enumerate(maps):
        if index >= 0:
            multiplier, shift, bias = (int(values[index]) for values in (conv.multiplier, conv.shift, conv.bias))
            packed[lane] = _packed(Scaling(multiplier, shift, bias, conv.rounding))
    return packed


def _planes(parameters: Beats, config: CoreConfig) -> Beats:
    """Stream beats of the parameters uint8[maps, PARAMETER_PLANES] of whole beats of `post_lanes` maps."""
    by_beat = parameters.reshape(-1, config.post_lanes, PARAMETER_PLANES).transpose(0, 2, 1)
    width = config.parameter_chunks * config.lanes
    return np.pad(by_beat, ((0, 0), (0, 0), (0, width - config.post_lanes))).reshape(-1, config.lanes)


def _sparse_blocks(conv: Convolution, mapping: Mapping, index: int, config: CoreConfig) -> list[Beats]:
    """The blocks of a pass of rsnn: parameters of the maps in order, whoever computes them; entries of a group."""
    assert mapping.sparse is not None
    first = index * mapping.pass_maps
    maps = np.full((config.groups, config.post_beats * config.post_lanes), -1)
    count = mapping.maps_of_pass(index, conv.maps)
    maps.ravel()[:count] = np.arange(first, first + count)
    blocks = []
    for of_block, group in zip(maps, mapping.sparse.weights.passes[index], strict=True):
        words = group.word_bytes(config)
        padded = np.pad(words, ((0, mapping.sparse.words - len(words)), (0, 0)))
        blocks += [_planes(_parameters(conv, of_block), config), padded]
    return blocks


def _block(conv: Convolution, config: CoreConfig, first: int, last: int) -> Beats:
    """The beats of one block, maps `first` to `last` - 1.

    Parameters as byte planes, then a weight word for each tap and channel; of a depthwise convolution the taps of a
    column follow each other.
    """
    lanes = config.lanes
    maps = np.full(lanes, -1)
    maps[: last - first] = np.arange(first, last)
    planes = _planes(_parameters(conv, maps), config)
    weights = np.zeros((conv.map_weights, lanes), np.uint8)
    of_maps = conv.weights[first:last].view(np.uint8)
    if conv.depthwise:
        of_maps = of_maps.swapaxes(1, 2)
    weights[:, : last - first] = of_maps.reshape(last - first, -1).T
    return np.concatenate([planes, weights])


def weight_beats(conv: Convolution, mapping: Mapping, config: CoreConfig) -> Beats:
    """The weight stream of a layer: uint8[beats, lanes], lane 0 first.

    Order: pass, block; see `hw.control.weight_loader`.
    """
    blocks: list[Beats] = []
    for index in range(mapping.passes):
        if mapping.sparse is not None:
            blocks += _sparse_blocks(conv, mapping, index, config)
            continue
        start = index * mapping.pass_maps
        end = start + mapping.maps_of_pass(index, conv.maps)
        blocks += [
            _block(conv, config, first, min(first + config.lanes, end)) for first in range(start, end, config.lanes)
        ]
    return np.concatenate(blocks)


def scaling_beats(scalings: Sequence[Scaling], config: CoreConfig) -> Beats:
    """The weight stream of an operation of the vector unit: uint8[beats, lanes].

    Blocks of parameters alone: entry e is beat e % post_beats of block e // post_beats, the same for all lanes of it.
    """
    blocks = ceil_div(len(scalings), config.post_beats)
    parameters = np.zeros((blocks * config.post_beats, config.post_lanes, PARAMETER_PLANES), np.uint8)
    for entry, scaling in enumerate(scalings):
        parameters[entry] = _packed(scaling)
    return _planes(parameters.reshape(-1, PARAMETER_PLANES), config)
