"""What NNgen is measured on, described in its own operators; imported in NNgen's environment only.

Weights are seeded and random, and each layer shifts its sums so that activations neither fade nor saturate. Two things
of ResNet-8 are the user's to get right: the scales of an addition have 8 bits with their sign, and a global average
pooling sums up in the width of its input unless another one is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import log2
from typing import Any

import nngen
import numpy as np

LARGEST = 20
"""Weights and inputs are drawn from -LARGEST to LARGEST."""

_VARIANCE = LARGEST * (LARGEST + 1) / 3


class Builder:
    """Makes layers that share a parallelism, with weights of one seed.

    `settings` has `par_ich` and `par_och`, input and output channels that are multiplied at once, and `concur_och`,
    output channels whose weights are held at once (None: NNgen's choice).
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._parallel = {key: settings[key] for key in ("par_ich", "par_och", "concur_och")}
        self._rng = np.random.default_rng(0)
        self._names = (f"layer{index}" for index in range(100))

    def convolution(self, tensor: Any, maps: int, kernel: int, stride: int = 1, relu: bool = True) -> Any:
        """A convolution with TensorFlow's padding."""
        shape = (maps, kernel, kernel, tensor.shape[-1])
        return nngen.conv2d(
            tensor, self._weights(shape), strides=(1, stride, stride, 1), **self._layer(shape, relu), **self._parallel
        )

    def classifier(self, tensor: Any, classes: int) -> Any:
        """A fully connected layer behind an average, which leaves hardly a fourth of the deviation."""
        flat = nngen.reshape(tensor, [1, -1])
        shape = (classes, flat.shape[-1])
        parallel = {"par_left_col": self._parallel["par_ich"], "par_out_col": self._parallel["par_och"]}
        return nngen.matmul(flat, self._weights(shape), transposed_b=True, **self._layer(shape, False, 16), **parallel)

    def add(self, first: Any, second: Any) -> Any:
        """The sum of two tensors over the square root of 2, and a rectifier."""
        total = nngen.scaled_add(first, second, 91, 91, 7, dtype=nngen.int8, sum_dtype=nngen.int32)
        total.attribute(par=self._parallel["par_och"])
        result = nngen.relu(total)
        result.attribute(par=self._parallel["par_och"])
        return result

    def _weights(self, shape: tuple[int, ...]) -> Any:
        weights = nngen.variable(nngen.int8, shape=shape, name=f"{next(self._names)}_weights")
        weights.set_value(self._rng.integers(-LARGEST, LARGEST + 1, shape, dtype=np.int64))
        return weights

    def _layer(self, shape: tuple[int, ...], relu: bool, faded: int = 1) -> dict[str, Any]:
        gain = np.prod(shape[1:]) * _VARIANCE / (2 if relu else 1) / faded
        return {
            "rshift_out": round(log2(gain) / 2),
            "act_func": nngen.relu if relu else None,
            "dtype": nngen.int8,
            "sum_dtype": nngen.int32,
        }


def network(settings: dict[str, Any]) -> tuple[Any, Any]:
    """Input and output of what the settings describe: one layer, or ResNet-8 where there is no `kernel`."""
    builder = Builder(settings)
    if "kernel" not in settings:
        return resnet8(builder)
    image = nngen.placeholder(nngen.int8, shape=(1, *settings["size"], settings["channels"]), name="image")
    return image, builder.convolution(image, settings["maps"], settings["kernel"])


def resnet8(builder: Builder) -> tuple[Any, Any]:
    """Input and output of MLPerf Tiny's ResNet-8 without its last step, the softmax."""
    image = nngen.placeholder(nngen.int8, shape=(1, 32, 32, 3), name="image")
    tensor = builder.convolution(image, 16, 3)
    for maps, stride in _blocks():
        inner = builder.convolution(tensor, maps, 3, stride)
        outer = builder.convolution(inner, maps, 3, relu=False)
        shortcut = tensor if stride == 1 else builder.convolution(tensor, maps, 1, stride, relu=False)
        tensor = builder.add(outer, shortcut)
    side = tensor.shape[1]
    pooled = nngen.avg_pool(tensor, (1, side, side, 1), (1, side, side, 1), dtype=nngen.int8, sum_dtype=nngen.int32)
    return image, builder.classifier(pooled, 10)


def _blocks() -> Iterator[tuple[int, int]]:
    """Maps and stride of each residual block."""
    return zip((16, 32, 64), (1, 2, 2), strict=True)
