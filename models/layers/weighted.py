"""Layers with weights: convolution, depthwise convolution and fully connected."""

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from models.layers.base import Layer, Pair, Requantisation, WindowLayer
from models.tensor import Shape

if TYPE_CHECKING:
    from models.network import Network


@dataclass(frozen=True, eq=False, kw_only=True)
class WeightedLayer(Layer):
    """Weights, bias and requantisation of a layer that accumulates in int32.

    Attributes:
        weights: int8.
        bias: int32[O]; zeros when the file has none.
        requantisation: one factor an output channel.
        input_zero_point, output_zero_point: of the activations.
        activation: lowest and highest output, in the output's quantised domain.
    """

    weights: npt.NDArray[np.int8]
    bias: npt.NDArray[np.int32]
    requantisation: Requantisation
    input_zero_point: int
    output_zero_point: int
    activation: Pair

    @property
    def parameters(self) -> int:
        return self.weights.size + self.bias.size

    def _check_channels(self, outputs: int) -> None:
        for what, length in (
            ("biases", self.bias.size),
            ("multipliers", self.requantisation.multiplier.size),
        ):
            if length != outputs:
                raise self.refuse(f"{length} {what} for {outputs} output channels")


@dataclass(frozen=True, eq=False, kw_only=True)
class Convolution(WeightedLayer, WindowLayer):
    """What the kinds of convolution share.

    Attributes:
        stride, dilation: (vertical, horizontal).
        padding: ((top, bottom), (left, right)); padding positions read the input's zero point.
    """

    dilation: Pair = (1, 1)

    @property
    def kernel(self) -> Pair:
        """Height and width: dimensions 1 and 2 of the weights, but for packed ones."""
        return self.weights.shape[1], self.weights.shape[2]

    def macs(self, network: "Network") -> int:
        _, height, width, _ = network.tensors[self.output].shape
        return height * width * self.weights.size


@dataclass(frozen=True, eq=False, kw_only=True)
class Conv2D(Convolution):
    """Two-dimensional convolution.

    Attributes:
        weights: int8[O, kernel height, kernel width, I / groups].
        groups: output channel o reads the input channels of group ``o // (O / groups)``.
    """

    op = "conv_2d"
    groups: int = 1

    def infer_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        outputs, *_, per_group = self.weights.shape
        out = self._slide(shape, self.kernel, self.dilation)
        if self.groups < 1 or per_group * self.groups != shape[3] or outputs % self.groups:
            raise self.refuse(
                f"weights of shape {list(self.weights.shape)} in {self.groups} groups do not fit {shape[3]} channels"
            )
        self._check_channels(outputs)
        return (1, *out, outputs)


@dataclass(frozen=True, eq=False, kw_only=True)
class DepthwiseConv2D(Convolution):
    """Depthwise convolution: output channel o reads input channel ``o // depth_multiplier``.

    Attributes:
        weights: int8[1, kernel height, kernel width, C * depth_multiplier].
    """

    op = "depthwise_conv_2d"
    depth_multiplier: int = 1

    def infer_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        one, *_, outputs = self.weights.shape
        out = self._slide(shape, self.kernel, self.dilation)
        if one != 1 or shape[3] * self.depth_multiplier != outputs:
            raise self.refuse(
                f"weights of shape {list(self.weights.shape)} do not fit {shape[3]} channels "
                f"with depth multiplier {self.depth_multiplier}"
            )
        self._check_channels(outputs)
        return (1, *out, outputs)


@dataclass(frozen=True, eq=False, kw_only=True)
class FullyConnected(WeightedLayer):
    """Matrix product with weights int8[O, I]; the input is read as rows of I elements.

    Its requantisation rounds once (`Rounding.SINGLE`), unlike a convolution's.

    ``keep_dims``: the output keeps the input's leading dimensions; otherwise it is (rows, O).
    """

    op = "fully_connected"
    keep_dims: bool = False

    def infer_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        outputs, depth = self.weights.shape
        if prod(shape) % depth or (self.keep_dims and shape[-1] != depth):
            raise self.refuse(f"weights of shape {[outputs, depth]} do not fit an input of shape {list(shape)}")
        self._check_channels(outputs)
        return (*shape[:-1], outputs) if self.keep_dims else (prod(shape) // depth, outputs)

    def macs(self, network: "Network") -> int:
        return network.tensors[self.output].size * self.weights.shape[1]
