"""Networks of a convolution or two, and random layers, for the compiler's tests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from compiler.convolution import Convolution
from hw.config import CoreConfig
from models.layers import Rounding
from models.network import Conv2D, FullyConnected, Layer, MaxPool2D, Network, Quantisation, Requantisation, Tensor
from sim.random_layers import RandomLayer, make_layer, random_shape

CONFIGS = [
    CoreConfig.sized(1, 1),
    CoreConfig.sized(2, 4),
    CoreConfig.sized(4, 16),
    # Groups and lanes that are no powers of two, more lanes than a word has elements, a memory that is soon full.
    CoreConfig(groups=3, lanes=20, post_lanes=4, csc=False, activation_banks=2, activation_depth=128, max_size=63),
    CoreConfig(groups=6, lanes=8, post_lanes=8, activation_bits=16, stream_units=4, codec_elements=2),
]


def convolution(
    size: tuple[int, int] = (8, 8),
    channels: int = 4,
    maps: int = 6,
    kernel: tuple[int, int] = (3, 3),
    **changes: Any,
) -> Convolution:
    """A convolution with plain weights; `changes` are its other attributes."""
    weights = np.arange(maps * kernel[0] * kernel[1] * channels) % 251 - 125
    attributes: dict[str, Any] = {
        "name": "conv_2d_7",
        "op": "conv_2d",
        "bias": np.arange(maps, dtype=np.int32) - 3,
        "multiplier": np.full(maps, 1 << 30, np.int32),
        "shift": np.full(maps, -5, np.int32),
        "rounding": Rounding.DOUBLE,
        "input_zero_point": -128,
        "output_zero_point": -128,
        "activation": (-128, 127),
        "input": "input",
        "output": "output",
        **changes,
    }
    return Convolution(size=size, weights=weights.astype(np.int8).reshape(maps, *kernel, channels), **attributes)


def random_layers(seeds: range) -> Iterator[tuple[int, RandomLayer]]:
    """Each seed with its layer, its scales made small enough for every configuration."""
    for seed in seeds:
        layer = make_layer(random_shape(np.random.default_rng(seed)), seed)
        yield seed, replace(layer, conv=replace(layer.conv, shift=np.minimum(layer.conv.shift, 0)))


def requantisation(maps: int, rounding: Rounding = Rounding.DOUBLE) -> Requantisation:
    return Requantisation(np.full(maps, 1 << 30, np.int32), np.full(maps, -6, np.int32), rounding)


def conv_2d(channels: int, maps: int, *, name: str = "conv_2d_0", groups: int = 1, **changes: Any) -> Conv2D:
    attributes: dict[str, Any] = {
        "inputs": ("input",),
        "output": "convolved",
        "stride": (1, 1),
        "padding": ((0, 0), (0, 0)),
        "input_zero_point": 1,
        "output_zero_point": 2,
        "activation": (-128, 127),
        "requantisation": requantisation(maps),
        **changes,
    }
    weights = np.ones((maps, 3, 3, channels // groups), np.int8)
    return Conv2D(name=name, weights=weights, bias=np.zeros(maps, np.int32), groups=groups, **attributes)


def fully_connected(depth: int, maps: int, **changes: Any) -> FullyConnected:
    attributes: dict[str, Any] = {
        "inputs": ("input",),
        "output": "product",
        "input_zero_point": 1,
        "output_zero_point": 2,
        "activation": (-128, 127),
        "requantisation": requantisation(maps, Rounding.SINGLE),
        **changes,
    }
    weights = np.arange(maps * depth).astype(np.int8).reshape(maps, depth)
    return FullyConnected(name="fully_connected_0", weights=weights, bias=np.zeros(maps, np.int32), **attributes)


def max_pool(*, name: str = "max_pool_2d_1", **changes: Any) -> MaxPool2D:
    attributes: dict[str, Any] = {
        "inputs": ("convolved",),
        "output": "pooled",
        "kernel": (2, 2),
        "stride": (2, 2),
        "padding": ((0, 0), (0, 0)),
        "activation": (-128, 127),
        **changes,
    }
    return MaxPool2D(name=name, **attributes)


def network(
    input_shape: tuple[int, ...], *layers: Layer, outputs: tuple[str, ...] = (), dtype: type = np.int8
) -> Network:
    """The layers in order; the tensors follow from them. All activations are of `dtype`."""
    shapes = {"input": input_shape}
    for layer in layers:
        shapes[layer.output] = layer.infer_shape(*(shapes[name] for name in layer.inputs))
    quantisation = Quantisation.per_tensor(0.5, 1) if dtype is np.int8 else None
    tensors = {name: Tensor(name, shape, np.dtype(dtype), quantisation) for name, shape in shapes.items()}
    return Network("small", tensors, layers, ("input",), outputs or (layers[-1].output,))
