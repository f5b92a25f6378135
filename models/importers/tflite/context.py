"""What every operator's import needs: its tensors and options, checked, and derived parameters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tflite

from models.golden.fixed_point import INT8_RANGE, requantisation
from models.importers.tflite.reader import RawOperator, RawTensor
from models.layers import Padding, Pair, Requantisation
from models.network import NetworkError, Quantisation

_ACTIVATIONS = {value: name for name, value in vars(tflite.ActivationFunctionType).items() if name.isupper()}
# Real-valued bounds of the fused activations; None: the range of int8.
_BOUNDS: dict[str, tuple[float | None, float | None]] = {
    "NONE": (None, None),
    "RELU": (0.0, None),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
}


@dataclass(frozen=True, eq=False)
class Context:
    """One operator and the tensors of its graph. Every method raises NetworkError with the reason."""

    operator: RawOperator
    tensors: Mapping[int, RawTensor]

    def expect(self, inputs: Sequence[int], outputs: int = 1) -> None:
        """Refuse another number of inputs (any of ``inputs``) or outputs."""
        for what, count, allowed in (
            ("inputs", len(self.operator.inputs), inputs),
            ("outputs", len(self.operator.outputs), [outputs]),
        ):
            if count not in allowed:
                raise NetworkError(f"has {count} {what}; expected {' or '.join(map(str, allowed))}")

    def input(self, position: int) -> RawTensor:
        """The input tensor at a position, which must not be left out."""
        tensor = self.optional_input(position)
        if tensor is None:
            raise NetworkError(f"input {position} is missing")
        return tensor

    def optional_input(self, position: int) -> RawTensor | None:
        """The input tensor at a position, or None if it is left out."""
        inputs = self.operator.inputs
        return self.tensors[inputs[position]] if position < len(inputs) and inputs[position] >= 0 else None

    @property
    def output(self) -> RawTensor:
        """The output tensor."""
        return self.tensors[self.operator.outputs[0]]

    def activation_input(self, position: int = 0) -> RawTensor:
        """An int8 input, quantised as a whole, with no open dimension but the batch."""
        return _int8(self.input(position))

    def activation_output(self) -> RawTensor:
        """The output, likewise."""
        return _int8(self.output)

    def constant(self, position: int, *types: str) -> npt.NDArray:
        """The values of a constant input of one of the named element types."""
        tensor = self.input(position)
        if tensor.data is None:
            raise NetworkError(f"input {tensor.name!r} must be a constant")
        if tensor.type_name not in types:
            raise NetworkError(f"input {tensor.name!r} is {tensor.type_name}; only {' or '.join(types)} is supported")
        return tensor.data

    def clamp(self, code: int) -> Pair:
        """Lowest and highest int8 output under a fused activation (CalculateActivationRangeQuantized)."""
        name = _ACTIVATIONS.get(code, f"number {code}")
        if name not in _BOUNDS:
            raise NetworkError(f"fused activation {name} is not supported")
        return clamp_range(self.activation_output(), *_BOUNDS[name])


def _int8(tensor: RawTensor) -> RawTensor:
    if tensor.type_name != "INT8":
        raise NetworkError(f"tensor {tensor.name!r} is {tensor.type_name}; only INT8 is supported here")
    check_static(tensor)
    quantisation = quantisation_of(tensor)
    if not quantisation.uniform:
        raise NetworkError(f"tensor {tensor.name!r} is quantised per channel, which only weights may be")
    if not INT8_RANGE[0] <= quantisation.zero_point[0] <= INT8_RANGE[1]:
        raise NetworkError(f"tensor {tensor.name!r} has zero point {quantisation.zero_point[0]}, outside int8")
    return tensor


def check_static(tensor: RawTensor) -> None:
    """Refuse empty tensors, other batches than 1, and dimensions but the batch known at run time only."""
    if any(size < 0 for size in tensor.signature[1:]):
        raise NetworkError(
            f"tensor {tensor.name!r} has a dynamic shape {list(tensor.signature)}; only the batch may be"
        )
    if not tensor.shape or min(tensor.shape) < 1:
        raise NetworkError(f"tensor {tensor.name!r} has shape {list(tensor.shape)}; it must not be empty")
    if tensor.data is None and tensor.shape[0] != 1:
        raise NetworkError(
            f"tensor {tensor.name!r} has shape {list(tensor.shape)}; its first dimension must be 1, the batch"
        )


def quantisation_of(tensor: RawTensor) -> Quantisation:
    """The tensor's quantisation, which must be there."""
    if tensor.quantisation is None:
        raise NetworkError(f"tensor {tensor.name!r} has no quantisation")
    return tensor.quantisation


def scale_of(tensor: RawTensor) -> float:
    """The scale of an activation."""
    return float(quantisation_of(tensor).scale[0])


def zero_point_of(tensor: RawTensor) -> int:
    """The zero point of an activation."""
    return int(quantisation_of(tensor).zero_point[0])


def scaling(*factors: float) -> Requantisation:
    """Fixed-point factors; a factor that cannot be one is refused."""
    try:
        return requantisation(*factors)
    except ValueError as error:
        raise NetworkError(str(error)) from None


def clamp_range(output: RawTensor, low: float | None, high: float | None) -> Pair:
    """The int8 values of real bounds; None leaves the bound at that of int8."""

    def quantised(bound: float) -> int:
        # The reference kernels divide in single precision; halves round away from zero.
        real = float(np.float32(bound) / np.float32(scale_of(output)))
        return zero_point_of(output) + int(np.copysign(np.floor(abs(real) + 0.5), real))

    lowest, highest = INT8_RANGE
    return (
        lowest if low is None else max(lowest, quantised(low)),
        highest if high is None else min(highest, quantised(high)),
    )


def same_quantisation(context: Context, *inputs: RawTensor) -> None:
    """Refuse inputs whose scale or zero point differs from the output's."""
    output = context.activation_output()
    for tensor in inputs:
        if abs(scale_of(tensor) - scale_of(output)) > 1e-6 or zero_point_of(tensor) != zero_point_of(output):
            raise NetworkError(f"tensors {tensor.name!r} and {output.name!r} must have the same scale and zero point")


def explicit_padding(code: int, shape: Sequence[int], kernel: Pair, stride: Pair, dilation: Pair = (1, 1)) -> Padding:
    """The padding of an input under the scheme SAME or VALID; an odd total has one more after."""
    if code == tflite.Padding.VALID:
        return ((0, 0), (0, 0))
    if code != tflite.Padding.SAME:
        raise NetworkError(f"padding scheme {code} is not supported")
    if min(*stride, *dilation) < 1:
        raise NetworkError(f"stride {stride} and dilation {dilation} must be 1 or more")
    pairs = []
    for size, k, s, d in zip(shape[1:3], kernel, stride, dilation, strict=True):
        total = max(0, ((size + s - 1) // s - 1) * s + (k - 1) * d + 1 - size)
        pairs.append((total // 2, total - total // 2))
    return (pairs[0], pairs[1])
