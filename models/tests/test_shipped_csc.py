"""The networks with cyclic layers that ship: packed, of the size that is said, and ONNX Runtime agrees."""

import numpy as np
import onnx
import pytest

from models import golden, zoo
from models.inputs import image_to_int8, random_input
from models.layers import CyclicConv2D, WeightedLayer
from models.network import Network
from models.tests.onnx_judge import Differences, compare, run_judge
from models.training.cyclic_topologies import CIFAR_FANS, LENET_CASCADES, cifar, lenet300
from models.training.graph import Cyclic
from models.zoo import cifar10, mnist
from models.zoo.samples import sample_images

# Over the whole test set.
ACCURACY = {
    "lenet300_csc12": 0.9814,
    "lenet300_csc21": 0.9777,
    "lenet300_csc46": 0.966,
    "cifar_csc3": 0.7686,
    "cifar_csc6": 0.7160,
}
# Of the images that ship: ten digits, eight things.
CORRECT = {"lenet300_csc12": 10, "lenet300_csc21": 9, "lenet300_csc46": 10, "cifar_csc3": 6, "cifar_csc6": 7}
WEIGHTS = {
    "lenet300_csc12": 21_524,
    "lenet300_csc21": 11_962,
    "lenet300_csc46": 5_380,
    "cifar_csc3": 42_208,
    "cifar_csc6": 21_856,
}
LARGEST_SHARE = 0.001


@pytest.fixture(params=ACCURACY)
def name(request) -> str:
    return request.param


@pytest.fixture
def network(name) -> Network:
    return zoo.load(name)


def test_all_are_tested():
    assert set(ACCURACY) == {*LENET_CASCADES, *CIFAR_FANS}


def test_its_cyclic_layers_are_those_of_the_plan(name, network):
    graph = (lenet300 if name in LENET_CASCADES else cifar)(name)
    layers = [layer for layer in network.layers if isinstance(layer, CyclicConv2D)]
    steps = [step for step in graph.steps if isinstance(step, Cyclic)]
    assert [layer.output for layer in layers] == [step.name for step in steps]
    for layer, step in zip(layers, steps, strict=True):
        assert (layer.support, layer.stride, layer.padding) == (step.support, (step.stride,) * 2, step.padding)


def test_weights_are_packed_and_no_index_is_stored(name, network):
    """A support layer takes a byte for each edge, and the file no list of integers but shapes."""
    weights = sum(layer.weights.size for layer in network.layers if isinstance(layer, WeightedLayer))
    assert weights == WEIGHTS[name]
    model = onnx.load(zoo.fetch(name))
    cyclic = [node for node in model.graph.node if node.op_type == "CyclicConv"]
    constants = {constant.name: constant for constant in model.graph.initializer}
    for node, layer in zip(cyclic, (x for x in network.layers if isinstance(x, CyclicConv2D)), strict=True):
        assert len(constants[node.input[3]].raw_data) == layer.out_nodes * layer.fan_in * int(np.prod(layer.kernel))
        assert layer.macs(network) == np.prod(network.tensors[layer.output].shape) * layer.weights[0].size
    integers = [c for c in constants.values() if c.data_type == onnx.TensorProto.INT64]
    assert sum(int(np.prod(c.dims)) for c in integers) <= 4


def test_onnx_runtime_agrees(name, network):
    """Layer by layer on its own inputs: at most 1 LSB on at most 0.1 % of the elements."""
    images = np.concatenate([zoo.sample_inputs(name), *(random_input(network, seed) for seed in range(4))])
    source = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    differences = Differences()
    compare(network, run_judge(onnx.load(zoo.fetch(name)), {network.inputs[0]: source}), differences, name)
    assert {"cyclic_conv_2d", "fully_connected"} <= differences.elements.keys()
    for op in differences.elements:
        assert differences.share(op) <= LARGEST_SHARE, f"{name}: {op} {differences}"


def test_the_images_that_ship_are_classified(name, network):
    folder, classes = ("digits", mnist.CLASSES) if name in LENET_CASCADES else ("images", cifar10.CLASSES)
    labels = [classes.index(label) for label, _ in sample_images(folder)]
    scores = golden.run(network, zoo.sample_inputs(name))[network.outputs[0]]
    assert (scores.argmax(axis=1) == labels).sum() >= CORRECT[name]


@pytest.mark.slow
def test_accuracy_over_the_whole_test_set(name, network):
    images, labels = (mnist if name in LENET_CASCADES else cifar10).test_set()
    last = [network.layers[-1].name]
    correct = 0
    for first in range(0, len(images), 500):
        batch = slice(first, first + 500)
        scores = golden.run(network, image_to_int8(images[batch]), layers=last)[network.outputs[0]]
        correct += int((scores.argmax(axis=1) == labels[batch]).sum())
    assert round(correct / len(images), 4) == ACCURACY[name]
