"""Packing weights and post-processing parameters into the beats of the weight stream."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import numpy as np
import numpy.typing as npt
from amaranth.lib import data

from compiler.convolution import Convolution
from compiler.csc_walk import edge_walk, lane_weights
from compiler.errors import CompilerError
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


class Part(Enum):
    """What of a layer's weight stream: all, or what comes with each run or once if its weights are kept."""

    ALL = "all"
    PARAMETERS = "parameters"
    WORDS = "words"


def _ordered(conv: Convolution, mapping: Mapping, config: CoreConfig) -> npt.NDArray[np.signedinteger]:
    """The weights of each map in the order in which they are read: [maps, weights of a block].

    Of csc column of taps by column, unless a row of the input is one pixel.
    """
    weights = conv.weights
    if mapping.run:
        walk = edge_walk(conv, config, mapping.channel_groups, mapping.rounds, packed=mapping.packed)
        if not mapping.packed:
            weights = lane_weights(conv, walk, config.lanes).swapaxes(1, 2)
    return weights.reshape(conv.maps, -1)


def check_weights(conv: Convolution, config: CoreConfig) -> None:
    """Refuse weights that are wider than the core's; raises CompilerError."""
    bound = 1 << (config.weight_bits - 1)
    low, high = int(conv.weights.min()), int(conv.weights.max())
    if low < -bound or high >= bound:
        raise CompilerError(
            f"layer {conv.name}: its weights are {low} to {high}, but weight_bits of this configuration is "
            f"{config.weight_bits}, for -{bound} to {bound - 1}: raise it, or quantise the network so"
        )


def packed_words(words: npt.NDArray[np.signedinteger], bits: int) -> Beats:
    """Weight words [words, lanes] as beats of a byte a lane, without a gap: uint8[beats, lanes]."""
    lanes = words.shape[1]
    shifted = words.astype(np.int32)[..., np.newaxis] >> np.arange(bits) & 1
    stream = np.packbits(shifted.astype(np.uint8).reshape(len(words), -1).ravel(), bitorder="little")
    return np.pad(stream, (0, -len(stream) % lanes)).reshape(-1, lanes)


def _joined(planes: Beats, words: Beats, part: Part) -> Beats:
    """What of a block arrives."""
    return {Part.ALL: np.concatenate([planes, words]), Part.PARAMETERS: planes, Part.WORDS: words}[part]


def _planes(parameters: Beats, config: CoreConfig) -> Beats:
    """Stream beats of the parameters uint8[maps, PARAMETER_PLANES] of whole beats of `post_lanes` maps."""
    by_beat = parameters.reshape(-1, config.post_lanes, PARAMETER_PLANES).transpose(0, 2, 1)
    if config.packed_parameters:
        return by_beat.reshape(-1, config.lanes)
    width = config.parameter_chunks * config.lanes
    return np.pad(by_beat, ((0, 0), (0, 0), (0, width - config.post_lanes))).reshape(-1, config.lanes)


def _sparse_blocks(conv: Convolution, mapping: Mapping, index: int, config: CoreConfig, part: Part) -> list[Beats]:
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
        blocks.append(_joined(_planes(_parameters(conv, of_block), config), padded, part))
    return blocks


def _block(
    conv: Convolution,
    ordered: npt.NDArray[np.signedinteger],
    config: CoreConfig,
    first: int,
    last: int,
    part: Part,
) -> Beats:
    """The beats of one block, maps `first` to `last` - 1: parameters as byte planes, then the weight words."""
    maps = np.full(config.lanes, -1)
    maps[: last - first] = np.arange(first, last)
    planes = _planes(_parameters(conv, maps), config)
    weights = np.zeros((ordered.shape[1], config.lanes), ordered.dtype)
    weights[:, : last - first] = ordered[first:last].T
    return _joined(planes, packed_words(weights, config.weight_bits), part)


def weight_beats(conv: Convolution, mapping: Mapping, config: CoreConfig, part: Part = Part.ALL) -> Beats:
    """The weight stream of a layer: uint8[beats, lanes], lane 0 first.

    Order: pass, block, parameters before words; see `hw.control.weight_loader`.

    Raises:
        CompilerError: a weight is too wide.
    """
    check_weights(conv, config)
    blocks: list[Beats] = []
    ordered = _ordered(conv, mapping, config)
    for index in range(mapping.passes):
        if mapping.sparse is not None:
            blocks += _sparse_blocks(conv, mapping, index, config, part)
            continue
        start = index * mapping.pass_maps
        end = start + mapping.maps_of_pass(index, conv.maps)
        blocks += [
            _block(conv, ordered, config, first, min(first + config.lanes, end), part)
            for first in range(start, end, config.lanes)
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
