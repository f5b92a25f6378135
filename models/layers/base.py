"""What all layers share: names, shapes, cost, and requantisation."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from models.tensor import NetworkError, Shape

if TYPE_CHECKING:
    from models.network import Network

Pair = tuple[int, int]
Padding = tuple[Pair, Pair]

# Far beyond any network: what a damaged file asks for is refused before memory for its padding is taken.
_LARGEST_REACH = 1 << 14


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

    def entry(self, index: int) -> "Requantisation":
        """One of its factors, for all channels."""
        chosen = slice(index, index + 1)
        return Requantisation(self.multiplier[chosen], self.shift[chosen], self.rounding)


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


@dataclass(frozen=True, eq=False, kw_only=True)
class WindowLayer(Layer):
    """A layer that slides a window over a feature map.

    Attributes:
        stride: (vertical, horizontal).
        padding: ((top, bottom), (left, right)).
    """

    stride: Pair
    padding: Padding

    def _slide(self, shape: Shape, kernel: Pair, dilation: Pair = (1, 1)) -> Pair:
        """Height and width of the output."""
        if min(*self.stride, *dilation, *kernel) < 1 or min(self.padding[0] + self.padding[1]) < 0:
            raise self.refuse("kernel, stride and dilation must be 1 or more, padding 0 or more")
        if len(shape) != 4:
            raise self.refuse(f"input of shape {list(shape)} is not a feature map (1, height, width, channels)")
        for size, step in zip(kernel, dilation, strict=True):
            if (size - 1) * step >= _LARGEST_REACH:
                raise self.refuse(f"a window that reaches over {(size - 1) * step + 1} elements is not supported")
        _, height, width, _ = shape
        out = (
            window_output(height, kernel[0], self.stride[0], dilation[0], self.padding[0]),
            window_output(width, kernel[1], self.stride[1], dilation[1], self.padding[1]),
        )
        if min(out) < 1:
            raise self.refuse(f"a {kernel[0]}x{kernel[1]} window does not fit an input of {height}x{width}")
        return out


@dataclass(frozen=True, eq=False, kw_only=True)
class UnaryLayer(Layer):
    """A layer of one input and an output of the same shape."""

    def infer_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        return shape
