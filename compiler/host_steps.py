"""What a host does before and after the accelerator: conversions between real and quantised values, and softmax."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from compiler.errors import CompilerError
from models.golden.elementwise import dequantise, quantise_real
from models.golden.softmax import softmax
from models.golden.table_softmax import table_softmax
from models.layers import Dequantize, Layer, Quantize, Reshape, Softmax, TableSoftmax
from models.network import Network


@dataclass(frozen=True)
class HostStep:
    """One operator on the host, for batch 1.

    Attributes:
        name: of the layer; op: of `OPERATORS`.
        input, output: names of the tensors; shape: of the output.
        parameters: of the operator.
    """

    name: str
    op: str
    input: str
    output: str
    shape: tuple[int, ...]
    parameters: dict[str, Any] = field(default_factory=dict)

    def run(self, value: npt.NDArray) -> npt.NDArray:
        """The output tensor, bit for bit that of the golden model."""
        return OPERATORS[self.op](self, value).reshape(self.shape)

    def as_dict(self) -> dict[str, Any]:
        """For a program file."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> HostStep:
        """From a program file; raises CompilerError if it names an operator that there is not."""
        if fields["op"] not in OPERATORS:
            raise CompilerError(f"there is no host step {fields['op']!r}; there are {', '.join(OPERATORS)}")
        return cls(**{**fields, "shape": tuple(fields["shape"])})


def _quantize(step: HostStep, value: npt.NDArray) -> npt.NDArray:
    return quantise_real(np.asarray(value, np.float32), **step.parameters)


def _softmax(step: HostStep, value: npt.NDArray) -> npt.NDArray:
    return softmax(Softmax(name=step.name, inputs=(step.input,), output=step.output, **step.parameters), value)


def _table_softmax(step: HostStep, value: npt.NDArray) -> npt.NDArray:
    parameters = {**step.parameters, "table": np.array(step.parameters["table"], np.int64)}
    return table_softmax(TableSoftmax(name=step.name, inputs=(step.input,), output=step.output, **parameters), value)


OPERATORS: dict[str, Callable[[HostStep, npt.NDArray], npt.NDArray]] = {
    "quantize": _quantize,
    "dequantize": lambda step, value: dequantise(value, **step.parameters),
    "softmax": _softmax,
    "table_softmax": _table_softmax,
    "reshape": lambda step, value: value,
}
"""What a host step can do, by name."""

_PARAMETERS: dict[type[Layer], tuple[str, tuple[str, ...]]] = {
    Quantize: ("quantize", ("scale", "zero_point", "ties_to_even")),
    Dequantize: ("dequantize", ("scale", "zero_point")),
    Softmax: ("softmax", ("multiplier", "left_shift", "diff_min")),
    TableSoftmax: ("table_softmax", ("table", "numerator", "denominator", "output_zero_point")),
    Reshape: ("reshape", ()),
}


def host_step(layer: Layer, network: Network) -> HostStep:
    """A layer of one of the `OPERATORS` as a host step."""
    op, names = _PARAMETERS[type(layer)]
    (source,) = layer.inputs
    parameters = {name: np.asarray(getattr(layer, name)).tolist() for name in names}
    shape = tuple(int(size) for size in network.tensors[layer.output].shape)
    return HostStep(layer.name, op, source, layer.output, shape, parameters)


@dataclass(frozen=True)
class HostParts:
    """Which layers run on the host, by name: before the accelerator, and after it."""

    before: tuple[str, ...]
    after: tuple[str, ...]


def host_parts(network: Network) -> HostParts:
    """Divide a network: the quantisation of inputs comes before, softmax and what reads it, and dequantisation, after.

    Raises:
        CompilerError: a layer of the accelerator's would have to read what the host makes after it.
    """
    before: list[str] = []
    after: dict[str, str] = {}
    names: list[str] = []
    for layer in network.layers:
        made_after = [name for name in layer.inputs if name in after]
        if isinstance(layer, Quantize) and layer.inputs[0] in network.inputs:
            before.append(layer.name)
        elif isinstance(layer, Softmax | TableSoftmax | Dequantize) or (isinstance(layer, Reshape) and made_after):
            after[layer.output] = layer.name
            names.append(layer.name)
        elif made_after:
            raise CompilerError(
                f"layer {layer.name}: it reads the output of {after[made_after[0]]}, which the host computes when the "
                f"accelerator is done: {ADVICE}"
            )
    return HostParts(tuple(before), tuple(names))


ADVICE = "run the layers that are supported one by one, with `skipstone simulate --by-layer`"
"""What to do with a network that the accelerator does not run as a whole."""
