"""Softmax of any output scale, exact in integers."""

import numpy as np
import numpy.typing as npt

from models.golden.fixed_point import INT8_RANGE
from models.layers import TableSoftmax


def table_softmax(layer: TableSoftmax, x: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Softmax over the last dimension of an int8 array, halves rounded to even."""
    values = x.astype(np.int64)
    exponential = layer.table[values.max(axis=-1, keepdims=True) - values]
    divisor = exponential.sum(axis=-1, keepdims=True) * layer.denominator
    quotient, remainder = np.divmod(exponential * layer.numerator, divisor)
    # Above a half, or at one and odd.
    quotient += 2 * remainder + (quotient & 1) > divisor
    return np.clip(quotient + layer.output_zero_point, *INT8_RANGE).astype(np.int8)
