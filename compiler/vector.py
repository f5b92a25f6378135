"""Layers without weights as operations of the vector unit: sums, maxima and additions, and what scales them.

All arithmetic is on stored activations, distances from a zero point; what the post-processor makes of a sum is said in
`hw.post.requantise`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from compiler.convolution import Pair
from compiler.errors import CompilerError
from compiler.feature_maps import FeatureMap
from compiler.operations import UNCHANGED, Operand, Scaling, Slide, VectorOperation
from hw.config import CoreConfig
from hw.control.descriptor import Operation, add_left_shift
from models.golden.fixed_point import INT8_RANGE
from models.layers import (
    Add,
    AveragePool2D,
    Clip,
    Layer,
    MaxPool2D,
    Mean,
    Padding,
    Pool2D,
    Relu,
    Relu6,
    Requantisation,
    Requantize,
    RescaledAveragePool2D,
    Rounding,
)

NO_PADDING: Padding = ((0, 0), (0, 0))
NO_VECTOR_UNIT = "it needs the vector unit, which this configuration does not have: set vector"


@dataclass(frozen=True)
class Surroundings:
    """What a layer is compiled for.

    Attributes:
        inputs, output: where its tensors lie.
        config: of the core.
        padding: of a pad layer in front of it; its value is a zero point, or for a maximum never the largest.
    """

    inputs: tuple[FeatureMap, ...]
    output: FeatureMap
    config: CoreConfig
    padding: Padding = NO_PADDING


def vector_operation(layer: Layer, around: Surroundings) -> VectorOperation:
    """The layer, of one of the `KINDS`, on the vector unit.

    Raises:
        CompilerError: a limit of the configuration, or a form of the layer that the unit does not run.
    """
    if not around.config.vector:
        raise _refusal(layer, NO_VECTOR_UNIT)
    operation = KINDS[type(layer)](layer, around)
    limit = around.config.max_left_shift
    shift = max(scaling.shift for scaling in operation.scalings)
    if shift > limit:
        raise _refusal(
            layer,
            f"its requantisation's left shift is {shift}, but max_left_shift of this configuration is {limit}: "
            "raise it",
        )
    return operation


def copy(name: str, layer: Layer, source: FeatureMap, output: FeatureMap, config: CoreConfig) -> VectorOperation:
    """The elements of a map once more, in another place, for a layer.

    Raises:
        CompilerError: there is no vector unit.
    """
    if not config.vector:
        raise _refusal(layer, NO_VECTOR_UNIT)
    low, high = (bound - output.zero_point for bound in INT8_RANGE)
    return VectorOperation(name, (layer.name,), Operation.SUM, (Operand(source),), output, (UNCHANGED,), low, high)


def _refusal(layer: Layer, reason: str) -> CompilerError:
    return CompilerError(f"layer {layer.name}: {reason}")


def _operation(
    layer: Layer,
    around: Surroundings,
    kind: int,
    scalings: tuple[Scaling, ...],
    activation: Pair,
    **attributes: Any,
) -> VectorOperation:
    zero = around.output.zero_point
    operands = attributes.pop("operands", tuple(map(Operand, around.inputs)))
    return VectorOperation(
        name=layer.name,
        layers=(layer.name,),
        kind=kind,
        operands=operands,
        output=around.output,
        scalings=scalings,
        lower=activation[0] - zero,
        upper=activation[1] - zero,
        **attributes,
    )


def _scaling(requantisation: Requantisation) -> Scaling:
    multiplier, shift = int(requantisation.multiplier[0]), int(requantisation.shift[0])
    return Scaling(multiplier, shift, rounding=requantisation.rounding)


def _add(layer: Add, around: Surroundings) -> VectorOperation:
    left, right = around.inputs
    if not left.shape == right.shape == around.output.shape:
        raise _refusal(layer, "its operands are not of one shape, and the vector unit does not repeat elements")
    bits, places = around.config.activation_bits, add_left_shift(around.config)
    if layer.left_shift != places:
        raise _refusal(
            layer,
            f"it shifts its operands left by {layer.left_shift}, but a core of {bits} bits by {places}: "
            "set activation_bits to 8",
        )
    factors = zip(around.inputs, layer.input_scaling.multiplier, layer.input_scaling.shift, strict=True)
    operands = [Operand(map, int(multiplier), -int(shift)) for map, multiplier, shift in factors]
    halved = [operand for operand in operands if (operand.multiplier, operand.right_shift) == (1 << 30, 0)]
    if not halved or any(operand.right_shift < 0 for operand in operands):
        raise _refusal(layer, "its operands' factors are not 1/2 for one and at most that for the other")
    operands.sort(key=lambda operand: operand is not halved[0])
    scalings = (_scaling(layer.output_scaling),)
    return _operation(layer, around, Operation.ADD, scalings, layer.activation, operands=tuple(operands))


def division(count: int, zero_point: int) -> Scaling:
    """From a sum of `count` stored activations to the average of the activations, halves rounded away from zero.

    The factor is a little more than 1 / count: so little that it matters for a half alone, which it moves away from
    zero, where rounding halves up would not. (Exact for count < 2**21: |sum| <= 2**8 x count, and the factor's error is
    below 2**-30 / count.)
    """
    bias = count * zero_point
    if count == 1:
        return Scaling(UNCHANGED.multiplier, UNCHANGED.shift, bias, Rounding.SINGLE)
    right = (count - 1).bit_length() - 1
    return Scaling((1 << (31 + right)) // count + 1, -right, bias, Rounding.SINGLE)


def _window(layer: Pool2D, padding: Padding) -> tuple[Slide, Slide]:
    rows, columns = (
        Slide(-layer.padding[axis][0] - padding[axis][0], layer.stride[axis], layer.kernel[axis]) for axis in range(2)
    )
    return rows, columns


def _positions(layer: Layer, around: Surroundings, rows: Slide, columns: Slide) -> npt.NDArray[np.int64]:
    """Positions of each window that lie in the map."""
    (source,), output = around.inputs, around.output
    inside = np.outer(rows.inside(output.rows, source.rows), columns.inside(output.columns, source.columns))
    if inside.min() < 1:
        raise _refusal(layer, "one of its windows lies in the padding, and sees nothing of its input")
    return inside


@dataclass(frozen=True)
class _Divisors:
    """What the sums of windows are divided by: one count, or each count up to the last, by the positions inside."""

    counts: tuple[int, ...]

    @property
    def by_count(self) -> bool:
        return len(self.counts) > 1


def _divisors(layer: Pool2D, around: Surroundings, rows: Slide, columns: Slide, *, padding_counts: bool) -> _Divisors:
    inside = _positions(layer, around, rows, columns)
    most, room = int(inside.max()), around.config.groups * around.config.post_beats
    if around.padding != NO_PADDING and layer.padding != NO_PADDING:
        raise _refusal(layer, "it has padding of its own behind a pad layer: leave one of them out")
    if padding_counts or around.padding != NO_PADDING:
        # What is added are zero points, which count, but add nothing to a sum of distances from them.
        return _Divisors((rows.taps * columns.taps,))
    if inside.min() == most:
        return _Divisors((most,))
    if most > room:
        raise _refusal(
            layer,
            f"its windows reach over the border and divide by up to {most} positions, but groups x lanes / "
            f"post_lanes of this configuration is {room}: raise groups or lower post_lanes",
        )
    return _Divisors(tuple(range(1, most + 1)))


def _average(layer: AveragePool2D, around: Surroundings) -> VectorOperation:
    rows, columns = _window(layer, around.padding)
    divisors = _divisors(layer, around, rows, columns, padding_counts=False)
    return _operation(
        layer,
        around,
        Operation.SUM,
        tuple(division(count, around.inputs[0].zero_point) for count in divisors.counts),
        layer.activation,
        offset=-around.output.zero_point,
        rows=rows,
        columns=columns,
        by_count=divisors.by_count,
    )


def _rescaled_average(layer: RescaledAveragePool2D, around: Surroundings) -> VectorOperation:
    rows, columns = _window(layer, around.padding)
    divisors = _divisors(layer, around, rows, columns, padding_counts=layer.padding_counts)
    known = {count: _scaling(layer.requantisation.entry(index)) for index, count in enumerate(layer.counts)}
    # A count that no window has needs an entry too, which is never read.
    unused = next(iter(known.values()))
    return _operation(
        layer,
        around,
        Operation.SUM,
        tuple(known.get(count, unused) for count in divisors.counts),
        layer.activation,
        rows=rows,
        columns=columns,
        by_count=divisors.by_count,
    )


def _maximum(layer: MaxPool2D, around: Surroundings) -> VectorOperation:
    rows, columns = _window(layer, around.padding)
    _positions(layer, around, rows, columns)
    offset = around.inputs[0].zero_point - around.output.zero_point
    return _operation(
        layer,
        around,
        Operation.MAXIMUM,
        (UNCHANGED,),
        layer.activation,
        offset=offset,
        rows=rows,
        columns=columns,
    )


def _mean(layer: Mean, around: Surroundings) -> VectorOperation:
    (source,) = around.inputs
    reduced = (around.output.rows < source.rows, around.output.columns < source.columns)
    return _operation(
        layer,
        around,
        Operation.SUM,
        (Scaling(layer.multiplier, layer.shift),),
        INT8_RANGE,
        rows=Slide(taps=source.rows if reduced[0] else 1),
        columns=Slide(taps=source.columns if reduced[1] else 1),
    )


def _rectify(layer: Relu, around: Surroundings) -> VectorOperation:
    return _operation(layer, around, Operation.SUM, (_scaling(layer.requantisation),), layer.activation)


def _requantise(layer: Requantize, around: Surroundings) -> VectorOperation:
    return _operation(layer, around, Operation.SUM, (_scaling(layer.requantisation),), INT8_RANGE)


KINDS: dict[type[Layer], Callable[[Any, Surroundings], VectorOperation]] = {
    Add: _add,
    AveragePool2D: _average,
    RescaledAveragePool2D: _rescaled_average,
    MaxPool2D: _maximum,
    Mean: _mean,
    Relu: _rectify,
    Relu6: _rectify,
    Clip: _rectify,
    Requantize: _requantise,
}
"""The kinds of layers that the vector unit runs."""
