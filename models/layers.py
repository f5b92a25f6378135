"""The layers of a network: parameters, shapes and cost. Their arithmetic is `models.golden`."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from math import prod
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from models.tensor import NetworkError, Shape

if TYPE_CHECKING:
    from models.network import Network

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]


class Rounding(Enum):
    """How an accumulator times a fixed-point factor becomes an integer.

    DOUBLE: the 64-bit product is rounded (halves up) to its high 32 bits, and those (halves away from zero)
    to the right shift. SINGLE: the product is rounded once, halves up: ``(x * multiplier + 2 ** (30 -
    shift)) >> (31 - shift)``.
    """

    DOUBLE = "double"
    SINGLE = "single"


@dataclass(frozen=True, eq=False)
class Requantisation:
    """Scaling from an accumulator to the output, one fixed-point factor a channel (or one for all).

    The factor is ``multiplier * 2 ** (shift - 31)``: TensorFlow Lite's convention, a positive shift is a
    left shift.

    Attributes:
        multiplier: int32[n], each 0 or in [2^30, 2^31).
        shift: int32[n], each in [-31, 30].
        rounding: DOUBLE in the reference kernels, except for fully connected layers.

    Raises:
        NetworkError: a value out of range, or lengths that differ.
    """

    multiplier: npt.NDArray[np.int32]
    shift: npt.NDArray[np.int32]
    rounding: Rounding = Rounding.DOUBLE

    def __post_init__(self) -> None:
        if self.multiplier.ndim != 1 or self.multiplier.shape != self.shift.shape:
            raise NetworkError("requantisation multipliers and shifts are not equally many")
        multiplier = self.multiplier.astype(np.int64)
        if ((multiplier != 0) & (multiplier < 1 << 30)).any() or (abs(self.shift + 0.5) > 31).any():
            raise NetworkError("a requantisation multiplier or shift is out of range")


@dataclass(frozen=True, eq=False, kw_only=True)
class Layer(ABC):
    """One operator of a network.

    Attributes:
        name: unique in the network: the operator's name and its index in the file, such as ``conv_2d_3``.
        inputs: names of the tensors it reads (weights and biases are the layer's own).
        output: name of the tensor it writes.
        op: the operator's name.
    """

    op: ClassVar[str]
    name: str
    inputs: tuple[str, ...]
    output: str

    @abstractmethod
    def infer_shape(self, *shapes: Shape) -> Shape:
        """Shape of the output for inputs of ``shapes``; raises NetworkError if they do not fit the layer."""

    def macs(self, network: "Network") -> int:
        """Dense multiply-accumulates for batch 1, padding positions counted; 0 for layers without weights."""
        return 0

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return 0

    def refuse(self, reason: str) -> NetworkError:
        """An error that names the layer."""
        return NetworkError(f"layer {self.name}: {reason}")


def window_output(size: int, kernel: int, stride: int, dilation: int, padding: Pair) -> int:
    """Positions of a sliding window along one dimension; below 1 if the window does not fit."""
    return (size + sum(padding) - (kernel - 1) * dilation - 1) // stride + 1


def _feature_map(layer: Layer, shape: Shape) -> tuple[int, int, int]:
    if len(shape) != 4:
        raise layer.refuse(f"input of shape {list(shape)} is not a feature map (1, height, width, channels)")
    return shape[1], shape[2], shape[3]


@dataclass(frozen=True, eq=False, kw_only=True)
class _Window(Layer):
    stride: Pair
    padding: Padding

    def _slide(self, shape: Shape, kernel: Pair, dilation: Pair = (1, 1)) -> Pair:
        """Height and width of the output."""
        if min(*self.stride, *dilation, *kernel) < 1 or min(self.padding[0] + self.padding[1]) < 0:
            raise self.refuse("kernel, stride and dilation must be 1 or more, padding 0 or more")
        height, width, _ = _feature_map(self, shape)
        out = (
            window_output(height, kernel[0], self.stride[0], dilation[0], self.padding[0]),
            window_output(width, kernel[1], self.stride[1], dilation[1], self.padding[1]),
        )
        if min(out) < 1:
            raise self.refuse(f"a {kernel[0]}x{kernel[1]} window does not fit an input of {height}x{width}")
        return out


@dataclass(frozen=True, eq=False, kw_only=True)
class _Weighted(Layer):
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
class Conv2D(_Weighted, _Window):
    """Two-dimensional convolution.

    Attributes:
        weights: int8[O, kernel height, kernel width, I / groups].
        stride, dilation: (vertical, horizontal).
        padding: ((top, bottom), (left, right)); padding positions read the input's zero point.
        groups: output channel o reads the input channels of group ``o // (O / groups)``.
    """

    op = "conv_2d"
    dilation: Pair = (1, 1)
    groups: int = 1

    @property
    def kernel(self) -> Pair:
        """Height and width."""
        return self.weights.shape[1], self.weights.shape[2]

    def infer_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        outputs, *_, per_group = self.weights.shape
        out = self._slide(shape, self.kernel, self.dilation)
        if self.groups < 1 or per_group * self.groups != shape[3] or outputs % self.groups:
            raise self.refuse(
                f"weights of shape {list(self.weights.shape)} in {self.groups} groups "
                f"do not fit {shape[3]} channels"
            )
        self._check_channels(outputs)
        return (1, *out, outputs)

    def macs(self, network: "Network") -> int:
        _, height, width, _ = network.tensors[self.output].shape
        return height * width * self.weights.size


@dataclass(frozen=True, eq=False, kw_only=True)
class DepthwiseConv2D(_Weighted, _Window):
    """Depthwise convolution: output channel o reads input channel ``o // depth_multiplier``.

    Attributes:
        weights: int8[1, kernel height, kernel width, C * depth_multiplier].
        stride, dilation, padding: as in Conv2D.
    """

    op = "depthwise_conv_2d"
    dilation: Pair = (1, 1)
    depth_multiplier: int = 1

    @property
    def kernel(self) -> Pair:
        """Height and width."""
        return self.weights.shape[1], self.weights.shape[2]

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

    def macs(self, network: "Network") -> int:
        _, height, width, _ = network.tensors[self.output].shape
        return height * width * self.weights.size


@dataclass(frozen=True, eq=False, kw_only=True)
class FullyConnected(_Weighted):
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
            raise self.refuse(
                f"weights of shape {[outputs, depth]} do not fit an input of shape {list(shape)}"
            )
        self._check_channels(outputs)
        return (*shape[:-1], outputs) if self.keep_dims else (prod(shape) // depth, outputs)

    def macs(self, network: "Network") -> int:
        return network.tensors[self.output].size * self.weights.shape[1]


@dataclass(frozen=True, eq=False, kw_only=True)
class Add(Layer):
    """Element-wise addition of two tensors, either of which may be constant or broadcast.

    Both operands are shifted left by ``left_shift`` and scaled to a common scale, added, and scaled to the
    output.

    Attributes:
        left_shift: 20 for int8.
        input_scaling: requantisation of the two operands, two entries.
        output_scaling: requantisation of the sum, one entry.
        input_zero_points, output_zero_point, activation: as in the weighted layers.
    """

    op = "add"
    left_shift: int
    input_scaling: Requantisation
    output_scaling: Requantisation
    input_zero_points: Pair
    output_zero_point: int
    activation: Pair

    def infer_shape(self, *shapes: Shape) -> Shape:
        try:
            return tuple(int(size) for size in np.broadcast_shapes(*shapes))
        except ValueError:
            raise self.refuse(f"shapes {[list(s) for s in shapes]} cannot be added") from None


@dataclass(frozen=True, eq=False, kw_only=True)
class Pool2D(_Window):
    """Pooling over a window; padding positions take no part. ``kernel`` is (height, width)."""

    kernel: Pair
    activation: Pair

    def infer_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        return (1, *self._slide(shape, self.kernel), shape[3])


@dataclass(frozen=True, eq=False, kw_only=True)
class AveragePool2D(Pool2D):
    """Average of the window's positions inside the input, halves rounded away from zero."""

    op = "average_pool_2d"


@dataclass(frozen=True, eq=False, kw_only=True)
class MaxPool2D(Pool2D):
    """Maximum of the window's positions inside the input."""

    op = "max_pool_2d"


@dataclass(frozen=True, eq=False, kw_only=True)
class Mean(Layer):
    """Mean over ``axes``, which exclude the batch.

    The fixed-point factor ``multiplier * 2 ** (shift - 31)`` includes the division by the number of
    elements; its multiplier may therefore lie below 2^30.
    """

    op = "mean"
    axes: tuple[int, ...]
    keep_dims: bool
    multiplier: int
    shift: int
    input_zero_point: int
    output_zero_point: int

    def infer_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if any(not 0 < axis < len(shape) for axis in self.axes):
            raise self.refuse(f"mean over dimensions {list(self.axes)} of an input of shape {list(shape)}")
        sizes = (
            (1 if i in self.axes else size)
            for i, size in enumerate(shape)
            if self.keep_dims or i not in self.axes
        )
        return tuple(sizes)


@dataclass(frozen=True, eq=False, kw_only=True)
class Reshape(Layer):
    """The same elements in the same order; ``shape`` is the output's for batch 1."""

    op = "reshape"
    shape: Shape

    def infer_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if prod(shape) != prod(self.shape):
            raise self.refuse(f"{list(shape)} cannot be reshaped to {list(self.shape)}")
        return self.shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Pad(Layer):
    """``paddings[d] = (before, after)`` elements of ``value`` (quantised) around dimension d."""

    op = "pad"
    paddings: tuple[Pair, ...]
    value: int

    def infer_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if (
            len(shape) != len(self.paddings)
            or any(min(pair) < 0 for pair in self.paddings)
            or any(self.paddings[0])
        ):
            raise self.refuse(
                f"paddings {[list(p) for p in self.paddings]} do not fit an input of shape {list(shape)}"
            )
        return tuple(size + sum(pair) for size, pair in zip(shape, self.paddings, strict=True))


@dataclass(frozen=True, eq=False, kw_only=True)
class Concatenation(Layer):
    """Inputs of equal quantisation, one after the other along ``axis``, which is not the batch."""

    op = "concatenation"
    axis: int

    def infer_shape(self, *shapes: Shape) -> Shape:
        first = shapes[0]
        rest = {shape[: self.axis] + shape[self.axis + 1 :] for shape in shapes}
        if (
            not 0 < self.axis < len(first)
            or len(rest) != 1
            or any(len(shape) != len(first) for shape in shapes)
        ):
            raise self.refuse(
                f"shapes {[list(s) for s in shapes]} cannot be joined along dimension {self.axis}"
            )
        return (*first[: self.axis], sum(shape[self.axis] for shape in shapes), *first[self.axis + 1 :])


@dataclass(frozen=True, eq=False, kw_only=True)
class _Unary(Layer):
    def infer_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        return shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Softmax(_Unary):
    """Softmax over the last dimension, in fixed point; the output has scale 1/256 and zero point -128.

    Attributes:
        multiplier, left_shift: fixed-point factor from a difference of inputs to Q5.26.
        diff_min: differences below it count as probability 0.
    """

    op = "softmax"
    multiplier: int
    left_shift: int
    diff_min: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Relu(_Unary):
    """Rectifier with requantisation; ``activation`` clamps in the output's quantised domain."""

    op = "relu"
    requantisation: Requantisation
    input_zero_point: int
    output_zero_point: int
    activation: Pair


@dataclass(frozen=True, eq=False, kw_only=True)
class Relu6(Relu):
    """Rectifier clamped at 6.0."""

    op = "relu6"


@dataclass(frozen=True, eq=False, kw_only=True)
class Quantize(_Unary):
    """float32 to int8: ``round(x / scale) + zero_point``, halves away from zero, saturating."""

    op = "quantize"
    scale: float
    zero_point: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Requantize(_Unary):
    """int8 to int8 of another scale and zero point."""

    op = "quantize"
    requantisation: Requantisation
    input_zero_point: int
    output_zero_point: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Dequantize(_Unary):
    """int8 to float32: ``scale * (q - zero_point)``."""

    op = "dequantize"
    scale: float
    zero_point: int


def weights_of(layer: Layer) -> npt.NDArray[np.int8] | None:
    """The layer's weights, or None if its kind has none."""
    return layer.weights if isinstance(layer, _Weighted) else None
