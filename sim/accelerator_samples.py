"""A small accelerator and a small random network with every kind of operation in it, for tests of the whole machine."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hw.config import AcceleratorConfig, CoreConfig
from models.golden.fixed_point import requantisation
from models.layers import Rounding
from models.network import (
    Add,
    AveragePool2D,
    Conv2D,
    FullyConnected,
    Layer,
    MaxPool2D,
    Network,
    Quantisation,
    Requantisation,
    Reshape,
    Softmax,
    Tensor,
)
from models.tensor import Shape

SMALL = AcceleratorConfig(
    CoreConfig(
        groups=2,
        lanes=4,
        post_lanes=4,
        activation_banks=2,
        activation_depth=128,
        weight_depth=256,
        stream_units=4,
        codec_elements=4,
        max_size=63,
        max_channels=255,
    ),
    program_depth=2048,
    max_entries=32,
    link_words=64,
)
"""Compiles in well under a minute, and holds a `random_network`."""

INPUT = "input"
_CLASSES = 6
_SAME = ((1, 1), (1, 1))
_NONE = ((0, 0), (0, 0))
_ADD_LEFT_SHIFT = 20


@dataclass
class _Draft:
    """A network in the making: each method appends a layer and gives the name of the tensor that it writes."""

    rng: np.random.Generator
    tensors: dict[str, Tensor] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)

    def tensor(self, name: str, shape: Shape, zero_point: int, scale: float = 0.05) -> str:
        self.tensors[name] = Tensor(name, shape, np.dtype(np.int8), Quantisation.per_tensor(scale, zero_point))
        return name

    def zero(self, name: str) -> int:
        return self.tensors[name].zero_point

    def add(self, layer: Layer, zero_point: int, scale: float = 0.05) -> str:
        self.layers.append(layer)
        shapes = (self.tensors[name].shape for name in layer.inputs)
        return self.tensor(layer.output, layer.infer_shape(*shapes), zero_point, scale)

    def name(self, op: str) -> dict[str, Any]:
        name = f"{op}_{len(self.layers)}"
        return {"name": name, "output": f"{name}_out"}

    def weights(self, source: str, *shape: int) -> dict[str, Any]:
        """Random weights int8[maps, ...] and what else a layer with weights needs."""
        depth = math.prod(shape[1:])
        scales = self.rng.uniform(0.3, 2.0, shape[0]) / (40.0 * math.sqrt(depth))
        return {
            "inputs": (source,),
            "weights": self.rng.integers(-127, 128, shape, dtype=np.int8),
            "bias": self.rng.integers(-2000, 2000, shape[0], dtype=np.int32),
            "requantisation": requantisation(*map(float, scales)),
            "input_zero_point": self.zero(source),
        }

    def convolve(self, source: str, maps: int, kernel: int, stride: int = 1) -> str:
        zero = int(self.rng.integers(-128, 20))
        channels = self.tensors[source].shape[-1]
        layer = Conv2D(
            **self.name("conv_2d"),
            **self.weights(source, maps, kernel, kernel, channels),
            output_zero_point=zero,
            activation=(zero, 127),
            stride=(stride, stride),
            padding=_SAME if kernel == 3 else _NONE,
        )
        return self.add(layer, zero)

    def sum(self, first: str, second: str) -> str:
        zero = int(self.rng.integers(-100, 20))
        layer = Add(
            **self.name("add"),
            inputs=(first, second),
            left_shift=_ADD_LEFT_SHIFT,
            input_scaling=requantisation(0.5, 0.4),
            output_scaling=requantisation(1.7 / (1 << _ADD_LEFT_SHIFT)),
            input_zero_points=(self.zero(first), self.zero(second)),
            output_zero_point=zero,
            activation=(zero, 127),
        )
        return self.add(layer, zero)

    def pool(self, kind: type[MaxPool2D] | type[AveragePool2D], source: str, kernel: int, stride: int) -> str:
        op = "max_pool_2d" if kind is MaxPool2D else "average_pool_2d"
        layer = kind(
            **self.name(op),
            inputs=(source,),
            kernel=(kernel, kernel),
            stride=(stride, stride),
            padding=_NONE,
            activation=(-128, 127),
        )
        return self.add(layer, self.zero(source))

    def classify(self, source: str) -> str:
        depth = self.tensors[source].size
        shape = Reshape(**self.name("reshape"), inputs=(source,), shape=(1, depth))
        flat = self.add(shape, self.zero(source))
        common = self.weights(flat, _CLASSES, depth)
        double = common.pop("requantisation")
        assert isinstance(double, Requantisation)
        single = Requantisation(double.multiplier, double.shift, Rounding.SINGLE)
        layer = FullyConnected(
            **self.name("fully_connected"),
            **common,
            requantisation=single,
            output_zero_point=5,
            activation=(-128, 127),
        )
        logits = self.add(layer, 5)
        softmax = Softmax(**self.name("softmax"), inputs=(logits,), multiplier=1717986944, left_shift=21, diff_min=-992)
        return self.add(softmax, -128, scale=1 / 256)


def random_network(seed: int = 0, *, size: int = 10, channels: int = 3) -> Network:
    """A residual network: convolutions, max-pooling, an addition, average pooling, fully connected, softmax.

    Args:
        seed: of weights, scales and zero points.
        size: height and width of its input; channels: of its input.
    """
    draft = _Draft(np.random.default_rng(seed))
    source = draft.tensor(INPUT, (1, size, size, channels), -3)
    trunk = draft.pool(MaxPool2D, draft.convolve(source, 8, 3), 3, 2)
    branch = draft.convolve(draft.convolve(trunk, 17, 3), 8, 3)
    joined = draft.sum(trunk, branch)
    last = draft.convolve(joined, 20, 1, stride=2)
    rows = draft.tensors[last].shape[1]
    output = draft.classify(draft.pool(AveragePool2D, last, rows, rows))
    return Network(f"random_{seed}", draft.tensors, tuple(draft.layers), (INPUT,), (output,))


def random_images(network: Network, count: int, seed: int = 0) -> npt.NDArray[np.int8]:
    """Random quantised inputs, int8[count, ...]."""
    shape = network.tensors[network.inputs[0]].shape
    return np.random.default_rng(seed).integers(-128, 128, (count, *shape[1:]), dtype=np.int8)
