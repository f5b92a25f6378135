"""Writes ONNX files node by node, for tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
_TYPES = {np.dtype(np.int8): TensorProto.INT8, np.dtype(np.uint8): TensorProto.UINT8}


@dataclass
class GraphWriter:
    """A graph that grows; its methods return names of values."""

    opset: int = OPSET
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    inputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    _count: int = 0

    def name(self, stem: str) -> str:
        self._count += 1
        return f"{stem}_{self._count}"

    def input(self, name: str, shape: Sequence[int | str], dtype: Any = np.float32) -> str:
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def constant(self, values: Any, dtype: Any = None, stem: str = "constant") -> str:
        name = self.name(stem)
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def node(
        self, op: str, inputs: Sequence[str], domain: str = "", output: str | None = None, **attributes: Any
    ) -> str:
        output = output or self.name(op.lower())
        self.nodes.append(helper.make_node(op, inputs, [output], f"the_{output}", domain=domain, **attributes))
        return output

    def scale(self, scale: float | Sequence[float]) -> str:
        return self.constant(scale, np.float32, "scale")

    def quantise(self, source: str, scale: float, zero: int, dtype: Any) -> str:
        return self.node("QuantizeLinear", [source, self.scale(scale), self.constant(zero, dtype, "zero")])

    def dequantise(self, source: str, scale: Any, zero: Any, dtype: Any, **attributes: Any) -> str:
        inputs = [source, self.scale(scale), self.constant(zero, dtype, "zero")]
        return self.node("DequantizeLinear", inputs, **attributes)

    def model(self, *outputs: str) -> onnx.ModelProto:
        infos = [onnx.ValueInfoProto(name=name) for name in outputs]
        graph = helper.make_graph(self.nodes, "graph", self.inputs, infos, self.constants)
        versions = [helper.make_opsetid("", self.opset), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=versions, ir_version=8)


def to_bytes(model: onnx.ModelProto) -> bytes:
    return model.SerializeToString()


def attributes_of(node: onnx.NodeProto) -> Mapping[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
