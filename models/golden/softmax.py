"""Softmax in fixed point, bit-exact with the reference int8 kernel.

The kernel works on gemmlowp's fixed-point type: Qi.f is an int32 with i integer and f = 31 - i fraction
bits. Its exponential and reciprocal are reproduced here on int64 arrays, operation for operation. The result
differs from the mathematical softmax of the dequantised input by at most 1 LSB (1/256).
"""

import math

import numpy as np
import numpy.typing as npt

from models.golden.fixed_point import (
    INT8_RANGE,
    multiply_by_quantised_multiplier,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
)
from models.layers import Softmax

Int64Array = npt.NDArray[np.int64]

INPUT_INTEGER_BITS = 5
_SUM_INTEGER_BITS = 12
# More could overflow the sum: each exponential is at most 2 ** (31 - _SUM_INTEGER_BITS).
LARGEST_DEPTH = (1 << _SUM_INTEGER_BITS) - 1
_ONE = (1 << 31) - 1


def _constant(value: float, integer_bits: int = 0) -> int:
    """A real number as a raw Q(integer_bits) value."""
    return min(_ONE, math.floor(value * (1 << (31 - integer_bits)) + 0.5))


def _exp_on_interval(x: Int64Array) -> Int64Array:
    """exp(x) for Q0 x in [-1/4, 0): a fourth-order series around -1/8."""
    offset = x + (1 << 28)
    square = saturating_rounding_doubling_high_mul(offset, offset)
    cube = saturating_rounding_doubling_high_mul(square, offset)
    fourth = saturating_rounding_doubling_high_mul(square, square)
    third = _constant(1 / 3)
    tail = saturating_rounding_doubling_high_mul(rounding_divide_by_pot(fourth, 2) + cube, third) + square
    base = _constant(math.exp(-1 / 8))
    return base + saturating_rounding_doubling_high_mul(base, offset + rounding_divide_by_pot(tail, 1))


def exp_on_negative_values(x: Int64Array) -> Int64Array:
    """exp of Q5 values of 0 or less, as Q0 (gemmlowp's exp_on_negative_values)."""
    fraction_bits = 31 - INPUT_INTEGER_BITS
    quarter = 1 << (fraction_bits - 2)
    remainder = (x & (quarter - 1)) - quarter
    result = _exp_on_interval(remainder << INPUT_INTEGER_BITS)
    quotient = remainder - x
    for exponent in range(-2, INPUT_INTEGER_BITS):
        factor = _constant(math.exp(-(2.0**exponent)))
        reduced = saturating_rounding_doubling_high_mul(result, factor)
        result = np.where(quotient & (1 << (fraction_bits + exponent)), reduced, result)
    return np.where(x == 0, _ONE, result)


def _one_over_one_plus_x(x: Int64Array) -> Int64Array:
    """1 / (1 + x) for Q0 x in [0, 1): three Newton-Raphson steps, in Q2."""
    half_denominator = (x + _ONE + 1) >> 1
    estimate = _constant(48 / 17, 2) + saturating_rounding_doubling_high_mul(half_denominator, -_constant(32 / 17, 2))
    for _ in range(3):
        product = saturating_rounding_doubling_high_mul(half_denominator, estimate)
        correction = (1 << 29) - product
        estimate = estimate + _saturating_shift(saturating_rounding_doubling_high_mul(estimate, correction), 2)
    return _saturating_shift(estimate, 1)


def _saturating_shift(x: Int64Array, bits: int) -> Int64Array:
    return np.clip(x << bits, -_ONE - 1, _ONE)


def softmax(layer: Softmax, x: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Softmax over the last dimension of an int8 array (reference_ops::Softmax)."""
    difference = x.astype(np.int64) - x.max(axis=-1, keepdims=True)
    counts = difference >= layer.diff_min
    scaled = multiply_by_quantised_multiplier(np.where(counts, difference, 0), layer.multiplier, layer.left_shift)
    exponential = exp_on_negative_values(scaled)
    total = np.where(counts, rounding_divide_by_pot(exponential, _SUM_INTEGER_BITS), 0).sum(axis=-1, keepdims=True)
    # Normalise the sum to [1, 2): its leading bit becomes bit 31.
    headroom = 32 - np.frexp(total.astype(np.float64))[1]
    reciprocal = _one_over_one_plus_x((total << headroom) - (1 << 31))
    bits_over_unit = _SUM_INTEGER_BITS - headroom
    product = saturating_rounding_doubling_high_mul(reciprocal, exponential)
    shifted = rounding_divide_by_pot(product, bits_over_unit + 31 - 8) + INT8_RANGE[0]
    return np.where(counts, np.clip(shifted, *INT8_RANGE), INT8_RANGE[0]).astype(np.int8)
