"""An ONNX file's graph in plain Python values, read defensively."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import external_data_helper, numpy_helper

from models.network import NetworkError, Shape

MICROSOFT = "com.microsoft"
SKIPSTONE = "skipstone"
SKIPSTONE_VERSION = 1
"""Of the operators of Skipstone's own domain."""
OPSETS = range(10, 29)
"""Versions of the standard operators: 10 brought quantisation; what may change after 28 is not known."""

# What reading a damaged message, or a field of the wrong kind, can raise.
_DAMAGE = (ValueError, TypeError, AttributeError, KeyError, IndexError, OverflowError, DecodeError)
_TYPE_NAMES = {value: name for name, value in onnx.TensorProto.DataType.items()}
_MAX_RANK = 8
_MAX_ELEMENTS = 1 << 28


def type_name(code: int) -> str:
    """The format's name for an element type."""
    return _TYPE_NAMES.get(code, f"type {code}")


@dataclass(frozen=True, eq=False)
class Node:
    """One operator of the graph.

    Attributes:
        index: its place in the graph.
        op, domain: which operator; the domain of the standard's own is empty.
        stated_name: as in the file, where it may be empty.
        inputs, outputs: names of values; an empty name stands for one that is left out.
        attributes: by name: int, float, str, sequences of them, or an array.
    """

    index: int
    op: str
    domain: str
    stated_name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """How messages name it."""
        name = repr(self.stated_name) if self.stated_name else str(self.index)
        return f"node {name} ({self.op})"

    def integer(self, name: str, default: int) -> int:
        """An attribute that is one integer."""
        return self._typed(name, default, int)

    def number(self, name: str, default: float) -> float:
        """An attribute that is one float."""
        return self._typed(name, default, float)

    def text(self, name: str, default: str) -> str:
        """An attribute that is text."""
        return self._typed(name, default, str)

    def integers(self, name: str, default: Sequence[int]) -> tuple[int, ...]:
        """An attribute that is a list of integers."""
        value = self.attributes.get(name, default)
        if not isinstance(value, Sequence) or any(type(entry) is not int for entry in value):
            raise NetworkError(f"attribute {name} is not a list of integers")
        return tuple(value)

    def _typed(self, name: str, default: Any, kind: type) -> Any:
        value = self.attributes.get(name, default)
        if type(value) is not kind:
            raise NetworkError(f"attribute {name} is not of type {kind.__name__}")
        return value


@dataclass(frozen=True)
class Input:
    """An input of the graph, for batch 1."""

    name: str
    type: str
    shape: Shape


@dataclass(frozen=True, eq=False)
class Graph:
    """The graph of a file: nodes in an order in which they can run, and constants by name."""

    opset: int
    nodes: tuple[Node, ...]
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    constants: Mapping[str, onnx.TensorProto]


def read_graph(path: Path) -> Graph:
    """Read a file, and the files beside it that hold its constants, if any.

    Raises:
        OSError: the file cannot be read.
        NetworkError: it is damaged, not an ONNX file, or holds what no quantised network needs.
    """
    data = path.read_bytes()
    try:
        model = onnx.load_model_from_string(data)
        if not (model.HasField("graph") and model.graph.node and model.opset_import):
            raise NetworkError("not an ONNX file, or one without a graph")
        _load_external(model, path.parent)
        return _graph(model)
    except _DAMAGE as error:
        raise NetworkError(f"the file is damaged, or not an ONNX file ({type(error).__name__})") from None


def values_of(constant: onnx.TensorProto) -> npt.NDArray:
    """The elements of a constant; raises NetworkError if they do not fit its shape or type."""
    shape = list(constant.dims)
    what = f"constant {constant.name!r} of type {type_name(constant.data_type)}{shape}"
    if any(size < 0 for size in shape) or len(shape) > _MAX_RANK or prod(shape) > _MAX_ELEMENTS:
        raise NetworkError(f"{what}: the shape is damaged or not supported")
    try:
        return np.array(numpy_helper.to_array(constant))
    except (*_DAMAGE, NotImplementedError):
        raise NetworkError(f"{what} cannot be read: its data does not fit") from None


def _load_external(model: onnx.ModelProto, folder: Path) -> None:
    try:
        external_data_helper.load_external_data_for_model(model, str(folder))
    except (OSError, onnx.checker.ValidationError, *_DAMAGE) as error:
        reason = " ".join(str(error).split())
        raise NetworkError(f"its constants in another file cannot be read: {reason}") from None


def _graph(model: onnx.ModelProto) -> Graph:
    graph = model.graph
    if graph.sparse_initializer:
        raise NetworkError("constants in the sparse tensor encoding are not supported")
    constants = {_text(constant.name): constant for constant in graph.initializer}
    nodes = []
    for index, proto in enumerate(graph.node):
        tensor = _constant(proto)
        if tensor is None:
            nodes.append(_node(index, proto))
        else:
            constants.setdefault(_text(proto.output[0]), tensor)
    read = {name for node in nodes for name in node.inputs}
    return Graph(
        opset=_opset(model),
        nodes=tuple(nodes),
        inputs=tuple(_input(proto) for proto in graph.input if proto.name not in constants and proto.name in read),
        outputs=_texts(proto.name for proto in graph.output),
        constants=constants,
    )


def _text(value: str | bytes) -> str:
    """A name; bytes that are no text come as bytes."""
    if isinstance(value, bytes):
        raise NetworkError(f"the file is damaged: the name {value!r} is not text")
    return value


def _texts(values: Iterable[str | bytes]) -> tuple[str, ...]:
    return tuple(_text(value) for value in values)


def _opset(model: onnx.ModelProto) -> int:
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    own = [entry.version for entry in model.opset_import if entry.domain == SKIPSTONE]
    if any(version != SKIPSTONE_VERSION for version in own):
        raise NetworkError(f"version {max(own)} of the operators of {SKIPSTONE} is not known; {SKIPSTONE_VERSION} is")
    version = max(versions, default=OPSETS.stop - 1)  # a graph may consist of another domain's operators alone
    if version not in OPSETS:
        raise NetworkError(f"operator set {version} is not supported; {OPSETS.start} to {OPSETS.stop - 1} are")
    return version


def _constant(proto: onnx.NodeProto) -> onnx.TensorProto | None:
    """The tensor of a node that is nothing but one."""
    if proto.op_type != "Constant" or proto.domain or len(proto.attribute) != 1 or len(proto.output) != 1:
        return None
    (attribute,) = proto.attribute
    return attribute.t if attribute.name == "value" and attribute.type == onnx.AttributeProto.TENSOR else None


def _node(index: int, proto: onnx.NodeProto) -> Node:
    return Node(
        index=index,
        op=_text(proto.op_type),
        domain="" if proto.domain == "ai.onnx" else _text(proto.domain),
        stated_name=_text(proto.name),
        inputs=_texts(proto.input),
        outputs=_texts(proto.output),
        attributes={_text(attribute.name): _attribute(attribute) for attribute in proto.attribute},
    )


def _attribute(attribute: onnx.AttributeProto) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, onnx.TensorProto):
        return values_of(value)
    return value if isinstance(value, int | float) or not isinstance(value, Sequence) else tuple(value)


def _input(proto: onnx.ValueInfoProto) -> Input:
    """A graph's input; an open first dimension is the batch, and counts as 1."""
    tensor = proto.type.tensor_type
    if not (proto.type.HasField("tensor_type") and tensor.HasField("shape")):
        raise NetworkError(f"input {proto.name!r} is not a tensor of a known shape")
    sizes = [dim.dim_value if dim.HasField("dim_value") else 0 for dim in tensor.shape.dim]
    stated = [dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in tensor.shape.dim]
    if sizes and sizes[0] < 1:
        sizes[0] = 1
    shown = f"input {proto.name!r} has shape [{', '.join(map(str, stated))}]"
    if any(size < 1 for size in sizes):
        raise NetworkError(f"{shown}; only the first dimension, the batch, may be dynamic, and none empty")
    if not sizes or sizes[0] != 1:
        raise NetworkError(f"{shown}; its first dimension must be 1, the batch")
    if len(sizes) > _MAX_RANK or prod(sizes) > _MAX_ELEMENTS:
        raise NetworkError(f"{shown}, which is damaged or not supported")
    return Input(_text(proto.name), type_name(tensor.elem_type), tuple(sizes))
