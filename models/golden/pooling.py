"""Average pooling, max pooling and mean, bit-exact with the reference int8 kernels."""

import numpy as np
import numpy.typing as npt

from models.golden.fixed_point import INT8_RANGE, multiply_by_quantised_multiplier, requantise
from models.golden.windows import surround, windows
from models.layers import AveragePool2D, MaxPool2D, Mean, Pool2D, RescaledAveragePool2D

Int8Array = npt.NDArray[np.int8]


def average_pool_2d(layer: AveragePool2D, x: Int8Array) -> Int8Array:
    """int8[N, H, W, C] to int8[N, H_out, W_out, C]: the average, halves rounded away from zero."""
    total = _window_sums(layer, surround(x, layer.padding, np.int32))
    inside = surround(np.ones((1, *x.shape[1:3], 1), np.int8), layer.padding, np.int32)
    count = np.maximum(_window_sums(layer, inside), 1)
    magnitude = (abs(total) + count // 2) // count
    return np.clip(np.copysign(magnitude, total), *layer.activation).astype(np.int8)


def rescaled_average_pool_2d(layer: RescaledAveragePool2D, x: Int8Array) -> Int8Array:
    """int8[N, H, W, C] to int8[N, H_out, W_out, C]: the average in another scale, rounded once."""
    total = _window_sums(layer, surround(x, layer.padding, np.int32, offset=layer.input_zero_point))
    inside = surround(np.ones((1, *x.shape[1:3], 1), np.int8), layer.padding, np.int32, fill=int(layer.padding_counts))
    divisors = _window_sums(layer, inside)[0, ..., 0]
    result = np.empty(total.shape, np.int8)
    for index, count in enumerate(layer.counts):
        rows, columns = np.nonzero(divisors == count)
        scaling = layer.requantisation.entry(index)
        scaled = requantise(total[:, rows, columns], scaling, layer.output_zero_point, layer.activation)
        result[:, rows, columns] = scaled
    return result


def _window_sums(layer: Pool2D, x: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    return np.asarray(windows(x, layer.kernel, layer.stride).sum(axis=(3, 4), dtype=np.int32))


def max_pool_2d(layer: MaxPool2D, x: npt.NDArray) -> npt.NDArray:
    """int8[N, H, W, C] to int8[N, H_out, W_out, C], or int16 likewise: the maximum, padding left out."""
    padded = surround(x, layer.padding, x.dtype, fill=int(np.iinfo(x.dtype).min))
    largest = windows(padded, layer.kernel, layer.stride).max(axis=(3, 4))
    return np.clip(largest, *layer.activation).astype(x.dtype)


def mean(layer: Mean, x: Int8Array) -> Int8Array:
    """int8[N, ...] to the mean over the layer's axes (reference_ops::QuantizedMeanOrSum)."""
    total = x.sum(axis=layer.axes, keepdims=layer.keep_dims, dtype=np.int64)
    count = x.size // total.size
    scaled = multiply_by_quantised_multiplier(total - layer.input_zero_point * count, layer.multiplier, layer.shift)
    return np.clip(scaled + layer.output_zero_point, *INT8_RANGE).astype(np.int8)
