"""ONNX Runtime as the judge of imported networks: layer by layer, each fed with the judge's own inputs."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnxruntime

from models import golden
from models.golden.elementwise import quantise_real
from models.network import Network, Reshape, Tensor

Arrays = dict[str, np.ndarray]


def run_judge(model: onnx.ModelProto, inputs: Mapping[str, np.ndarray]) -> Arrays:
    """Every value of the graph, by name. Without optimisations: QDQ is computed as it is written, in float32."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    stated = {output.name for output in model.graph.output}
    written = [name for node in model.graph.node for name in node.output if name and name not in stated]
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in written)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(shown.SerializeToString(), options, ["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(inputs) | dict(zip(names, session.run(names, dict(inputs)), strict=True))


def as_stored(tensor: Tensor, values: np.ndarray) -> np.ndarray:
    """A value of the graph as the network stores it: channels last, int8."""
    if values.ndim == 4:
        values = values.transpose(0, 2, 3, 1)
    if values.dtype == np.uint8:
        values = (values.astype(np.int16) - 128).astype(np.int8)
    if values.dtype == np.float32 and tensor.dtype == np.int8:
        values = quantise_real(values, tensor.scale, tensor.zero_point, ties_to_even=True)
    return values.reshape(len(values), *tensor.shape[1:])


@dataclass
class Differences:
    """How often golden layers differ from the judge, by the layer's operator."""

    elements: dict[str, int] = field(default_factory=dict)
    wrong: dict[str, int] = field(default_factory=dict)

    def add(self, op: str, got: np.ndarray, expected: np.ndarray, message: str) -> None:
        if got.dtype != np.int8:
            np.testing.assert_array_equal(got, expected, err_msg=message)
            return
        difference = abs(got.astype(np.int64) - expected)
        assert difference.max() <= 1, f"{message}: differs by {difference.max()}"
        self.elements[op] = self.elements.get(op, 0) + got.size
        self.wrong[op] = self.wrong.get(op, 0) + int(np.count_nonzero(difference))

    def share(self, op: str) -> float:
        return self.wrong[op] / self.elements[op]


def compare(network: Network, judged: Arrays, differences: Differences, message: str) -> None:
    """Every layer on the judge's inputs against the judge's output."""
    known: Arrays = {}
    for name in network.inputs:
        known[name] = as_stored(network.tensors[name], judged[name])
    for layer in network.layers:
        got = golden.run_layer(network, layer, known)
        name = layer.output
        if isinstance(layer, Reshape) or name not in judged:
            known[name] = got  # a flattened map lies in another order than the judge's
            continue
        known[name] = as_stored(network.tensors[name], judged[name])
        differences.add(layer.op, got, known[name], f"{message}, layer {layer.name}")
