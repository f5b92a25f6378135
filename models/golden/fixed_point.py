"""Fixed-point arithmetic of TensorFlow Lite's reference kernels, exact on int64 arrays.

A real factor is held as ``multiplier * 2 ** (shift - 31)``. Scaling by it mostly rounds twice: the 64-bit
product is rounded to its high 32 bits, and that to the right shift (gemmlowp's
SaturatingRoundingDoublingHighMul and RoundingDivideByPOT).
"""

import math

import numpy as np
import numpy.typing as npt

from models.layers import Requantisation, Rounding

Int64Array = npt.NDArray[np.int64]

INT8_RANGE = (-128, 127)
_LARGEST_SHIFT = 30
_SMALLEST_SHIFT = -31


def round_half_away(x: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Nearest integers, halves away from zero (C's ``round``), in the precision of ``x``."""
    whole = np.trunc(x)
    return whole + np.copysign((abs(x - whole) >= 0.5).astype(x.dtype), x)


def quantise_multiplier(real: float) -> tuple[int, int]:
    """A real factor as (multiplier, shift): multiplier in [2^30, 2^31), shift in [-31, 30], or (0, 0).

    Factors below about 2^-32 become 0, as in the reference kernels (QuantizeMultiplier).

    Raises:
        ValueError: the factor is negative, not finite, or 2^30 and above.
    """
    if not (math.isfinite(real) and real >= 0):
        raise ValueError(f"the scaling factor {real} is not a finite number of 0 or more")
    fraction, shift = math.frexp(real)
    multiplier = math.floor(fraction * (1 << 31) + 0.5)
    if multiplier == 1 << 31:
        multiplier, shift = 1 << 30, shift + 1
    if shift > _LARGEST_SHIFT:
        raise ValueError(f"the scaling factor {real} is above 2^{_LARGEST_SHIFT}")
    return (multiplier, shift) if multiplier and shift >= _SMALLEST_SHIFT else (0, 0)


def requantisation(*factors: float) -> Requantisation:
    """The fixed-point form of one or more real factors; raises ValueError as `quantise_multiplier` does."""
    pairs = np.array([quantise_multiplier(factor) for factor in factors], np.int32)
    return Requantisation(pairs[:, 0].copy(), pairs[:, 1].copy())


def wrap_int32(x: npt.ArrayLike) -> Int64Array:
    """``x`` modulo 2^32, as a 32-bit accumulator holds it, in int64."""
    return np.asarray(x, np.int64).astype(np.int32).astype(np.int64)


def saturating_rounding_doubling_high_mul(a: npt.ArrayLike, b: npt.ArrayLike) -> Int64Array:
    """High 32 bits of ``2 * a * b`` for int32 values, halves rounded up.

    -2^31 times itself saturates to 2^31 - 1.
    """
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    # Only -2^31 * -2^31 gives 2^31.
    return np.asarray(np.minimum((product + (1 << 30)) >> 31, (1 << 31) - 1))


def rounding_divide_by_pot(x: npt.ArrayLike, exponent: npt.ArrayLike) -> Int64Array:
    """``x / 2 ** exponent`` rounded to the nearest integer, halves away from zero (``exponent >= 0``)."""
    value, power = np.asarray(x, np.int64), np.asarray(exponent, np.int64)
    # A negative half must round down, so one less is added to it than to a positive one.
    rounded = value >> 63 if power.all() else (value >> 63) * (power > 0)
    rounded += value
    rounded += (np.int64(1) << power) >> 1
    rounded >>= power
    return rounded


def multiply_by_quantised_multiplier(x: npt.ArrayLike, multiplier: npt.ArrayLike, shift: npt.ArrayLike) -> Int64Array:
    """``x * multiplier * 2 ** (shift - 31)``, rounded twice (MultiplyByQuantizedMultiplier).

    Args:
        x: int32 values, in any type that holds them.
        multiplier, shift: 0 or more, and any; they broadcast to the shape of ``x``. A positive shift is a
            left shift of ``x``, modulo 2^32, before the product; a negative one is a right shift after it.
    """
    power = np.asarray(shift, np.int64)
    # One array is worked on in place: these passes over memory are most of the time that a network takes.
    value = np.array(x, np.int64)
    if (power > 0).any():
        value = wrap_int32(value << np.maximum(power, 0))
    value *= np.asarray(multiplier, np.int64)
    value += 1 << 30
    value >>= 31
    return rounding_divide_by_pot(value, np.maximum(-power, 0)) if (power < 0).any() else value


def multiply_rounding_once(x: npt.ArrayLike, multiplier: npt.ArrayLike, shift: npt.ArrayLike) -> Int64Array:
    """``x * multiplier * 2 ** (shift - 31)`` for int32 ``x``, rounded once, halves up."""
    total_shift = 31 - np.asarray(shift, np.int64)
    product = np.asarray(x, np.int64) * np.asarray(multiplier, np.int64)
    return np.asarray((product + ((np.int64(1) << total_shift) >> 1)) >> total_shift)


def requantise(
    accumulator: npt.ArrayLike,
    scaling: Requantisation,
    zero_point: int,
    activation: tuple[int, int],
    dtype: npt.DTypeLike = np.int8,
) -> npt.NDArray:
    """Accumulators (channels last) to ``dtype``: scale, add the output's zero point, clamp to ``activation``."""
    once = scaling.rounding is Rounding.SINGLE
    multiply = multiply_rounding_once if once else multiply_by_quantised_multiplier
    scaled = multiply(accumulator, scaling.multiplier, scaling.shift)
    scaled += zero_point
    return np.clip(scaled, *activation, out=scaled).astype(dtype)
