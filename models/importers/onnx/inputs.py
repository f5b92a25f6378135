"""What the nodes that read an input of the graph say about it."""

from collections.abc import Iterator

from models.importers.onnx.builder import naming
from models.importers.onnx.reader import Graph, Input, Node, values_of
from models.importers.onnx.values import UNSIGNED_OFFSET
from models.network import NetworkError, Quantisation

_TO_CHANNELS_FIRST = (0, 3, 1, 2)
# Operators that leave integers as they are.
_MOVES = frozenset({"Flatten", "Identity", "MaxPool", "Pad", "Reshape", "Squeeze", "Transpose", "Unsqueeze"})
# Operators besides QLinear... that state the scale and zero point of what they read, in the two inputs after it.
_STATING = frozenset({"CyclicConv", "DequantizeLinear", "QGemm"})


def channels_last_input(graph: Graph, source: Input) -> bool:
    """Whether a feature map comes with its channels last: it is transposed, at once or once it is quantised."""
    if len(source.shape) != 4:
        return False
    names = {source.name}
    for node in graph.nodes:
        if node.inputs and node.inputs[0] in names:
            if node.op == "Transpose":
                return tuple(node.attributes.get("perm", ())) == _TO_CHANNELS_FIRST
            if node.op in ("QuantizeLinear", "DequantizeLinear", "Identity"):
                names.update(node.outputs)
    return False


def input_quantisation(graph: Graph, source: Input) -> Quantisation:
    """Scale and zero point of an input of integers, as of an int8: those that its first reader states.

    Raises:
        NetworkError: no node states them.
    """
    for node, position in _readers(graph, source.name):
        if len(node.inputs) > position + 1 and node.inputs[position + 1] in graph.constants:
            scale = values_of(graph.constants[node.inputs[position + 1]])
            zero = 0
            if len(node.inputs) > position + 2 and node.inputs[position + 2] in graph.constants:
                values = values_of(graph.constants[node.inputs[position + 2]])
                zero = int(values.ravel()[0]) if values.size else 0
            if scale.size and scale.dtype.kind == "f":
                offset = UNSIGNED_OFFSET if source.type == "UINT8" else 0
                with naming(node):  # which refuses more than one scale when it is imported
                    return Quantisation.per_tensor(float(scale.ravel()[0]), zero - offset)
    raise NetworkError(f"input {source.name!r}: no node that reads it states its scale and zero point")


def _readers(graph: Graph, name: str) -> Iterator[tuple[Node, int]]:
    """Nodes that read a value as an activation with a scale, and at which position."""
    names = {name}
    for node in graph.nodes:
        if node.op in _MOVES and node.inputs and node.inputs[0] in names:
            names.update(node.outputs[:1])
        elif node.op.startswith("QLinear") or node.op in _STATING:
            yield from ((node, position) for position, read in enumerate(node.inputs) if read in names)
