"""Writes ONNX graphs node by node."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.importers.onnx import cyclic
from models.importers.onnx.reader import SKIPSTONE

OPSET = 17
_TYPES = {np.dtype(np.int8): TensorProto.INT8, np.dtype(np.uint8): TensorProto.UINT8}


@dataclass
class GraphWriter:
    """A graph that grows; its methods return names of values.

    Attributes:
        opset: version of the standard operators.
        nodes, constants, inputs: what there is so far.
    """

    opset: int = OPSET
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)
    inputs: list[onnx.ValueInfoProto] = field(default_factory=list)
    _count: int = 0

    def name(self, stem: str) -> str:
        """A name that nothing bears yet."""
        self._count += 1
        return f"{stem}_{self._count}"

    def input(self, name: str, shape: Sequence[int | str], dtype: Any = np.float32) -> str:
        """An input of the graph."""
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def constant(self, values: Any, dtype: Any = None, stem: str = "constant", name: str | None = None) -> str:
        """Values that the file holds, called ``name``, or after ``stem`` and a number."""
        name = name or self.name(stem)
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def node(
        self, op: str, inputs: Sequence[str], domain: str = "", output: str | None = None, **attributes: Any
    ) -> str:
        """An operator; returns its output."""
        output = output or self.name(op.lower())
        self.nodes.append(helper.make_node(op, inputs, [output], f"{op}:{output}", domain=domain, **attributes))
        return output

    def scale(self, scale: float | Sequence[float]) -> str:
        """A scale, or one for each channel."""
        return self.constant(scale, np.float32, "scale")

    def quantise(self, source: str, scale: float, zero: int, dtype: Any, output: str | None = None) -> str:
        """Real values to integers."""
        inputs = [source, self.scale(scale), self.constant(zero, dtype, "zero")]
        return self.node("QuantizeLinear", inputs, output=output)

    def dequantise(self, source: str, scale: Any, zero: Any, dtype: Any, **attributes: Any) -> str:
        """Integers to real values; the type of the zero is that of the integers."""
        inputs = [source, self.scale(scale), self.constant(zero, dtype, "zero")]
        return self.node("DequantizeLinear", inputs, **attributes)

    def model(self, *outputs: str | onnx.ValueInfoProto, name: str = "graph") -> onnx.ModelProto:
        """The finished file; an output that is only named has no stated type."""
        infos = [onnx.ValueInfoProto(name=output) if isinstance(output, str) else output for output in outputs]
        graph = helper.make_graph(self.nodes, name, self.inputs, infos, self.constants)
        domains = sorted({node.domain for node in self.nodes if node.domain})
        versions = [helper.make_opsetid("", self.opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
        functions = [cyclic.definition(self.opset)] if SKIPSTONE in domains else []
        # 9 is the first version whose functions have attributes with defaults.
        return helper.make_model(graph, opset_imports=versions, functions=functions, ir_version=9)
