"""Operators on constants alone, such as the shape arithmetic that exporters leave before a Reshape."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx
from onnx.reference import ReferenceEvaluator

from models.importers.onnx.reader import Node
from models.network import NetworkError

# Each yields about as many elements as it reads, so that a damaged file cannot ask for much memory.
_FOLDABLE = frozenset(
    {"Add", "Cast", "Concat", "Div", "Gather", "Mul", "Reshape", "Slice", "Squeeze", "Sub", "Transpose", "Unsqueeze"}
)
_SMALL = 1 << 8  # elements; what is computed from two shapes has fewer


def can_fold(node: Node, inputs: Sequence[npt.NDArray]) -> bool:
    """Whether the node's result can be computed from these values now."""
    small = all(values.size <= _SMALL for values in inputs)
    return node.domain == "" and node.op in _FOLDABLE and (small or node.op in ("Cast", "Reshape", "Transpose"))


def fold(node: Node, inputs: Sequence[npt.NDArray], opset: int) -> npt.NDArray:
    """The node's first output, as ONNX's reference implementation computes it.

    Raises:
        NetworkError: its inputs or attributes do not fit it.
    """
    names = [f"input_{index}" for index in range(len(inputs))]
    try:
        proto = onnx.helper.make_node(node.op, names, ["output"], **node.attributes)
        graph = onnx.helper.make_graph(
            [proto],
            "constants",
            [onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(values.dtype), values.shape)
             for name, values in zip(names, inputs, strict=True)],
            [onnx.ValueInfoProto(name="output")],
        )  # fmt: skip
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
        (result,) = ReferenceEvaluator(model).run(["output"], dict(zip(names, inputs, strict=True)))
    except Exception as error:  # a damaged node can make the reference implementation fail in any way
        raise NetworkError(f"cannot be computed from its constants: {' '.join(str(error).split())[:200]}") from None
    return np.asarray(result)
