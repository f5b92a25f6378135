"""Networks with cyclic layers, from their description to the file; without PyTorch."""

import numpy as np
import pytest

from models import golden
from models.importers import onnx as importer
from models.layers import CyclicConv2D
from models.network import Network
from models.sparsity.cyclic import SupportLayer, narrowing
from models.training.cyclic_topologies import CIFAR_FANS, LENET_CASCADES, cifar, lenet300
from models.training.graph import Convolution, Cyclic, Dense, Flatten, Graph, Parameters, Point
from models.training.onnx_file import to_onnx
from models.training.quantising import quantise_weights

PIXEL = 1 / 255


def parameters_of(graph: Graph) -> int:
    return sum(values.size for values in graph.initial(0).values())


def imported(tmp_path, graph: Graph, parameters: Parameters, observed: dict[str, np.ndarray]) -> Network:
    path = tmp_path / "file.onnx"
    path.write_bytes(to_onnx(graph, parameters, observed).SerializeToString())
    return importer.load(path)


@pytest.mark.parametrize(
    ("name", "parameters", "times"),
    [("lenet300_csc12", 21_934, 12), ("lenet300_csc21", 12_372, 21), ("lenet300_csc46", 5_790, 46)],
)
def test_lenet_has_as_many_times_fewer_parameters_as_its_name_says(name, parameters, times):
    dense = parameters_of(lenet300("lenet300"))
    assert dense == 784 * 300 + 300 * 100 + 100 * 10 + 410
    assert parameters_of(lenet300(name)) == parameters
    assert dense // parameters == times


@pytest.mark.parametrize("name", LENET_CASCADES)
def test_every_pixel_reaches_every_score(name):
    graph = lenet300(name)
    reached = np.eye(784)
    for step in graph.steps:
        if isinstance(step, Cyclic):
            reached = step.support.expand(np.ones(step.shape))[:, :, 0, 0] @ reached
        elif isinstance(step, Dense):
            reached = np.ones(step.shape) @ reached
    assert reached.shape == (10, 784) and (reached > 0).all()
    rectified = [step.name for step in graph.weighted().values() if step.relu]
    assert rectified == ["fc1", "fc2"]


@pytest.mark.parametrize("name", CIFAR_FANS)
def test_cifar_networks_differ_only_in_their_convolutions(name):
    dense, cyclic = cifar("cifar_dense"), cifar(name)
    assert dense.steps[0] == cyclic.steps[0] and dense.steps[-1] == cyclic.steps[-1]
    ends = [step for step in cyclic.steps if isinstance(step, Cyclic) and step.relu]
    replaced = [step for step in dense.steps[1:] if isinstance(step, Convolution)]
    assert [(step.name, step.shape[0]) for step in ends] == [(step.name, step.shape[0]) for step in replaced]
    strides = [step.stride for step in cyclic.steps if isinstance(step, Cyclic) and step.support.kernel == (3, 3)]
    assert strides == [step.stride for step in replaced]
    assert parameters_of(dense) // parameters_of(cyclic) == int(name.removeprefix("cifar_csc"))


def points(rng: np.random.Generator) -> tuple[Graph, Parameters]:
    """A fully connected cascade of 24 pixels to 9 outputs, and its parameters."""
    first, second = narrowing(24, 9, 8, 6, (4,))
    steps = (
        Point("pixels", ("image",)),
        Cyclic("first", ("pixels",), first),
        Cyclic("second", ("first",), second, relu=True, bias=True),
        Flatten("flat", ("second",)),
        Dense("scores", ("flat",), (5, 9), relu=False),
    )
    graph = Graph("points", "image", (1, 4, 6), PIXEL, steps)
    parameters = graph.initial(3)
    assert "first.bias" not in parameters
    return graph, parameters | {"second.bias": rng.normal(size=9).astype(np.float32) * 0.1}


def forward(graph: Graph, parameters: Parameters, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Every step of `points`, in real numbers."""
    first, second = (step for step in graph.steps if isinstance(step, Cyclic))
    values = {"first": first.support.apply(parameters["first.weight"], pixels * PIXEL)}
    sums = second.support.apply(parameters["second.weight"], values["first"]) + parameters["second.bias"]
    values["second"] = np.maximum(sums, 0)
    values["scores"] = values["second"] @ parameters["scores.weight"].T + parameters["scores.bias"]
    return {name: value.astype(np.float32) for name, value in values.items()}


def test_a_cascade_of_points_computes_what_was_trained(tmp_path):
    rng = np.random.default_rng(0)
    graph, parameters = points(rng)
    pixels = rng.integers(0, 256, (200, 24))
    real = forward(graph, parameters, pixels)
    network = imported(tmp_path, graph, parameters, real)
    layers = [layer for layer in network.layers if isinstance(layer, CyclicConv2D)]
    assert [(layer.in_nodes, layer.out_nodes, layer.fan_in) for layer in layers] == [(24, 8, 6), (8, 9, 4)]
    got = golden.run(network, (pixels - 128).astype(np.int8).reshape(-1, 4, 6, 1))
    tensor = network.tensors["scores"]
    computed = (got["scores"].astype(float) - tensor.zero_point) * tensor.scale
    assert abs(computed - real["scores"]).max() < 5 * tensor.scale
    assert np.corrcoef(computed.ravel(), real["scores"].ravel())[0, 1] > 0.999
    assert (got["second"] == -128).any(), "no result was rectified"


def test_a_convolution_keeps_its_window(tmp_path):
    rng = np.random.default_rng(0)
    support = SupportLayer(4, 2, 2, 6, (3, 2))
    steps = (
        Cyclic("conv", ("image",), support, stride=2, padding=((0, 1), (1, 0)), relu=True, bias=True),
        Flatten("flat", ("conv",)),
        Dense("scores", ("flat",), (3, 6 * 3 * 4), relu=False),
    )
    graph = Graph("maps", "image", (4, 6, 7), PIXEL, steps)
    parameters = graph.initial(1)
    observed = {"conv": rng.random((9, 6, 3, 4), np.float32), "scores": rng.normal(size=(9, 3)).astype(np.float32)}
    layer = imported(tmp_path, graph, parameters, observed).layers[0]
    assert isinstance(layer, CyclicConv2D)
    assert (layer.stride, layer.padding, layer.support) == ((2, 2), ((0, 1), (1, 0)), support)
    expected = quantise_weights(parameters["conv.weight"], parameters["conv.bias"], float(np.float32(PIXEL)))
    np.testing.assert_array_equal(layer.weights, expected.weights)
    assert layer.output_zero_point == -128
