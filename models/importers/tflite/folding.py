"""Shape arithmetic: operators whose result is known once the batch is 1, folded into constants.

Converters leave chains such as SHAPE, STRIDED_SLICE, PACK before a RESHAPE whose batch is open.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import tflite

from models.importers.tflite.reader import RawOperator, RawTensor
from models.network import NetworkError

Tensors = Mapping[int, RawTensor]


def fold(operator: RawOperator, tensors: Tensors) -> RawTensor | None:
    """The operator's output as a constant, or None if it is not shape arithmetic on known values.

    Raises:
        NetworkError: the result does not fit the output tensor that the file declares.
    """
    compute = _FOLDABLE.get(operator.op)
    if compute is None or len(operator.outputs) != 1 or any(index < 0 for index in operator.inputs):
        return None
    value = compute(operator, [tensors[index] for index in operator.inputs])
    if value is None:
        return None
    output = tensors[operator.outputs[0]]
    if value.shape != output.shape or output.type_name not in ("INT32", "INT64"):
        raise NetworkError(
            f"computes integers of shape {list(value.shape)}, but its output is {output.type_name}{list(output.shape)}"
        )
    return replace(output, data=value.astype(output.require_dtype()))


def _shape(operator: RawOperator, inputs: list[RawTensor]) -> npt.NDArray | None:
    return np.array(inputs[0].shape, np.int64) if len(inputs) == 1 else None


def _strided_slice(operator: RawOperator, inputs: list[RawTensor]) -> npt.NDArray | None:
    """One-dimensional slices only: what is taken out of a shape."""
    values = [tensor.data for tensor in inputs]
    if len(values) != 4:
        return None
    known = [value for value in values if value is not None]
    if len(known) != 4 or any(value.ndim != 1 for value in known) or any(value.size != 1 for value in known[1:]):
        return None
    options = operator.options(tflite.StridedSliceOptions)
    if options.integer("EllipsisMask") or options.integer("NewAxisMask"):
        return None
    begin, end, step = (int(value[0]) for value in known[1:])
    if step == 0:
        raise NetworkError("slices with a step of 0")
    if options.integer("ShrinkAxisMask") & 1:
        if not -known[0].size <= begin < known[0].size:
            raise NetworkError(f"takes entry {begin} of {known[0].size}")
        return np.asarray(known[0][begin])
    return known[0][
        None if options.integer("BeginMask") & 1 else begin : None if options.integer("EndMask") & 1 else end : step
    ]


def _pack(operator: RawOperator, inputs: list[RawTensor]) -> npt.NDArray | None:
    """Scalars into a vector."""
    values = [tensor.data for tensor in inputs if tensor.data is not None]
    if len(values) != len(inputs) or any(value.ndim for value in values):
        return None
    return np.array(values, np.int64)


def _concatenation(operator: RawOperator, inputs: list[RawTensor]) -> npt.NDArray | None:
    """Integer vectors into one."""
    values = [tensor.data for tensor in inputs if tensor.data is not None]
    if len(values) != len(inputs) or any(value.ndim != 1 or value.dtype.kind != "i" for value in values):
        return None
    return np.concatenate(values) if all(value.dtype.itemsize > 1 for value in values) else None


_FOLDABLE: dict[str, Callable[[RawOperator, list[RawTensor]], npt.NDArray | None]] = {
    "shape": _shape,
    "strided_slice": _strided_slice,
    "pack": _pack,
    "concatenation": _concatenation,
}
