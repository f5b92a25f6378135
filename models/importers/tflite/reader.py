"""Reads the tables of a TensorFlow Lite file, and checks what the format itself leaves unchecked.

FlatBuffers in Python verify nothing: an offset, length or index of a damaged file can point anywhere.
Everything is therefore read here once, bounded by the file's size, into plain values; whatever goes wrong is
one error.
"""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import tflite

from models.network import NetworkError, Quantisation, Shape

_DTYPES: dict[int, np.dtype] = {
    tflite.TensorType.FLOAT32: np.dtype("<f4"),
    tflite.TensorType.INT32: np.dtype("<i4"),
    tflite.TensorType.UINT8: np.dtype("u1"),
    tflite.TensorType.INT64: np.dtype("<i8"),
    tflite.TensorType.INT16: np.dtype("<i2"),
    tflite.TensorType.INT8: np.dtype("i1"),
}
_TYPE_NAMES = {value: name for name, value in vars(tflite.TensorType).items() if name.isupper()}
_OPERATOR_NAMES = {value: name for name, value in vars(tflite.BuiltinOperator).items() if name.isupper()}
# What reading outside the file, or a misplaced table, can raise.
_DAMAGE = (struct.error, IndexError, ValueError, TypeError, AttributeError, OverflowError, UnicodeDecodeError)
_MAX_RANK = 8


@dataclass(frozen=True, eq=False)
class RawTensor:
    """A tensor as the file states it; ``data`` is None unless the file holds its values."""

    name: str
    shape: Shape
    signature: Shape
    type_code: int
    quantisation: Quantisation | None
    data: npt.NDArray | None

    @property
    def type_name(self) -> str:
        """The format's name for the element type."""
        return _TYPE_NAMES.get(self.type_code, f"type {self.type_code}")

    def require_dtype(self) -> np.dtype:
        """The element type; raises NetworkError if it is not one of a quantised network."""
        if self.type_code not in _DTYPES:
            raise NetworkError(f"tensor {self.name!r}: elements of type {self.type_name} are not supported")
        return _DTYPES[self.type_code].newbyteorder("=")


@dataclass(frozen=True, eq=False)
class RawOptions:
    """An operator's options table; a field that the file leaves out has the format's default."""

    table: Any

    def integer(self, field: str) -> int:
        """A field's value; raises NetworkError if it lies outside the file."""
        return int(self._get(field))

    def number(self, field: str) -> float:
        """Likewise, for a field of float32."""
        return float(self._get(field))

    def _get(self, field: str) -> Any:
        try:
            return getattr(self.table, field)()
        except _DAMAGE:
            raise NetworkError(f"the file is damaged: option {field} cannot be read") from None


@dataclass(frozen=True, eq=False)
class RawOperator:
    """An operator: indices of its tensors (-1: left out), and its options table, if any."""

    index: int
    op: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options_type: int
    options_table: Any

    @property
    def name(self) -> str:
        """The layer's name."""
        return f"{self.op}_{self.index}"

    def options(self, kind: type[Any]) -> RawOptions:
        """The options, which must be present and of the right kind: a class of `tflite`."""
        if self.options_table is None or self.options_type != getattr(tflite.BuiltinOptions, kind.__name__):
            raise NetworkError(f"its {kind.__name__} are missing")
        table = kind()
        try:
            table.Init(self.options_table.Bytes, self.options_table.Pos)
        except _DAMAGE:
            raise NetworkError(f"the file is damaged: its {kind.__name__} cannot be read") from None
        return RawOptions(table)


@dataclass(frozen=True, eq=False)
class RawModel:
    """The single subgraph of a file."""

    tensors: tuple[RawTensor, ...]
    operators: tuple[RawOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_model(data: bytes) -> RawModel:
    """Read a whole file; raises NetworkError if it is damaged or not a single-graph TensorFlow Lite file."""
    if len(data) < 8 or data[4:8] != b"TFL3":
        raise NetworkError("not a TensorFlow Lite file")
    try:
        return _Reader(data).model()
    except _DAMAGE:
        raise NetworkError("the file is damaged or truncated") from None


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._root = tflite.Model.GetRootAs(data, 0)

    def _count(self, length: int, what: str) -> int:
        """A vector's length, refused when the file could not hold so many entries."""
        if not 0 <= length <= len(self._data) // 4:
            raise NetworkError(f"the file is damaged: {length} {what}")
        return length

    def _integers(self, length: int, get: Callable[[int], int], what: str) -> tuple[int, ...]:
        return tuple(int(get(i)) for i in range(self._count(length, what)))

    def _tables(self, length: int, get: Callable[[int], Any], what: str) -> Iterator[Any]:
        for i in range(self._count(length, what)):
            table = get(i)
            if table is None:
                raise NetworkError(f"the file is damaged: no entry {i} of {what}")
            yield table

    def model(self) -> RawModel:
        root = self._root
        if root.Version() != 3:
            raise NetworkError(f"schema version {root.Version()} is not supported; version 3 is")
        graphs = list(self._tables(root.SubgraphsLength(), root.Subgraphs, "subgraphs"))
        if len(graphs) != 1:
            raise NetworkError(f"{len(graphs)} subgraphs are not supported; a network of one is")
        (graph,) = graphs
        tensors = self._tensors(graph)
        return RawModel(
            tensors=tensors,
            operators=tuple(self._operators(graph, len(tensors))),
            inputs=self._indices(graph.InputsLength(), graph.Inputs, "inputs", len(tensors)),
            outputs=self._indices(graph.OutputsLength(), graph.Outputs, "outputs", len(tensors)),
        )

    def _indices(
        self, length: int, get: Callable[[int], int], what: str, tensors: int, low: int = 0
    ) -> tuple[int, ...]:
        indices = self._integers(length, get, what)
        for index in indices:
            if not low <= index < tensors:
                raise NetworkError(f"the file is damaged: {what} name tensor {index} of {tensors}")
        return indices

    def _operators(self, graph: Any, tensors: int) -> Iterator[RawOperator]:
        root = self._root
        codes = list(self._tables(root.OperatorCodesLength(), root.OperatorCodes, "operator codes"))
        for index, table in enumerate(self._tables(graph.OperatorsLength(), graph.Operators, "operators")):
            code = table.OpcodeIndex()
            if not 0 <= code < len(codes):
                raise NetworkError(f"the file is damaged: operator {index} has code {code} of {len(codes)}")
            # Files older than the wide field keep the operator in the narrow one.
            builtin = max(codes[code].BuiltinCode(), codes[code].DeprecatedBuiltinCode())
            op = _OPERATOR_NAMES.get(builtin, f"operator_{builtin}").lower()
            what = f"operator {index} ({op})"
            yield RawOperator(
                index,
                op,
                self._indices(table.InputsLength(), table.Inputs, f"{what}'s inputs", tensors, low=-1),
                self._indices(table.OutputsLength(), table.Outputs, f"{what}'s outputs", tensors),
                table.BuiltinOptionsType(),
                table.BuiltinOptions(),
            )

    def _tensors(self, graph: Any) -> tuple[RawTensor, ...]:
        names: set[str] = set()
        tensors = []
        for index, table in enumerate(self._tables(graph.TensorsLength(), graph.Tensors, "tensors")):
            name = (table.Name() or b"").decode() or f"tensor_{index}"
            if name in names:
                name = f"{name}#{index}"
            names.add(name)
            tensors.append(self._tensor(name, table))
        return tuple(tensors)

    def _tensor(self, name: str, table: Any) -> RawTensor:
        shape = self._integers(table.ShapeLength(), table.Shape, "dimensions")
        signature = self._integers(table.ShapeSignatureLength(), table.ShapeSignature, "dimensions")
        if len(shape) > _MAX_RANK or any(size < 0 for size in shape):
            raise NetworkError(f"tensor {name!r}: shape {list(shape)} is damaged or not supported")
        if table.Sparsity() is not None:
            raise NetworkError(f"tensor {name!r} is stored in the sparse tensor encoding, which is not supported")
        raw = RawTensor(name, shape, signature, table.Type(), self._quantisation(name, table), None)
        data = self._constant(raw, table.Buffer())
        return raw if data is None else RawTensor(name, shape, signature, table.Type(), raw.quantisation, data)

    def _constant(self, tensor: RawTensor, index: int) -> npt.NDArray | None:
        """The tensor's values, or None if its buffer is empty."""
        root = self._root
        if not 0 <= index < self._count(root.BuffersLength(), "buffers"):
            raise NetworkError(f"the file is damaged: tensor {tensor.name!r} has buffer {index}")
        buffer = root.Buffers(index)
        length = buffer.DataLength()
        if buffer.Offset() > 1:
            raise NetworkError(f"tensor {tensor.name!r}: data outside the tables (a file over 2 GB) is not supported")
        if length == 0 or tensor.type_code not in _DTYPES:
            return None
        dtype = _DTYPES[tensor.type_code]
        if length != prod(tensor.shape) * dtype.itemsize:
            raise NetworkError(
                f"tensor {tensor.name!r}: {length} bytes of data do not fit {tensor.type_name}{list(tensor.shape)}"
            )
        values = np.frombuffer(buffer.DataAsNumpy().tobytes(), dtype)
        return values.astype(dtype.newbyteorder("="), copy=False).reshape(tensor.shape)

    def _quantisation(self, name: str, table: Any) -> Quantisation | None:
        parameters = table.Quantization()
        if parameters is None or not parameters.ScaleLength():
            return None
        if parameters.DetailsType():
            raise NetworkError(f"tensor {name!r}: custom quantisation is not supported")
        count = self._count(parameters.ScaleLength(), "scales")
        scale = np.array([parameters.Scale(i) for i in range(count)], np.float64)
        zeros = self._integers(parameters.ZeroPointLength(), parameters.ZeroPoint, "zero points") or (0,) * count
        axis = parameters.QuantizedDimension() if count > 1 else None
        try:
            return Quantisation(scale, np.array(zeros, np.int64), axis)
        except NetworkError as error:
            raise NetworkError(f"tensor {name!r}: {error}") from None
