"""MLPerf Tiny's ResNet-8 as a graph of real weights, and back to an int8 file."""

import numpy as np
import onnx
import pytest

from models import golden, zoo
from models.golden.elementwise import dequantise
from models.importers import onnx as importer
from models.layers import Conv2D, MaxPool2D
from models.training.onnx_file import to_onnx
from models.training.topologies import lenet5, parameters_of, resnet8


@pytest.fixture(scope="module")
def original():
    return zoo.load("resnet8")


def as_observed(values: np.ndarray, scale: float, zero: int) -> np.ndarray:
    real = dequantise(values, scale, zero)
    return real.transpose(0, 3, 1, 2) if real.ndim == 4 else real


@pytest.fixture(scope="module")
def converted(original, tmp_path_factory):
    """The network that becomes of ResNet-8 when its tensors on the sample images are what was observed."""
    graph = resnet8()
    tensors = golden.run(original, zoo.sample_inputs("resnet8"))
    layers = original.layers[: len(graph.steps)]  # all but the softmax
    outputs = [original.tensors[layer.output] for layer in layers]
    observed = {
        step.name: as_observed(tensors[output.name], output.scale, output.zero_point)
        for step, output in zip(graph.steps, outputs, strict=True)
    }
    model = to_onnx(graph, parameters_of(original, graph), observed)
    onnx.checker.check_model(model, full_check=True)
    path = tmp_path_factory.mktemp("onnx") / "converted.onnx"
    onnx.save(model, path)
    return importer.load(path)


def test_weights_come_back(original, converted):
    """Of the convolutions, whose scales are those of each output in both files."""
    pairs = [
        (before, after)
        for before, after in zip(original.layers[:-1], converted.layers, strict=True)
        if isinstance(before, Conv2D) and isinstance(after, Conv2D)
    ]
    assert len(pairs) == 9
    for before, after in pairs:
        difference = abs(before.weights.astype(int) - after.weights)
        assert difference.max() <= 1 and (difference > 0).mean() < 0.02, before.name
        assert (before.stride, before.padding, before.kernel) == (after.stride, after.padding, after.kernel)


def test_the_structure_is_the_same(original, converted):
    assert [layer.op for layer in converted.layers] == [layer.op for layer in original.layers[:-1]]
    assert converted.macs == original.macs
    taken, given = converted.tensors[converted.inputs[0]], converted.tensors[converted.outputs[0]]
    assert (taken.shape, taken.dtype, taken.zero_point) == ((1, 32, 32, 3), np.int8, -128)
    assert (given.shape, given.dtype) == ((1, 10), np.int8)


def test_scores_are_nearly_the_same(original, converted):
    images = zoo.sample_inputs("resnet8")
    logits = original.tensors[original.layers[-1].inputs[0]]
    before = dequantise(golden.run(original, images)[logits.name], logits.scale, logits.zero_point)
    output = converted.tensors[converted.outputs[0]]
    after = dequantise(golden.run(converted, images)[output.name], output.scale, output.zero_point)
    assert abs(before - after).max() < 0.1 * abs(before).max()
    assert (before.argmax(axis=1) == after.argmax(axis=1)).all()


def test_rectified_activations_start_at_zero(converted):
    convolutions = [layer for layer in converted.layers if isinstance(layer, Conv2D)]
    zeros = [layer.output_zero_point for layer in convolutions]
    rectified = ["stem", "stack1_conv1", "stack2_conv1", "stack3_conv1"]
    names = [layer.output for layer in convolutions]
    assert all((zero == -128) == (name in rectified) for name, zero in zip(names, zeros, strict=True))


def test_a_graph_of_other_layers_is_refused(original):
    with pytest.raises(ValueError, match=r"conv_2d_0 has weights of shape .* conv1 of"):
        parameters_of(original, lenet5())


def test_pooling_moves_integers(tmp_path):
    graph = lenet5()
    rng = np.random.default_rng(0)
    observed = {step.name: rng.uniform(0, 4, 100).astype(np.float32) for step in graph.steps}
    path = tmp_path / "lenet5.onnx"
    onnx.save(to_onnx(graph, graph.initial(0), observed), path)
    network = importer.load(path)
    pools = [layer for layer in network.layers if isinstance(layer, MaxPool2D)]
    assert [pool.kernel for pool in pools] == [(2, 2), (2, 2)]
    assert network.macs == 6 * 25 * 784 + 16 * 150 * 100 + 400 * 120 + 120 * 84 + 84 * 10
    scores = golden.run(network, np.zeros((3, 28, 28, 1), np.int8))[network.outputs[0]]
    assert scores.shape == (3, 10) and scores.dtype == np.int8
