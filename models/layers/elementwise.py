"""Layers that work element by element, and softmax."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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
class TableSoftmax(UnaryLayer):
    """Softmax over the last dimension, of any output scale, by a table of exponentials (ONNX Runtime's QLinearSoftmax).

    With e[i] = ``table[largest - q[i]]`` the output is ``e[i] * numerator / (sum(e) * denominator)``, halves rounded to
    even, plus the zero point, saturated: exact in 64-bit integers.

    Attributes:
        table: int64[256], falling: the exponential of minus a difference of inputs, the first 2^30.
        numerator, denominator: the reciprocal of the output's scale, the first at most 2^31.
        output_zero_point: of the output.
    """

    op = "softmax"
    table: npt.NDArray[np.int64]
    numerator: int
    denominator: int
    output_zero_point: int


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
class Clip(Relu):
    """Requantisation clamped at any bounds."""

    op = "clip"


@dataclass(frozen=True, eq=False, kw_only=True)
class Quantize(UnaryLayer):
    """float32 to int8: ``round(x / scale) + zero_point``, saturating.

    Halves round away from zero, as TensorFlow Lite has it, or to even, as ONNX does (``ties_to_even``).
    """

    op = "quantize"
    scale: float
    zero_point: int
    ties_to_even: bool = False


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
