"""What every operator's import needs: its node's inputs, checked, and where its layers go."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from models.golden.fixed_point import INT8_RANGE
from models.importers.onnx.builder import Builder, naming, same_quantisation
from models.importers.onnx.reader import Node, type_name
from models.importers.onnx.values import UNSIGNED_OFFSET, Activation, Constant, Pending, Target, Value
from models.layers import Layer, Pair
from models.network import NetworkError, Quantisation, Shape, Tensor

_OFFSETS = {"INT8": 0, "UINT8": UNSIGNED_OFFSET}


@dataclass(frozen=True, eq=False)
class Context:
    """One node, the values known so far, and the network that grows. Methods raise NetworkError with the reason."""

    node: Node
    values: Mapping[str, Value]
    builder: Builder
    opset: int

    @property
    def naming(self) -> AbstractContextManager[None]:
        """Errors inside name this node."""
        return naming(self.node)

    @property
    def output(self) -> str:
        """The name of the first output."""
        return self.node.outputs[0]

    def expect(self, inputs: Sequence[int]) -> None:
        """Refuse another number of inputs than those of ``inputs``."""
        if len(self.node.inputs) not in inputs:
            raise NetworkError(f"has {len(self.node.inputs)} inputs; expected {' or '.join(map(str, inputs))}")

    def given(self, position: int) -> bool:
        """Whether an input is not left out."""
        return position < len(self.node.inputs) and bool(self.node.inputs[position])

    def name(self, position: int) -> str:
        """The name of an input."""
        if not self.given(position):
            raise NetworkError(f"input {position} is missing")
        return self.node.inputs[position]

    def value(self, position: int) -> Value:
        """What an input stands for."""
        name = self.name(position)
        if name not in self.values:
            raise NetworkError(f"its input {name!r} has no value yet")
        return self.values[name]

    def constant(self, position: int) -> Constant:
        """A constant input."""
        value = self.value(position)
        if not isinstance(value, Constant):
            raise NetworkError(f"its input {self.name(position)!r} must be a constant")
        return value

    def integers(self, position: int) -> tuple[int, ...]:
        """The values of a constant input of whole numbers."""
        data = self.constant(position).data
        if data.dtype not in (np.int32, np.int64):
            raise NetworkError(f"its input {self.name(position)!r} is {data.dtype}; int64 is expected")
        return tuple(int(value) for value in data.ravel())

    def real_scalar(self, position: int) -> float | None:
        """The value of a constant input of one real number; None if it is left out."""
        if not self.given(position):
            return None
        values = self.constant(position).real
        if values.size != 1:
            raise NetworkError(f"its input {self.name(position)!r} has {values.size} elements; one is expected")
        return float(values.ravel()[0])

    def activation(self, position: int) -> Activation:
        """An activation: the graph's integers, or the real values that a DequantizeLinear made of some."""
        value = self.value(position)
        if isinstance(value, Activation) and not value.is_float:
            return value
        name = self.name(position)
        if isinstance(value, Constant):
            raise NetworkError(f"its input {name!r} is a constant, which is not supported here")
        raise NetworkError(f"its input {name!r} is not quantised: QuantizeLinear and DequantizeLinear must come before")

    def real_activation(self, position: int) -> Activation:
        """An activation's real values."""
        value = self.activation(position)
        if value.integers is not None:
            raise NetworkError(f"its input {self.name(position)!r} is {value.integers}; real values are expected")
        return value

    def stated_activation(self, position: int) -> Activation:
        """An activation's integers, whose scale and zero point are the next two inputs, as real values."""
        value = self.activation(position)
        name = self.name(position)
        if value.integers is None:
            raise NetworkError(f"its input {name!r} holds real values; INT8 or UINT8 is expected")
        stated = self.quantisation(position + 1, value.integers)
        held = value.tensor.quantisation
        if held is not None and not same_quantisation(held, stated):
            raise NetworkError(
                f"it reads {name!r} with scale {stated.scale[0]:g} and zero point {_shown(stated, value)}, "
                f"but that was written with {held.scale[0]:g} and {_shown(held, value)}"
            )
        return Activation(value.tensor, value.shape, value.order)

    def stated_constant(self, position: int) -> Constant:
        """A constant of int8 or uint8, whose scale and zero point are the next two inputs."""
        constant = self.constant(position)
        integers = constant.data.dtype.name.upper()
        stated = self.quantisation(position + 1, integers)
        zero = stated.zero_point + _OFFSETS[integers]
        return Constant(constant.data, Quantisation(stated.scale, zero))

    def quantisation(self, position: int, integers: str) -> Quantisation:
        """The scale and zero point at a position and the next, of an activation of a type, as of an int8."""
        if integers not in _OFFSETS:
            raise NetworkError(f"activations of type {integers} are not supported; INT8 and UINT8 are")
        scale = self.scales(position)
        zero = self.constant(position + 1).data if self.given(position + 1) else np.zeros(1, integers.lower())
        if scale.size != 1 or zero.size != 1:
            raise NetworkError(f"{scale.size} scales for an activation; only weights may have more than one")
        if zero.dtype.name.upper() != integers:
            raise NetworkError(f"its zero point is {zero.dtype.name.upper()} for values of type {integers}")
        return Quantisation.per_tensor(float(scale[0]), int(zero.ravel()[0]) - _OFFSETS[integers])

    def scales(self, position: int) -> npt.NDArray[np.float64]:
        """A constant input of one or more scales, flattened."""
        data = self.constant(position).data
        if data.dtype != np.float32:
            raise NetworkError(f"scale {self.name(position)!r} is {data.dtype}; only float32 is supported")
        with np.errstate(invalid="ignore"):  # a damaged scale is refused later, as no finite number
            return data.astype(np.float64).ravel()

    def target(self, position: int) -> tuple[Target, str]:
        """The first output, with the scale and zero point at a position and the next; and its type."""
        if self.given(position + 1):
            integers = self.constant(position + 1).data.dtype.name.upper()
        else:
            integers = type_name(self.node.integer("output_dtype", 0) or TensorProto.UINT8)
        return Target(self.output, self.quantisation(position, integers)), integers

    def quantised(self, pending: Pending, position: int) -> Activation:
        """The output of a pending operator, with the scale and zero point at a position and the next."""
        target, integers = self.target(position)
        bounds = clamp(pending.low, pending.high, target.quantisation)
        return replace(self.builder.finish(pending.finish, replace(target, clamp=bounds)), integers=integers)

    def add_layer(self, kind: type[Layer], sources: Sequence[Activation], target: Target, **fields: Any) -> Tensor:
        """Add the node's layer; returns its output."""
        tensors = tuple(source.tensor for source in sources)
        return self.builder.add_layer(kind, self.node, tensors, target.name, target.quantisation, **fields)

    def moved(self, shape: Shape, move: Callable[[Activation], Activation]) -> Value:
        """The first input, moved; what waits goes on waiting: rounding commutes with moving and with a maximum."""
        value, name = self.value(0), self.name(0)
        if isinstance(value, Constant):
            raise NetworkError(f"its input {name!r} is a constant, which is not supported here")

        def move_named(source: Activation) -> Activation:
            with self.naming:
                return move(source)

        if isinstance(value, Activation):
            return move_named(value)
        finish = value.finish

        def finish_first(target: Target) -> Activation:
            return move_named(self.builder.finish(finish, replace(target, name=name)))

        return replace(value, shape=shape, finish=finish_first, with_bias=None)

    def pending(self, shape: Shape, finish: Callable[[Target], Activation]) -> Pending:
        """Values that wait for their quantisation; errors that come up then name this node."""

        def finish_named(target: Target) -> Activation:
            with self.naming:
                return finish(target)

        return Pending(shape, finish_named)

    def unclamped(self, shape: Shape, finish: Callable[[Target], Activation]) -> Pending:
        """The same for a layer that cannot clamp: where it must, another one follows."""

        def finish_clamped(target: Target) -> Activation:
            if target.clamp == INT8_RANGE:
                return finish(target)
            done = finish(replace(target, name=f"{target.name}/unclamped", clamp=INT8_RANGE))
            return self.builder.rescaled(self.node, done, target)

        return self.pending(shape, finish_clamped)


def _shown(quantisation: Quantisation, value: Activation) -> int:
    return int(quantisation.zero_point[0]) + _OFFSETS[value.integers or "INT8"]


def natural(value: Activation, what: str = "its input") -> Activation:
    """The activation, which must lie in its natural order."""
    if value.order is not None:
        raise NetworkError(
            f"{what} (in {value.tensor.name!r}) would have to be transposed in memory, which is not supported"
        )
    return value


def feature_map(value: Activation) -> Activation:
    """The activation, which must be a naturally ordered feature map."""
    if len(value.shape) != 4:
        raise NetworkError(f"its input has shape {list(value.shape)}; a feature map has 4 dimensions")
    return natural(value)


def quantised_bound(bound: float | None, quantisation: Quantisation, default: int) -> int:
    """A real bound as an int8 (QuantizeLinear's rounding); ``default`` without one."""
    if bound is None:
        return default
    if math.isnan(bound):
        raise NetworkError("a constant that it reads is not a number")
    steps = np.rint(np.float32(bound) / np.float32(quantisation.scale[0]))
    return int(np.clip(float(steps) + int(quantisation.zero_point[0]), *INT8_RANGE))


def clamp(low: float | None, high: float | None, quantisation: Quantisation) -> Pair:
    """The int8 values of real bounds."""
    return (
        quantised_bound(low, quantisation, INT8_RANGE[0]),
        quantised_bound(high, quantisation, INT8_RANGE[1]),
    )
