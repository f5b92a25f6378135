"""Operators that only move elements, for integers and real values alike."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from models.golden.fixed_point import INT8_RANGE
from models.importers.onnx.context import Context, natural, quantised_bound
from models.importers.onnx.layout import Order, resolve_reshape, simplified, stored_axes, stored_axis
from models.importers.onnx.values import UNSIGNED_OFFSET, Activation, Constant, Pending, Target, Value
from models.layers import Concatenation, Pad
from models.network import NetworkError, Shape


def _move(context: Context, shape: Shape, move: Callable[[Order], Order]) -> Value:
    """The first input under another shape and order."""
    if shape[0] != 1:
        raise NetworkError(f"its output has shape {list(shape)}; its first dimension must be 1, the batch")

    def moved(source: Activation) -> Activation:
        return context.builder.reshaped(context.node, source, shape, move(source.full_order), context.output)

    return context.moved(shape, moved)


def _reshape_to(context: Context, target: Sequence[int], keep_zeros: bool = True) -> Value:
    value = context.value(0)
    shape = resolve_reshape(value.shape, target, keep_zeros)
    if shape is None:
        raise NetworkError(f"shape {list(value.shape)} cannot become {list(target)}")
    if isinstance(value, Constant):
        if value.quantisation is not None and not value.quantisation.uniform:
            raise NetworkError("a constant quantised per channel cannot be reshaped")
        return replace(value, data=value.data.reshape(shape))
    return _move(context, shape, lambda order: order.reshape(shape))


def reshape(context: Context) -> Value:
    """Reshape to a constant shape."""
    context.expect(inputs=(2,))
    return _reshape_to(context, context.integers(1), bool(context.node.integer("allowzero", 0)))


def flatten(context: Context) -> Value:
    """Flatten: the dimensions from ``axis`` on become one."""
    context.expect(inputs=(1,))
    shape, axis = context.value(0).shape, context.node.integer("axis", 1)
    if not -len(shape) <= axis <= len(shape):
        raise NetworkError(f"axis {axis} of an input of shape {list(shape)}")
    axis = axis + len(shape) if axis < 0 else axis
    return _reshape_to(context, (prod(shape[:axis]), prod(shape[axis:])))


def _axes(context: Context) -> tuple[int, ...]:
    """The axes that a node states: an input since version 13 of the operators, an attribute before."""
    return context.integers(1) if context.given(1) else context.node.integers("axes", ())


def squeeze(context: Context) -> Value:
    """Squeeze: drops dimensions of 1."""
    context.expect(inputs=(1, 2))
    shape = context.value(0).shape
    stated = _axes(context) or [axis for axis, size in enumerate(shape) if size == 1]
    axes = {axis % len(shape) for axis in stated if -len(shape) <= axis < len(shape)}
    if len(axes) != len(stated) or any(shape[axis] != 1 for axis in axes):
        raise NetworkError(f"axes {list(stated)} of an input of shape {list(shape)}")
    if 0 in axes and not isinstance(context.value(0), Constant):
        raise NetworkError("the batch cannot be squeezed away")
    return _reshape_to(context, [size for axis, size in enumerate(shape) if axis not in axes])


def unsqueeze(context: Context) -> Value:
    """Unsqueeze: adds dimensions of 1."""
    context.expect(inputs=(1, 2))
    shape, stated = context.value(0).shape, _axes(context)
    rank = len(shape) + len(stated)
    axes = {axis % rank for axis in stated if -rank <= axis < rank}
    if len(axes) != len(stated):
        raise NetworkError(f"axes {list(stated)} of an output of {rank} dimensions")
    rest = iter(shape)
    return _reshape_to(context, [1 if axis in axes else next(rest) for axis in range(rank)])


def transpose(context: Context) -> Value:
    """Transpose: of a constant, its elements; of an activation, only what is known of its elements' places."""
    context.expect(inputs=(1,))
    value = context.value(0)
    rank = len(value.shape)
    axes = context.node.integers("perm", tuple(reversed(range(rank))))
    if sorted(axes) != list(range(rank)):
        raise NetworkError(f"perm {list(axes)} of an input of shape {list(value.shape)}")
    if isinstance(value, Constant):
        return _transposed_constant(value, axes)
    shape = tuple(value.shape[axis] for axis in axes)
    return _move(context, shape, lambda order: order.transpose(axes))


def _transposed_constant(constant: Constant, axes: Sequence[int]) -> Constant:
    quantisation = constant.quantisation
    if quantisation is not None and quantisation.axis is not None:
        quantisation = replace(quantisation, axis=list(axes).index(quantisation.axis))
    return Constant(np.ascontiguousarray(constant.data.transpose(axes)), quantisation)


def _joined(context: Context, sources: Sequence[Activation], axis: int) -> Pending:
    """Concatenation; inputs of another quantisation than the output's are requantised first."""
    rank = len(sources[0].shape)
    if not -rank <= axis < rank or axis % rank == 0:
        raise NetworkError(f"axis {axis} of inputs of shape {list(sources[0].shape)}")
    axis %= rank
    rest = {(*source.shape[:axis], *source.shape[axis + 1 :]) for source in sources}
    if len(rest) != 1 or any(len(source.shape) != rank for source in sources):
        raise NetworkError(f"shapes {[list(source.shape) for source in sources]} cannot be joined on dimension {axis}")
    order = None
    if rank == 2:  # flattened activations may lie in any order of their own
        starts = np.cumsum([0, *(source.shape[1] for source in sources)])
        parts = [source.full_order + start for source, start in zip(sources, starts[:-1], strict=True)]
        order = simplified(np.concatenate(parts, axis=1))
    else:
        for source in sources:
            natural(source)
    shape = (*sources[0].shape[:axis], sum(source.shape[axis] for source in sources), *sources[0].shape[axis + 1 :])

    def finish(target: Target) -> Activation:
        parts = []
        for source in sources:
            part = Target(f"{source.tensor.name}/{target.name}", target.quantisation)
            parts.append(context.builder.rescaled(context.node, source, part))
        output = context.add_layer(Concatenation, parts, target, axis=stored_axis(axis, rank))
        return Activation(output, shape, order)

    return context.unclamped(shape, finish)


def concat(context: Context) -> Value:
    """Concat of integers of equal quantisation, or of real values."""
    sources = [context.activation(position) for position in range(len(context.node.inputs))]
    kinds = {source.integers for source in sources}
    if len(kinds) != 1:
        raise NetworkError("it joins integers and real values")
    axis = context.node.integer("axis", 0)
    pending = _joined(context, [replace(source, integers=None) for source in sources], axis)
    (integers,) = kinds
    if integers is None:
        return pending
    quantisations = [source.quantisation for source in sources]
    if len({(float(q.scale[0]), int(q.zero_point[0])) for q in quantisations}) != 1:
        raise NetworkError("it joins integers of different scales or zero points")
    return replace(context.builder.finish(pending.finish, Target(context.output, quantisations[0])), integers=integers)


def qlinear_concat(context: Context) -> Value:
    """QLinearConcat: the output's scale and zero point, then each input with its own."""
    count = len(context.node.inputs)
    context.expect(inputs=range(5, count + 1, 3))
    sources = [context.stated_activation(position) for position in range(2, count, 3)]
    return context.quantised(_joined(context, sources, context.node.integer("axis", 0)), 0)


def pad(context: Context) -> Value:
    """Pad with a constant, of integers or real values."""
    context.expect(inputs=(1, 2, 3, 4))
    node, source = context.node, context.activation(0)
    if node.text("mode", "constant") != "constant":
        raise NetworkError(f"mode {node.text('mode', '')} is not supported; constant is")
    natural(source)
    paddings = _paddings(context, source.shape)
    shape = tuple(size + sum(pair) for size, pair in zip(source.shape, paddings, strict=True))
    stored = tuple(paddings[axis] for axis in stored_axes(len(shape)))

    def layer(source: Activation, target: Target, value: int) -> Activation:
        rescaled = context.builder.rescaled(node, source, replace(target, name=f"{source.tensor.name}/{target.name}"))
        output = context.add_layer(Pad, [rescaled], target, paddings=stored, value=value)
        return Activation(output, shape, integers=source.integers)

    if source.integers is not None:
        target = Target(context.output, source.quantisation)
        return layer(source, target, _integer_fill(context, source.integers))
    fill = context.real_scalar(2) if context.opset >= 11 else node.number("value", 0.0)
    return context.unclamped(
        shape, lambda target: layer(source, target, quantised_bound(fill or 0.0, target.quantisation, INT8_RANGE[0]))
    )


def _integer_fill(context: Context, integers: str) -> int:
    """The padding value of integers, as an int8; 0 if it is left out, whatever the zero point."""
    offset = UNSIGNED_OFFSET if integers == "UINT8" else 0
    if not context.given(2):
        return -offset
    data = context.constant(2).data
    if data.size != 1 or data.dtype.name.upper() != integers:
        raise NetworkError(f"its padding value is {data.dtype}{list(data.shape)}; one {integers} is expected")
    return int(data.ravel()[0]) - offset


def _paddings(context: Context, shape: Shape) -> list[tuple[int, int]]:
    rank = len(shape)
    stated = context.integers(1) if context.opset >= 11 else context.node.integers("pads", ())
    axes = context.integers(3) if context.given(3) else tuple(range(rank))
    if len(stated) != 2 * len(axes) or any(not -rank <= axis < rank for axis in axes):
        raise NetworkError(f"{len(stated)} paddings for an input of shape {list(shape)}")
    if any(size < 0 for size in stated):
        raise NetworkError("negative padding is not supported")
    paddings = [(0, 0)] * rank
    for axis, before, after in zip(axes, stated[: len(axes)], stated[len(axes) :], strict=True):
        paddings[axis] = (before, after)
    return paddings


def identity(context: Context) -> Value:
    """Identity, and Dropout, which is one when a network runs."""
    return context.value(0)
