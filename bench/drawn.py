"""Networks of which only the shapes matter: their weights are drawn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.mobilenet import ConvolutionShape
from models.golden.fixed_point import requantisation
from models.layers import Convolution, Layer, Rounding
from models.network import (
    AveragePool2D,
    Conv2D,
    CyclicConv2D,
    DepthwiseConv2D,
    Network,
    Quantisation,
    Requantisation,
    Tensor,
)
from models.sparsity.cyclic import SupportLayer

ZERO_POINT = -128


class DrawnNetwork:
    """Layers one behind the other.

    Args:
        name: begins the names of all tensors and layers.
        size: rows and columns of the input; channels: of the input.
        seed: of the weights.
    """

    def __init__(self, name: str, size: int, channels: int, seed: int = 0) -> None:
        self._name = name
        self._rng = np.random.default_rng(seed)
        self._input = f"{name}_input"
        self._tensors = {self._input: _tensor(self._input, (1, size, size, channels))}
        self._layers: list[Layer] = []
        self._last = self._input

    def network(self) -> Network:
        """What was added so far."""
        return Network(self._name, self._tensors, tuple(self._layers), (self._input,), (self._last,))

    def convolution(self, shape: ConvolutionShape) -> None:
        """A dense or depthwise layer."""
        around = self._same(shape.kernel, shape.stride)
        if shape.depthwise:
            weights = self._draw(1, shape.kernel, shape.kernel, self._channels)
            self._convolve(DepthwiseConv2D, self._channels, weights=weights, **around)
        else:
            weights = self._draw(shape.outputs, shape.kernel, shape.kernel, self._channels)
            self._convolve(Conv2D, shape.outputs, weights=weights, **around)

    def cyclic(self, layer: SupportLayer) -> None:
        """A cyclic layer."""
        self._convolve(
            CyclicConv2D,
            layer.rows,
            weights=self._draw(*layer.shape),
            in_nodes=layer.nodes,
            cyclic_dilation=layer.dilation,
            **self._same(layer.kernel[0], 1),
        )

    def pool(self) -> None:
        """The mean of each channel."""
        _, height, width, _ = self._tensors[self._last].shape
        window = (height, width)
        self._append(AveragePool2D, kernel=window, stride=window, padding=((0, 0), (0, 0)), activation=(-128, 127))

    def _convolve(self, kind: type[Convolution], maps: int, **attributes: Any) -> None:
        self._append(
            kind,
            bias=np.zeros(maps, np.int32),
            requantisation=Requantisation(*_scales(maps), Rounding.DOUBLE),
            input_zero_point=ZERO_POINT,
            output_zero_point=ZERO_POINT,
            activation=(-128, 127),
            **attributes,
        )

    def _append(self, kind: type[Layer], **attributes: Any) -> None:
        number = len(self._layers)
        output = f"{self._name}_{number}"
        layer = kind(name=f"{self._name}_{kind.op}_{number}", inputs=(self._last,), output=output, **attributes)
        self._tensors[output] = _tensor(output, layer.infer_shape(self._tensors[self._last].shape))
        self._layers.append(layer)
        self._last = output

    def _draw(self, *shape: int) -> npt.NDArray[np.int8]:
        return self._rng.integers(-127, 128, shape, dtype=np.int8)

    @property
    def _channels(self) -> int:
        return self._tensors[self._last].shape[3]

    def _same(self, kernel: int, stride: int) -> dict[str, Any]:
        """Stride, and padding so that the output has size / stride positions a side."""
        size = self._tensors[self._last].shape[1]
        total = max(0, (math.ceil(size / stride) - 1) * stride + kernel - size)
        one = (total // 2, total - total // 2)
        return {"stride": (stride, stride), "padding": (one, one)}


def _tensor(name: str, shape: tuple[int, ...]) -> Tensor:
    return Tensor(name, shape, np.dtype(np.int8), Quantisation.per_tensor(0.05, ZERO_POINT))


def _scales(maps: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    one = requantisation(0.001)
    return np.repeat(one.multiplier, maps), np.repeat(one.shift, maps)
