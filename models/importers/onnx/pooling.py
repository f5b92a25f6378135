"""Maxima and averages over windows, and means over the whole map."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from models.golden.windows import surround, windows
from models.importers.onnx.builder import same_quantisation
from models.importers.onnx.context import Context, feature_map
from models.importers.onnx.rounding import requantisation
from models.importers.onnx.values import Activation, Pending, Target, Value
from models.importers.onnx.windows import Window
from models.layers import AveragePool2D, MaxPool2D, Pair, Pool2D, RescaledAveragePool2D
from models.network import NetworkError, Quantisation, Shape


def _undilated(context: Context, kernel: tuple[int, ...]) -> Window:
    if len(kernel) != 2:
        raise NetworkError(f"kernel_shape {list(kernel)}: only two-dimensional windows are supported")
    window = Window.of(context.node, (kernel[0], kernel[1]))
    if window.dilation != (1, 1):
        raise NetworkError(f"dilations {list(window.dilation)} of a pooling window are not supported")
    if any(pad >= size for pad, size in zip(window.pads, kernel * 2, strict=True)):
        raise NetworkError(f"padding {list(window.pads)} reaches a whole window of {list(kernel)}")
    return window


def _map_size(shape: Shape) -> Pair:
    if len(shape) != 4:
        raise NetworkError(f"its input has shape {list(shape)}; a feature map has 4 dimensions")
    return shape[2], shape[3]


def _max_pool(context: Context, window_of: Callable[[Pair], Window]) -> Value:
    """The maximum of integers or of real values: the same layer, as their order is the same."""
    shape = context.value(0).shape
    size = _map_size(shape)
    window = window_of(size)
    pooled = (*shape[:2], *window.output(size))

    def pool(source: Activation) -> Activation:
        target = Target(context.output, feature_map(source).quantisation)
        output = context.add_layer(
            MaxPool2D,
            [source],
            target,
            kernel=window.kernel,
            stride=window.stride,
            padding=window.padding(size),
            activation=target.clamp,
        )
        return Activation(output, pooled, integers=source.integers)

    return context.moved(pooled, pool)


def max_pool(context: Context) -> Value:
    """MaxPool, on either side of a conversion; its second output is not supported."""
    context.expect(inputs=(1,))
    return _max_pool(context, lambda size: _undilated(context, context.node.integers("kernel_shape", ())))


def global_max_pool(context: Context) -> Value:
    """GlobalMaxPool."""
    context.expect(inputs=(1,))
    return _max_pool(context, _whole)


def _whole(size: Pair) -> Window:
    return Window(size, size, (1, 1), "VALID", (0, 0, 0, 0), False)


def _average(context: Context, source: Activation, window: Window, padding_counts: bool = False) -> Pending:
    """An average: TensorFlow Lite's where the quantisation stays, else one that changes the scale as it divides."""
    size = _map_size(feature_map(source).shape)
    padding = window.padding(size)
    padding_counts = padding_counts and any(map(any, padding))
    if padding_counts and window.overhang(size):
        raise NetworkError("ceil_mode together with count_include_pad is not supported")
    shape = (*source.shape[:2], *window.output(size))
    before = source.quantisation

    def finish(target: Target) -> Activation:
        kind: type[Pool2D] = AveragePool2D
        fields: dict[str, Any] = {
            "kernel": window.kernel,
            "stride": window.stride,
            "padding": padding,
            "activation": target.clamp,
        }
        if padding_counts or not same_quantisation(before, target.quantisation):
            kind = RescaledAveragePool2D
            ones = surround(np.ones((1, *size, 1), np.int8), padding, np.int32, fill=int(padding_counts))
            counts = np.unique(windows(ones, window.kernel, window.stride).sum(axis=(3, 4), dtype=np.int64))
            fields |= _rescaling(before, target, counts) | {"padding_counts": padding_counts}
        return Activation(context.add_layer(kind, [source], target, **fields), shape)

    return context.pending(shape, finish)


def _rescaling(before: Quantisation, target: Target, counts: npt.NDArray[np.int64]) -> dict[str, Any]:
    """What a `RescaledAveragePool2D` of these divisors needs to change the quantisation."""
    ratio = float(before.scale[0]) / float(target.quantisation.scale[0])
    return {
        "counts": tuple(int(count) for count in counts),
        "requantisation": requantisation(ratio / int(count) for count in counts),
        "input_zero_point": int(before.zero_point[0]),
        "output_zero_point": int(target.quantisation.zero_point[0]),
    }


def average_pool(context: Context) -> Value:
    """AveragePool between conversions."""
    context.expect(inputs=(1,))
    return _windowed_average(context, context.real_activation(0))


def qlinear_average_pool(context: Context) -> Value:
    """QLinearAveragePool: input and output with scale and zero point."""
    context.expect(inputs=(4, 5))
    _check_layout(context)
    return context.quantised(_windowed_average(context, context.stated_activation(0)), 3)


def _windowed_average(context: Context, source: Activation) -> Pending:
    window = _undilated(context, context.node.integers("kernel_shape", ()))
    return _average(context, source, window, bool(context.node.integer("count_include_pad", 0)))


def global_average_pool(context: Context) -> Value:
    """GlobalAveragePool between conversions."""
    context.expect(inputs=(1,))
    source = context.real_activation(0)
    return _average(context, source, _whole(_map_size(source.shape)))


def qlinear_global_average_pool(context: Context) -> Value:
    """QLinearGlobalAveragePool: input and output with scale and zero point."""
    context.expect(inputs=(4, 5))
    _check_layout(context)
    source = context.stated_activation(0)
    return context.quantised(_average(context, source, _whole(_map_size(source.shape))), 3)


def reduce_mean(context: Context) -> Value:
    """ReduceMean between conversions, over height, width or both."""
    context.expect(inputs=(1, 2))
    node, source = context.node, context.real_activation(0)
    stated = context.integers(1) if context.given(1) else node.integers("axes", ())
    height, width = _map_size(source.shape)
    axes = {axis % 4 for axis in stated if -4 <= axis < 4}
    if not axes or len(axes) != len(stated) or not axes <= {2, 3}:
        raise NetworkError(f"a mean over dimensions {list(stated)} is not supported; height and width, 2 and 3, are")
    kernel = (height if 2 in axes else 1, width if 3 in axes else 1)
    pending = _average(context, source, _whole(kernel))
    if node.integer("keepdims", 1):
        return pending
    shape = tuple(size for axis, size in enumerate(pending.shape) if axis not in axes)

    def finish(target: Target) -> Activation:
        kept = pending.finish(replace(target, name=f"{target.name}/mean"))
        return context.builder.reshaped(node, kept, shape, kept.full_order.reshape(shape), target.name)

    return context.pending(shape, finish)


def _check_layout(context: Context) -> None:
    if context.node.integer("channels_last", 0):
        raise NetworkError("channels_last is not supported")
