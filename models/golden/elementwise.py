"""Addition, rectifiers and conversions, bit-exact with the reference int8 kernels."""

import numpy as np
import numpy.typing as npt

from models.golden.fixed_point import (
    INT8_RANGE,
    multiply_by_quantised_multiplier,
    requantise,
    round_half_away,
)
from models.golden.windows import blocks
from models.layers import Add, Dequantize, Quantize, Relu, Requantize

Int8Array = npt.NDArray[np.int8]


def add(layer: Add, first: Int8Array, second: Int8Array) -> Int8Array:
    """The sum of two int8 arrays that broadcast against each other (reference_integer_ops::Add)."""
    shape = np.broadcast_shapes(first.shape, second.shape)
    operands = [np.broadcast_to(x, shape) for x in (first, second)]
    tables = [_operand_table(layer, index) for index in range(2)]
    result = np.empty(shape, np.int8)
    for images in blocks(shape[0], result[0].size * np.dtype(np.int64).itemsize):
        left, right = (table[x[images].view(np.uint8)] for table, x in zip(tables, operands, strict=True))
        total = np.add(left, right, out=left)
        result[images] = requantise(total, layer.output_scaling, layer.output_zero_point, layer.activation)
    return result


def _operand_table(layer: Add, index: int) -> npt.NDArray[np.int32]:
    """One operand's scaled value for each of its 256 values, by its bits."""
    values = np.arange(256, dtype=np.uint8).view(np.int8).astype(np.int64)
    shifted = (values - layer.input_zero_points[index]) << layer.left_shift
    scaling = layer.input_scaling
    scaled = multiply_by_quantised_multiplier(shifted, scaling.multiplier[index], scaling.shift[index])
    # Each is below 2^28 in magnitude, as the factor is at most a half: the sum cannot overflow.
    return scaled.astype(np.int32)


def relu(layer: Relu, x: Int8Array) -> Int8Array:
    """Rectify and requantise (ReluX)."""
    centred = x.astype(np.int64) - layer.input_zero_point
    return requantise(centred, layer.requantisation, layer.output_zero_point, layer.activation)


def requantize(layer: Requantize, x: Int8Array) -> Int8Array:
    """int8 to int8 of another quantisation (reference_ops::Requantize)."""
    centred = x.astype(np.int64) - layer.input_zero_point
    return requantise(centred, layer.requantisation, layer.output_zero_point, INT8_RANGE)


def quantize(layer: Quantize, x: npt.NDArray[np.float32]) -> Int8Array:
    """float32 to int8 (reference_ops::AffineQuantize or QuantizeLinear; both divide in single precision)."""
    return quantise_real(x, layer.scale, layer.zero_point, layer.ties_to_even)


def quantise_real(x: npt.NDArray[np.float32], scale: float, zero_point: int, ties_to_even: bool = False) -> Int8Array:
    """``round(x / scale) + zero_point`` saturated to int8.

    Halves round away from zero, or to even; not-a-number becomes the zero point.
    """
    real = np.nan_to_num(np.asarray(x, np.float32) / np.float32(scale), nan=0.0)
    quotient = np.rint(real) if ties_to_even else round_half_away(real)
    return np.clip(quotient.astype(np.float64) + zero_point, *INT8_RANGE).astype(np.int8)


def dequantize(layer: Dequantize, x: Int8Array) -> npt.NDArray[np.float32]:
    """int8 to float32 (reference_ops::Dequantize)."""
    return dequantise(x, layer.scale, layer.zero_point)


def dequantise(x: Int8Array, scale: float, zero_point: int) -> npt.NDArray[np.float32]:
    """``scale * (x - zero_point)``, in double precision, rounded to float32."""
    return (scale * (x.astype(np.float64) - zero_point)).astype(np.float32)
