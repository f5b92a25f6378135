"""Layers that work element by element, and softmax."""

from dataclasses import dataclass

import numpy as np

from models.layers.base import Layer, Pair, Requantisation, UnaryLayer
from models.tensor import Shape


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
class Softmax(UnaryLayer):
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
class Relu(UnaryLayer):
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
class Quantize(UnaryLayer):
    """float32 to int8: ``round(x / scale) + zero_point``, halves away from zero, saturating."""

    op = "quantize"
    scale: float
    zero_point: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Requantize(UnaryLayer):
    """int8 to int8 of another scale and zero point."""

    op = "quantize"
    requantisation: Requantisation
    input_zero_point: int
    output_zero_point: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Dequantize(UnaryLayer):
    """int8 to float32: ``scale * (q - zero_point)``."""

    op = "dequantize"
    scale: float
    zero_point: int
