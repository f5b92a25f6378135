"""Fixed-point factors in place of ONNX Runtime's floating-point ones.

ONNX Runtime multiplies an accumulator by a float32 factor and rounds once, halves to even. The nearest 31-bit
multiplier with a single rounding gives the same, except where the product lies halfway between two outputs to
the precision of float32: halves round up here. With the factors that calibration yields such products are rare
(fewer than one element in 10,000). With factors such as 2^-7 every accumulator of 64 more than a multiple of 128 is
one; half of them differ, by 1.

TensorFlow Lite's double rounding would differ more: the first rounding alone moves one element in 2^(s + 1)
across a step, for a right shift by s.
"""

from collections.abc import Iterable
from dataclasses import replace

from models.golden import fixed_point
from models.layers import Requantisation, Rounding
from models.network import NetworkError


def requantisation(factors: Iterable[float]) -> Requantisation:
    """Fixed-point factors that round once; raises NetworkError if one is out of range."""
    try:
        return replace(fixed_point.requantisation(*map(float, factors)), rounding=Rounding.SINGLE)
    except ValueError as error:
        raise NetworkError(str(error)) from None
