"""Convolution, depthwise and cyclic convolution and fully connected layers, bit-exact with the reference int8 kernels.

Accumulators are 32 bits wide and wrap. Dense products run as floating-point matrix products, which are exact
because every partial sum is an integer that the type can hold: the type is chosen from the layer's own
weights.
"""

import numpy as np
import numpy.typing as npt
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from models.golden.fixed_point import requantise, wrap_int32
from models.golden.windows import blocks, surround, windows
from models.layers import Conv2D, CyclicConv2D, DepthwiseConv2D, FullyConnected
from models.network import Shape

Int8Array = npt.NDArray[np.int8]

# Products are of a block that fits the cache, so threads gain little; and on a machine with other work they
# wait for each other in busy loops, which has been seen to take 20 times as long.
_one_thread = ThreadpoolController().wrap(limits=1, user_api="blas")

# A matrix product multiplies about so many times as fast as one edge after the other.
_FASTER_DENSE = 16


def exact_float(weights: npt.NDArray, zero_point: int, inputs: npt.DTypeLike = np.int8) -> type[np.floating]:
    """The smaller float type in which every partial sum of inputs times weights (outputs first) is exact.

    float64 always is: 2^53 is more than 2^37 products of int8 values, and 2^21 of int16 ones.
    """
    limits = np.iinfo(inputs)
    largest_input = max(limits.max - zero_point, zero_point - limits.min)
    largest_sum = largest_input * int(abs(weights.astype(np.int64)).reshape(len(weights), -1).sum(axis=1).max())
    return np.float32 if largest_sum <= 1 << np.finfo(np.float32).nmant + 1 else np.float64


def _finish(
    layer: Conv2D | FullyConnected, sums: npt.NDArray[np.floating], dtype: npt.DTypeLike = np.int8
) -> npt.NDArray:
    """Bias and requantisation of whole-numbered sums, channels last."""
    accumulator = wrap_int32(sums.astype(np.int64) + layer.bias)
    return requantise(accumulator, layer.requantisation, layer.output_zero_point, layer.activation, dtype)


@_one_thread
def conv_2d(layer: Conv2D, x: npt.NDArray, output: Shape) -> npt.NDArray:
    """int8[N, H, W, I] to int8[N, H_out, W_out, O] (ConvPerChannel); ``output`` is the shape for batch 1.

    int16 likewise, with weights of either type: the same arithmetic, accumulators of 32 bits included.
    """
    _, height, width, outputs = output
    channels = layer.weights.shape[3]
    depth = layer.weights[0].size
    dtype = exact_float(layer.weights, layer.input_zero_point, x.dtype)
    # (groups, depth, outputs of a group)
    matrices = layer.weights.reshape(layer.groups, -1, depth).transpose(0, 2, 1).astype(dtype)
    result = np.empty((len(x), height, width, outputs), x.dtype)
    bytes_per_row = width * (depth * layer.groups * np.dtype(dtype).itemsize + outputs * np.dtype(np.int64).itemsize)
    for images in blocks(len(x), height * bytes_per_row):
        padded = surround(x[images], layer.padding, dtype, offset=layer.input_zero_point)
        patches = windows(padded, layer.kernel, layer.stride, layer.dilation)
        # Rows are split only when one image is already too large.
        for rows in blocks(height, bytes_per_row) if len(padded) == 1 else [slice(None)]:
            block = patches[:, rows]
            sums = [
                block[..., group * channels : (group + 1) * channels].reshape(-1, depth) @ matrix
                for group, matrix in enumerate(matrices)
            ]
            accumulated = sums[0] if layer.groups == 1 else np.concatenate(sums, axis=1)
            result[images, rows] = _finish(layer, accumulated, x.dtype).reshape(*block.shape[:3], outputs)
    return result


def depthwise_conv_2d(layer: DepthwiseConv2D, x: Int8Array, output: Shape) -> Int8Array:
    """int8[N, H, W, C] to int8[N, H_out, W_out, C * multiplier] (DepthwiseConvPerChannel)."""
    _, height, width, outputs = output
    result = np.empty((len(x), height, width, outputs), np.int8)
    for images in blocks(len(x), height * width * outputs * np.dtype(np.int64).itemsize):
        padded = surround(x[images], layer.padding, np.int32, offset=layer.input_zero_point)
        patches = windows(padded, layer.kernel, layer.stride, layer.dilation)
        accumulator = np.zeros((*patches.shape[:3], outputs), np.int32)
        accumulator += layer.bias
        for row, column in np.ndindex(*layer.kernel):
            pixels = np.repeat(patches[:, :, :, row, column], layer.depth_multiplier, axis=-1)
            accumulator += pixels * layer.weights[0, row, column]
        result[images] = requantise(accumulator, layer.requantisation, layer.output_zero_point, layer.activation)
    return result


def cyclic_conv_2d(layer: CyclicConv2D, x: Int8Array, output: Shape) -> Int8Array:
    """int8[N, H, W, in_nodes] to int8[N, H_out, W_out, out_nodes]: edge by edge, or as the dense convolution."""
    if layer.in_nodes <= _FASTER_DENSE * layer.fan_in:
        return conv_2d(layer.expanded(), x, output)
    _, height, width, outputs = output
    result = np.empty((len(x), height, width, outputs), np.int8)
    # Channels start over, so that the inputs of an edge, one for each output, are a slice.
    turns = np.arange(max(layer.support.steps) + outputs) % layer.in_nodes
    for images in blocks(len(x), height * width * outputs * np.dtype(np.int64).itemsize):
        padded = surround(x[images], layer.padding, np.int32, offset=layer.input_zero_point)
        patches = windows(padded[..., turns], layer.kernel, layer.stride, layer.dilation)
        accumulator = np.zeros((*patches.shape[:3], outputs), np.int32)
        accumulator += layer.bias
        for row, column in np.ndindex(*layer.kernel):
            for edge, step in enumerate(layer.support.steps):
                pixels = patches[:, :, :, row, column, step : step + outputs]
                accumulator += pixels * layer.weights[:, edge, row, column]
        result[images] = requantise(accumulator, layer.requantisation, layer.output_zero_point, layer.activation)
    return result


@_one_thread
def fully_connected(layer: FullyConnected, x: Int8Array, output: Shape) -> Int8Array:
    """int8[N, ...] to int8[N, ..., O] (reference_integer_ops::FullyConnected)."""
    dtype = exact_float(layer.weights, layer.input_zero_point)
    rows = np.subtract(x, layer.input_zero_point, dtype=dtype).reshape(-1, layer.weights.shape[1])
    return _finish(layer, rows @ layer.weights.T.astype(dtype)).reshape(len(x), *output[1:])
