"""Addition, rectifiers and softmax."""

import math
from collections.abc import Callable

import numpy as np

from models.golden.fixed_point import requantisation
from models.importers.onnx.context import Context, natural
from models.importers.onnx.layout import stored_axis, to_stored
from models.importers.onnx.values import UNSIGNED_OFFSET, Activation, Constant, Pending, Target, Value
from models.layers import Add, TableSoftmax
from models.network import NetworkError, Quantisation, Shape, Tensor

# int8 operands of an addition are shifted left by this much before they are scaled, as in TensorFlow Lite.
_ADD_LEFT_SHIFT = 20
_TABLE_BITS = 30
_RECIPROCAL_BITS = 16
_LARGEST_DEPTH = 1 << 15


def _sum(context: Context, first: Activation, second: Activation) -> Pending:
    """The sum of two activations; TensorFlow Lite's arithmetic."""
    shape = _broadcast(first.shape, second.shape)
    if first.shape != second.shape:
        natural(first), natural(second)
    elif not np.array_equal(first.full_order, second.full_order) or first.tensor.shape != second.tensor.shape:
        raise NetworkError("one of its inputs would have to be transposed in memory, which is not supported")
    operands = [first.quantisation, second.quantisation]
    scales = [float(operand.scale[0]) for operand in operands]

    def finish(target: Target) -> Activation:
        twice_largest = 2 * max(scales)
        factor = twice_largest / ((1 << _ADD_LEFT_SHIFT) * float(target.quantisation.scale[0]))
        if factor >= 1:
            raise NetworkError("its output's scale is too small for its inputs' scales")
        try:
            scalings = requantisation(*(scale / twice_largest for scale in scales)), requantisation(factor)
        except ValueError as error:
            raise NetworkError(str(error)) from None
        output = context.add_layer(
            Add,
            [first, second],
            target,
            left_shift=_ADD_LEFT_SHIFT,
            input_scaling=scalings[0],
            output_scaling=scalings[1],
            input_zero_points=(int(operands[0].zero_point[0]), int(operands[1].zero_point[0])),
            output_zero_point=int(target.quantisation.zero_point[0]),
            activation=target.clamp,
        )
        return Activation(output, shape, first.order)

    return context.pending(shape, finish)


def _broadcast(first: Shape, second: Shape) -> Shape:
    if len(first) != len(second):
        raise NetworkError(f"shapes {list(first)} and {list(second)} have different numbers of dimensions")
    try:
        return tuple(int(size) for size in np.broadcast_shapes(first, second))
    except ValueError:
        raise NetworkError(f"shapes {list(first)} and {list(second)} cannot be added") from None


def _constant_operand(context: Context, position: int, constant: Constant, other: Activation) -> Activation:
    """A quantised constant as an operand of the other's rank."""
    quantisation, data, name = constant.quantisation, constant.data, context.name(position)
    if quantisation is None or data.dtype not in (np.int8, np.uint8):
        raise NetworkError(f"its constant {name!r} is not quantised to int8 or uint8")
    if not quantisation.uniform or len(constant.shape) > len(other.shape):
        raise NetworkError(f"its constant {name!r} is quantised per channel, or has more dimensions than the other")
    offset = UNSIGNED_OFFSET if data.dtype == np.uint8 else 0
    shape = (1,) * (len(other.shape) - len(constant.shape)) + constant.shape
    values = (data.astype(np.int16) - offset).astype(np.int8).reshape(shape)
    stored = np.empty_like(values, shape=other.tensor.shape) if shape == other.shape else to_stored(values)
    if shape == other.shape:  # it lies as the other does
        stored.ravel()[other.full_order.ravel()] = values.ravel()
    order = other.order if shape == other.shape else None
    int8 = Quantisation.per_tensor(float(quantisation.scale[0]), int(quantisation.zero_point[0]) - offset)
    tensor = context.builder.add_tensor(Tensor(name, stored.shape, np.dtype(np.int8), int8, stored))
    return Activation(tensor, shape, order)


def _operands(context: Context, positions: tuple[int, int], take: Callable[[int], Value]) -> Pending:
    values = [take(position) for position in positions]
    variable = [value for value in values if isinstance(value, Activation)]
    if not variable:
        raise NetworkError("it adds two constants")
    operands = [
        _constant_operand(context, position, value, variable[0]) if isinstance(value, Constant) else value
        for position, value in zip(positions, values, strict=True)
    ]
    first, second = (operand for operand in operands if isinstance(operand, Activation))
    return _sum(context, first, second)


def add(context: Context) -> Value:
    """Add between conversions; or the bias of a product that is not rounded yet."""
    context.expect(inputs=(2,))
    values = [context.value(0), context.value(1)]
    for value, other in (values, values[::-1]):
        if isinstance(value, Pending) and isinstance(other, Constant) and value.with_bias is not None:
            return value.with_bias(other)

    def take(position: int) -> Value:
        value = values[position]
        return value if isinstance(value, Constant) else context.real_activation(position)

    return _operands(context, (0, 1), take)


def qlinear_add(context: Context) -> Value:
    """QLinearAdd: two inputs and the output, each with scale and zero point."""
    context.expect(inputs=(7, 8))

    def take(position: int) -> Value:
        value = context.value(position)
        return context.stated_constant(position) if isinstance(value, Constant) else context.stated_activation(position)

    return context.quantised(_operands(context, (0, 3), take), 6)


def _clip(context: Context, low: float | None, high: float | None) -> Value:
    value = context.value(0)
    if isinstance(value, Pending):
        return value.clipped(low, high)
    source = context.real_activation(0)
    pending = context.pending(source.shape, lambda target: context.builder.rescaled(context.node, source, target))
    return pending.clipped(low, high)


def relu(context: Context) -> Value:
    """Relu of real values: a clamp of the layer before it, or one of its own."""
    context.expect(inputs=(1,))
    return _clip(context, 0.0, None)


def clip(context: Context) -> Value:
    """Clip of real values, likewise."""
    context.expect(inputs=(1, 2, 3))
    if context.opset < 11:
        attributes = context.node.attributes
        low = context.node.number("min", 0.0) if "min" in attributes else None
        high = context.node.number("max", 0.0) if "max" in attributes else None
    else:
        low, high = context.real_scalar(1), context.real_scalar(2)
    if low is not None and high is not None:
        low = min(low, high)  # where they are the wrong way round, the higher one's place counts
    return _clip(context, low, high)


def _softmax(context: Context, source: Activation, version: int, reciprocal: Callable[[float], float]) -> Pending:
    """Softmax over one dimension, which must be stored last; before version 13 over that one and all that follow.

    ``reciprocal``: of the output's scale.
    """
    flattens = version < 13
    axis = context.node.integer("axis", 1 if flattens else -1)
    rank = len(source.shape)
    if not -rank <= axis < rank:
        raise NetworkError(f"axis {axis} of an input of shape {list(source.shape)}")
    axis %= rank
    natural(source)
    if flattens and any(size != 1 for size in source.shape[axis + 1 :]):
        raise NetworkError(f"softmax over several dimensions of shape {list(source.shape)} is not supported")
    if stored_axis(axis, rank) != rank - 1:
        raise NetworkError(f"softmax over dimension {axis} is not supported; over the channels it is")
    depth = source.shape[axis]
    if depth > _LARGEST_DEPTH:
        raise NetworkError(f"softmax over {depth} elements; at most {_LARGEST_DEPTH} are supported")
    scale = float(source.quantisation.scale[0])
    table = np.array([round(math.exp(-scale * step) * (1 << _TABLE_BITS)) for step in range(256)], np.int64)

    def finish(target: Target) -> Activation:
        numerator = round(reciprocal(float(target.quantisation.scale[0])) * (1 << _RECIPROCAL_BITS))
        if not 0 < numerator < 1 << 31:
            raise NetworkError(f"its output's scale {target.quantisation.scale[0]:g} is out of range")
        output = context.add_layer(
            TableSoftmax,
            [source],
            target,
            table=table,
            numerator=numerator,
            denominator=1 << _RECIPROCAL_BITS,
            output_zero_point=int(target.quantisation.zero_point[0]),
        )
        return Activation(output, source.shape)

    return context.unclamped(source.shape, finish)


def softmax(context: Context) -> Value:
    """Softmax between conversions."""
    context.expect(inputs=(1,))
    return _softmax(context, context.real_activation(0), context.opset, lambda scale: 1 / scale)


def qlinear_softmax(context: Context) -> Value:
    """QLinearSoftmax: input and output with scale and zero point; its attribute says which version of Softmax."""
    context.expect(inputs=(5,))
    version = context.node.integer("opset", 13)

    def reciprocal(scale: float) -> float:
        return math.floor(np.float32(1) / np.float32(scale))  # as ONNX Runtime has it: 254 for 1/255

    return context.quantised(_softmax(context, context.stated_activation(0), version, reciprocal), 3)
