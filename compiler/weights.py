"""Packing weights and post-processing parameters into the beats of the weight stream."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from amaranth.lib import data

from compiler.convolution import Convolution
from compiler.mapping import Mapping
from hw.config import PARAMETER_PLANES, CoreConfig
from hw.post.parameters import MapParameters
from models.layers import Rounding

Beats = npt.NDArray[np.uint8]


def _parameters(conv: Convolution, maps: npt.NDArray[np.int64]) -> Beats:
    """Parameters of `maps` (-1: a lane without a map) as bytes: uint8[len(maps), PARAMETER_PLANES]."""
    layout = data.Layout.cast(MapParameters)
    packed = np.zeros((len(maps), PARAMETER_PLANES), np.uint8)
    for lane, index in enumerate(maps):
        if index < 0:
            continue
        bits = layout.const(
            {
                "bias": int(conv.bias[index]),
                "multiplier": int(conv.multiplier[index]),
                "shift": int(conv.shift[index]),
                "single_rounding": conv.rounding is Rounding.SINGLE,
            }
        ).as_bits()
        packed[lane] = np.frombuffer(bits.to_bytes(PARAMETER_PLANES, "little"), np.uint8)
    return packed


def _block(conv: Convolution, config: CoreConfig, first: int, last: int) -> Beats:
    """The beats of one block, maps `first` to `last` - 1.

    Parameters as byte planes, then a weight word for each tap and channel.
    """
    lanes, post_lanes = config.lanes, config.post_lanes
    maps = np.full(lanes, -1)
    maps[: last - first] = np.arange(first, last)
    parameters = _parameters(conv, maps).reshape(config.post_beats, post_lanes, PARAMETER_PLANES)
    planes = np.zeros((config.post_beats * PARAMETER_PLANES, lanes), np.uint8)
    planes[:, :post_lanes] = parameters.transpose(0, 2, 1).reshape(-1, post_lanes)
    weights = np.zeros((conv.map_weights, lanes), np.uint8)
    weights[:, : last - first] = conv.weights[first:last].view(np.uint8).reshape(last - first, -1).T
    return np.concatenate([planes, weights])


def weight_beats(conv: Convolution, mapping: Mapping, config: CoreConfig) -> Beats:
    """The weight stream of a layer: uint8[beats, lanes], lane 0 first.

    Order: pass, block; see `hw.control.weight_loader`.
    """
    blocks = []
    for index in range(mapping.passes):
        start = index * mapping.pass_maps
        end = start + mapping.maps_of_pass(index, conv.maps)
        blocks += [
            _block(conv, config, first, min(first + config.lanes, end)) for first in range(start, end, config.lanes)
        ]
    return np.concatenate(blocks)
