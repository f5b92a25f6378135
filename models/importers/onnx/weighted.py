"""Convolutions and matrix products, quantised as a whole (QLinear...) or between conversions (QDQ)."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from models.importers.onnx.context import Context, feature_map
from models.importers.onnx.conversion import quantisation_of
from models.importers.onnx.layout import columns
from models.importers.onnx.rounding import requantisation
from models.importers.onnx.values import UNSIGNED_OFFSET, Activation, Constant, Pending, Target, Value
from models.importers.onnx.windows import Window
from models.layers import Conv2D, DepthwiseConv2D, FullyConnected, Pair, WeightedLayer
from models.network import NetworkError, Shape

_INT32 = np.iinfo(np.int32)


@dataclass(frozen=True, eq=False)
class Weights:
    """int8 weights, outputs first, and their scale for each output."""

    data: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float64]


def _weights(constant: Constant, axis: int, name: str) -> Weights:
    """Symmetric int8 weights; ``axis`` is that of the outputs."""
    data, quantisation = constant.data, constant.quantisation
    if quantisation is None:
        raise NetworkError(f"weights {name!r} are real numbers; they must be quantised to int8")
    zeros = quantisation.zero_point
    if data.dtype == np.uint8:
        data, zeros = (data.astype(np.int16) - UNSIGNED_OFFSET).astype(np.int8), zeros - UNSIGNED_OFFSET
    if data.dtype != np.int8:
        raise NetworkError(f"weights {name!r} are {data.dtype}; only int8 and uint8 are supported")
    if zeros.any():
        raise NetworkError(
            f"weights {name!r} are asymmetric: the zero point must be 0 (128 for uint8); quantise them symmetrically"
        )
    axis %= data.ndim
    if not quantisation.uniform and (quantisation.axis != axis or quantisation.scale.size != data.shape[axis]):
        raise NetworkError(
            f"weights {name!r} have {quantisation.scale.size} scales on dimension {quantisation.axis}; "
            f"{data.shape[axis]} on dimension {axis} are expected"
        )
    return Weights(np.moveaxis(data, axis, 0), np.broadcast_to(quantisation.scale, data.shape[axis]))


def _bias(constant: Constant | None, steps: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    """The bias in steps of the accumulator: int32 ones of that scale as they are, others rounded to it."""
    outputs = len(steps)
    if constant is None:
        return np.zeros(outputs, np.int32)
    if constant.data.size not in (1, outputs) or constant.shape[-1:] not in ((), (constant.data.size,)):
        raise NetworkError(f"bias of shape {list(constant.shape)} for {outputs} outputs")
    zeros, scales = np.zeros(1, np.int64), steps
    if constant.quantisation is not None:
        zeros, scales = constant.quantisation.zero_point, constant.quantisation.scale
    if constant.data.dtype == np.int32 and not zeros.any() and np.allclose(scales, steps, 1e-5, 0):
        return np.array(np.broadcast_to(constant.data.ravel(), outputs))
    rounded = np.rint(np.broadcast_to(constant.real.ravel(), outputs) / steps)
    if not (abs(rounded) <= _INT32.max).all():
        raise NetworkError("its bias is too large for a 32-bit accumulator")
    return rounded.astype(np.int32)


def integer_bias(context: Context, position: int) -> Constant | None:
    """An int32 bias in steps of the accumulator, which may be left out."""
    if not context.given(position):
        return None
    constant = context.constant(position)
    if constant.data.dtype != np.int32 or constant.quantisation is not None:
        raise NetworkError(f"bias {context.name(position)!r} is not of int32 numbers")
    return constant


def _real_bias(context: Context, position: int) -> Constant | None:
    """A bias of real numbers, which may be left out."""
    if not context.given(position):
        return None
    constant = context.constant(position)
    if constant.quantisation is None and constant.data.dtype != np.float32:
        raise NetworkError(f"bias {context.name(position)!r} is {constant.data.dtype}; real numbers are expected")
    return constant


def pending_layer(
    context: Context,
    kind: type[WeightedLayer],
    source: Activation,
    weights: Weights,
    bias: Constant | None,
    *,
    shape: Shape,
    stored: npt.NDArray[np.int8],
    **fields: Any,
) -> Pending:
    """The layer to be: its output's shape, its weights as they are stored, and ``fields`` that only its kind has."""
    scale, zero = np.float32(source.quantisation.scale[0]), int(source.quantisation.zero_point[0])
    integers = _bias(bias, float(scale) * weights.scales)

    def finish(target: Target) -> Activation:
        # In ONNX Runtime's order of operations, in single precision.
        factors = scale * weights.scales.astype(np.float32) / np.float32(target.quantisation.scale[0])
        output = context.add_layer(
            kind,
            [source],
            target,
            weights=stored,
            bias=integers,
            requantisation=requantisation(factors),
            input_zero_point=zero,
            output_zero_point=int(target.quantisation.zero_point[0]),
            activation=target.clamp,
            **fields,
        )
        return Activation(output, shape)

    return context.pending(shape, finish)


def window_fields(context: Context, source: Activation, outputs: int, kernel: Pair) -> dict[str, Any]:
    """What the node's window says of a convolution: its output's shape, stride, dilation and padding."""
    window = Window.of(context.node, kernel)
    size = source.shape[2], source.shape[3]
    return {
        "shape": (1, outputs, *window.output(size)),
        "stride": window.stride,
        "dilation": window.dilation,
        "padding": window.padding(size),
    }


def _convolve(context: Context, source: Activation, weights: Weights, bias: Constant | None) -> Pending:
    if weights.data.ndim != 4:
        raise NetworkError(f"weights of shape {list(weights.data.shape)}: only two-dimensional ones are supported")
    feature_map(source)
    channels = source.shape[1]
    outputs, per_group, *kernel = weights.data.shape
    stated = context.node.integers("kernel_shape", kernel)
    if list(stated) != kernel:
        raise NetworkError(f"kernel_shape {list(stated)} for weights of shape {list(weights.data.shape)}")
    groups = context.node.integer("group", 1)
    if groups < 1 or per_group * groups != channels or outputs % groups:
        raise NetworkError(
            f"weights of shape {list(weights.data.shape)} in {groups} groups do not fit {channels} channels"
        )
    fields = window_fields(context, source, outputs, (kernel[0], kernel[1]))
    stored = np.ascontiguousarray(weights.data.transpose(0, 2, 3, 1))
    if groups == 1 or per_group > 1:
        return pending_layer(context, Conv2D, source, weights, bias, **fields, stored=stored, groups=groups)
    stored = np.ascontiguousarray(stored.transpose(3, 1, 2, 0))
    multiplier = outputs // groups
    return pending_layer(
        context, DepthwiseConv2D, source, weights, bias, **fields, stored=stored, depth_multiplier=multiplier
    )


def _multiply(context: Context, source: Activation, weights: Weights, bias: Constant | None) -> Pending:
    """The product of rows and a matrix of weights [outputs, depth]."""
    if weights.data.ndim != 2 or len(source.shape) not in (2, 3) or source.shape[-1] != weights.data.shape[1]:
        raise NetworkError(
            f"an input of shape {list(source.shape)} times weights of shape {list(weights.data.shape)}, "
            "outputs first, is not supported"
        )
    within = columns(source.full_order)
    if within is None:
        raise NetworkError("its input would have to be transposed in memory, which is not supported")
    stored = np.empty_like(weights.data)
    stored[:, within] = weights.data
    shape = (*source.shape[:-1], len(weights.data))
    keep = len(source.shape) == 3
    return pending_layer(context, FullyConnected, source, weights, bias, shape=shape, stored=stored, keep_dims=keep)


def stated_weights(context: Context, position: int, axis: int) -> Weights:
    """Weights whose scales and zero points are the next two inputs."""
    constant = context.constant(position)
    scales = context.scales(position + 1)
    given = context.given(position + 2)
    zeros = context.constant(position + 2).data.ravel().astype(np.int64) if given else np.zeros_like(scales, np.int64)
    if constant.quantisation is not None or constant.data.dtype not in (np.int8, np.uint8) or not constant.shape:
        raise NetworkError(f"weights {context.name(position)!r} are not int8 or uint8 numbers")
    if scales.size != zeros.size:
        zeros = np.broadcast_to(zeros, scales.shape) if zeros.size == 1 else zeros
    stated = Constant(constant.data, quantisation_of(scales, zeros, axis % constant.data.ndim))
    return _weights(stated, axis, context.name(position))


def qlinear_conv(context: Context) -> Value:
    """QLinearConv: activation, weights and output each with scale and zero point, then an int32 bias."""
    context.expect(inputs=(8, 9))
    source, weights = context.stated_activation(0), stated_weights(context, 3, 0)
    return context.quantised(_convolve(context, source, weights, integer_bias(context, 8)), 6)


def conv(context: Context) -> Value:
    """Conv between conversions."""
    context.expect(inputs=(2, 3))
    weights = _weights(context.constant(1), 0, context.name(1))
    return _convolve(context, context.real_activation(0), weights, _real_bias(context, 2))


def qlinear_matmul(context: Context) -> Value:
    """QLinearMatMul: activation, weights and output, each with scale and zero point."""
    context.expect(inputs=(8,))
    return context.quantised(_multiply(context, context.stated_activation(0), stated_weights(context, 3, -1), None), 6)


def matmul(context: Context) -> Value:
    """MatMul between conversions; a constant that is added next is its bias."""
    context.expect(inputs=(2,))
    source = context.real_activation(0)
    weights = _weights(context.constant(1), -1, context.name(1))
    pending = _multiply(context, source, weights, None)
    return replace(pending, with_bias=lambda bias: _multiply(context, source, weights, bias))


def _gemm_axis(context: Context) -> int:
    """The dimension of the outputs in the weights; refuses what is not a product plus a bias."""
    node = context.node
    if node.integer("transA", 0) or node.number("alpha", 1.0) != 1 or node.number("beta", 1.0) != 1:
        raise NetworkError("transA, and alpha or beta other than 1, are not supported")
    return 0 if node.integer("transB", 0) else 1


def qgemm(context: Context) -> Value:
    """QGemm: activation and weights with scale and zero point, an int32 bias, then the output's."""
    context.expect(inputs=(8, 9))
    source, weights = context.stated_activation(0), stated_weights(context, 3, _gemm_axis(context))
    return context.quantised(_multiply(context, source, weights, integer_bias(context, 6)), 7)


def gemm(context: Context) -> Value:
    """Gemm between conversions."""
    context.expect(inputs=(2, 3))
    weights = _weights(context.constant(1), _gemm_axis(context), context.name(1))
    return _multiply(context, context.real_activation(0), weights, _real_bias(context, 2))
