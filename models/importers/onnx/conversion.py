"""QuantizeLinear and DequantizeLinear."""

from dataclasses import replace

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from models.importers.onnx.context import Context
from models.importers.onnx.values import Activation, Constant, Pending, Target, Value
from models.layers import Quantize
from models.network import NetworkError, Quantisation

_INTEGERS = (np.int8, np.uint8, np.int32)


def quantisation_of(scales: npt.NDArray[np.float64], zeros: npt.NDArray[np.int64], axis: int) -> Quantisation:
    """Scales and zero points of a constant; one of each serves the whole."""
    return Quantisation(scales, zeros, axis if scales.size > 1 else None)


def _check(context: Context) -> None:
    context.expect(inputs=(2, 3))
    if context.node.integer("block_size", 0):
        raise NetworkError("quantisation in blocks is not supported")
    if context.node.integer("precision", 0) not in (0, TensorProto.FLOAT):
        raise NetworkError("a precision other than float32 is not supported")


def _of_constant(context: Context, constant: Constant, kind: np.dtype) -> Quantisation:
    """The second and third input as a constant's quantisation, as the file states it."""
    scales = context.scales(1)
    zeros = np.zeros(scales.size, np.int64)
    if context.given(2):
        data = context.constant(2).data
        if data.dtype != kind:
            raise NetworkError(f"its zero point is {data.dtype} for values of type {kind}")
        zeros = data.ravel().astype(np.int64)
    axis = context.node.integer("axis", 1)
    if scales.size > 1:
        rank = len(constant.shape)
        if not -rank <= axis < rank or constant.shape[axis] != scales.size:
            raise NetworkError(f"{scales.size} scales on dimension {axis} of shape {list(constant.shape)}")
        axis %= rank
    return quantisation_of(scales, zeros, axis)


def quantize_linear(context: Context) -> Value:
    """QuantizeLinear: adds a layer where the input is real-valued or quantised otherwise."""
    _check(context)
    value = context.value(0)
    if isinstance(value, Constant):
        return _quantised_constant(context, value)
    if isinstance(value, Pending):
        return context.quantised(value, 1)
    target, integers = context.target(1)
    if value.integers is not None:
        raise NetworkError(f"its input {context.name(0)!r} is {value.integers}; real values are expected")
    done = (
        _quantise(context, value, target) if value.is_float else context.builder.rescaled(context.node, value, target)
    )
    return replace(done, integers=integers)


def _quantise(context: Context, value: Activation, target: Target) -> Activation:
    scale, zero = float(target.quantisation.scale[0]), int(target.quantisation.zero_point[0])
    output = context.add_layer(Quantize, [value], target, scale=scale, zero_point=zero, ties_to_even=True)
    return Activation(output, value.shape, value.order)


def _quantised_constant(context: Context, constant: Constant) -> Constant:
    kind = context.constant(2).data.dtype if context.given(2) else np.dtype(np.uint8)
    if kind not in _INTEGERS:
        raise NetworkError(f"constants of type {kind} are not supported")
    quantisation = _of_constant(context, constant, kind)
    spread = [1] * len(constant.shape)
    if quantisation.axis is not None:
        spread[quantisation.axis] = -1
    scale = quantisation.scale.astype(np.float32).reshape(spread)
    steps = np.rint(constant.real.astype(np.float32) / scale).astype(np.float64)
    limits = np.iinfo(kind)
    return Constant(np.clip(steps + quantisation.zero_point.reshape(spread), limits.min, limits.max).astype(kind))


def dequantize_linear(context: Context) -> Value:
    """DequantizeLinear: the same integers, seen as real values."""
    _check(context)
    if context.node.integer("output_dtype", 0) not in (0, TensorProto.FLOAT):
        raise NetworkError("real values of another type than float32 are not supported")
    value = context.value(0)
    if not isinstance(value, Constant):
        return context.stated_activation(0)
    if value.quantisation is not None or value.data.dtype not in _INTEGERS:
        raise NetworkError(f"its input {context.name(0)!r} holds no int8, uint8 or int32 numbers")
    return Constant(value.data, _of_constant(context, value, value.data.dtype))
