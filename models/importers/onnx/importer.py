"""From a graph to a network: node after node."""

import numpy as np

from models.importers.onnx import folding, operators
from models.importers.onnx.builder import Builder, naming
from models.importers.onnx.context import Context
from models.importers.onnx.fusing import fuse_rectifiers
from models.importers.onnx.inputs import channels_last_input, input_quantisation
from models.importers.onnx.layout import row_major, stored_shape
from models.importers.onnx.reader import Graph, Input, Node, values_of
from models.importers.onnx.values import Activation, Constant, Pending, Value
from models.layers import Dequantize
from models.network import Network, NetworkError, Tensor


def build_network(name: str, graph: Graph) -> Network:
    """The network of a graph; raises NetworkError that names the node."""
    return _Importer(graph).network(name)


class _Values(dict[str, Value]):
    """Values by name; the file's constants are read when they are first asked for."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self._graph = graph

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name) or name in self._graph.constants

    def __missing__(self, name: str) -> Value:
        if name not in self._graph.constants:
            raise KeyError(name)
        self[name] = Constant(values_of(self._graph.constants[name]))
        return self[name]


class _Importer:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._builder = Builder()
        self._values = _Values(graph)

    def network(self, name: str) -> Network:
        for source in self._graph.inputs:
            self._values[source.name] = self._input(source)
        inputs = tuple(self._builder.tensors)
        for node in self._graph.nodes:
            with naming(node):
                self._run(node)
        outputs = tuple(self._output(output) for output in self._graph.outputs)
        layers, tensors = fuse_rectifiers(self._builder.layers, self._builder.tensors, (*inputs, *outputs))
        return Network(name=name, tensors=tensors, layers=tuple(layers), inputs=inputs, outputs=outputs)

    def _input(self, source: Input) -> Activation:
        natural = not channels_last_input(self._graph, source)
        order = None if natural else np.arange(int(np.prod(source.shape))).reshape(source.shape)
        shape = stored_shape(source.shape) if natural else source.shape
        if source.type == "FLOAT":
            tensor, integers = Tensor(source.name, shape, np.dtype(np.float32)), None
        elif source.type in ("INT8", "UINT8"):
            integers = source.type
            tensor = Tensor(source.name, shape, np.dtype(np.int8), input_quantisation(self._graph, source))
        else:
            raise NetworkError(f"input {source.name!r} is {source.type}; only FLOAT, INT8 and UINT8 are supported")
        return Activation(self._builder.add_tensor(tensor), source.shape, order, integers)

    def _run(self, node: Node) -> None:
        if not node.outputs or not node.outputs[0]:
            raise NetworkError("it has no output")
        for output in node.outputs:
            if output and output in self._values:
                raise NetworkError(f"its output {output!r} already has a value")
        self._values[node.outputs[0]] = self._result(node)

    def _result(self, node: Node) -> Value:
        if node.op == "Constant" and not node.domain:
            return self._constant(node)
        context = Context(node, self._values, self._builder, self._graph.opset)
        inputs = [context.value(position) for position in range(len(node.inputs)) if context.given(position)]
        if node.op == "Shape" and not node.domain and len(inputs) == 1:
            shape = np.array(inputs[0].shape, np.int64)
            return Constant(shape[node.integer("start", 0) : node.integer("end", shape.size)])
        values = [value.data for value in inputs if isinstance(value, Constant) and value.quantisation is None]
        if len(values) == len(node.inputs) and folding.can_fold(node, values):
            return Constant(folding.fold(node, values, self._graph.opset))
        return operators.build(context)

    def _constant(self, node: Node) -> Constant:
        """A constant that a node gives as numbers; those that it gives as tensors are known before."""
        (value,) = node.attributes.values() if len(node.attributes) == 1 else (None,)
        data = np.asarray(value)
        kinds = {"f": np.float32, "i": np.int64}
        if data.dtype.kind not in kinds:
            raise NetworkError("it needs one attribute, the value: a tensor or numbers")
        return Constant(data.astype(kinds[data.dtype.kind]))

    def _output(self, name: str) -> str:
        """The tensor of an output of the graph: real values are dequantised at the end."""
        if name not in self._values:
            raise NetworkError(f"the network's output {name!r} is not written by any node")
        value = self._values[name]
        if isinstance(value, Constant):
            raise NetworkError(f"the network's output {name!r} is a constant")
        if isinstance(value, Pending):
            raise NetworkError(f"the network's output {name!r} is not quantised: QuantizeLinear must come before it")
        if value.order is not None and not (row_major(value.order) and value.tensor.shape == value.shape):
            raise NetworkError(f"the network's output {name!r} would have to be transposed in memory")
        if value.integers is not None or value.is_float:
            return self._named(value.tensor, name)
        if name in self._builder.tensors:  # moved integers bear the name of the real values that they stand for
            self._builder.rename(name, f"{name}/quantised")
        node = next(node for node in self._graph.nodes if name in node.outputs)
        with naming(node):
            quantisation = value.quantisation
            fields = {"scale": float(quantisation.scale[0]), "zero_point": int(quantisation.zero_point[0])}
            source = self._builder.current(value.tensor)
            return self._builder.add_layer(Dequantize, node, (source,), name, None, dtype=np.float32, **fields).name

    def _named(self, tensor: Tensor, name: str) -> str:
        """The name of a tensor that is an output: the graph's own, if nothing else bears that."""
        held = self._builder.current(tensor).name
        if name in self._builder.tensors or held in {source.name for source in self._graph.inputs}:
            return held
        self._builder.rename(held, name)
        return name
