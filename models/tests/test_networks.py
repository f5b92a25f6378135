"""The four MLPerf Tiny networks: every intermediate tensor equals LiteRT's reference kernels."""

import numpy as np
import pytest

from models import golden, zoo
from models.inputs import random_input
from models.judge import Judge
from models.network import Network, NetworkError
from models.zoo.cifar10 import CLASSES
from models.zoo.samples import sample_images

MACS = {
    "resnet8": 12_501_632,
    "keyword_spotting": 2_656_768,
    "visual_wake_words": 7_489_664,
    "anomaly_detection": 264_192,
}


def assert_equals_judge(network: Network, inputs: np.ndarray, what: str) -> None:
    """Every tensor of a batched golden run, and every constant, is the judge's."""
    got = golden.run(network, inputs)
    judge = Judge(zoo.fetch(network.name), keep_all=True)
    for index in range(len(inputs)):
        judge.run(inputs[index : index + 1])
        expected = judge.tensors()
        assert set(network.tensors) <= set(expected)
        for name, tensor in network.tensors.items():
            array = tensor.data if tensor.data is not None else got[name][index : index + 1]
            message = f"{network.name}, {what}, input {index}, tensor {name!r}"
            np.testing.assert_array_equal(array, expected[name], err_msg=message)


@pytest.mark.parametrize("name", MACS)
def test_random_inputs(networks, name):
    inputs = np.concatenate([random_input(networks[name], seed) for seed in range(8)])
    assert_equals_judge(networks[name], inputs, "random input of seed = its index")


@pytest.mark.parametrize("name", MACS)
@pytest.mark.parametrize("value", [-128, 0, 127])
def test_constant_inputs(networks, name, value):
    network = networks[name]
    tensor = network.tensors[network.inputs[0]]
    assert_equals_judge(network, np.full(tensor.shape, value, tensor.dtype), f"all {value}")


def test_images(resnet8, images):
    assert_equals_judge(resnet8, images, "image of the fixture `images`")


def test_sample_images_are_mostly_classified(resnet8):
    """Seven of the eight images; the network takes the airplane for a ship."""
    samples = zoo.sample_inputs("resnet8")
    scores = golden.run(resnet8, samples)[resnet8.outputs[0]]
    labels = [CLASSES.index(name) for name, _ in sample_images()]
    assert len(labels) == len(set(labels)) == 8
    assert (scores.argmax(axis=1) == labels).sum() == 7


@pytest.mark.parametrize("name", MACS)
def test_macs(networks, name):
    assert networks[name].macs == MACS[name]


@pytest.mark.parametrize("name", MACS)
def test_batch_equals_single_runs(networks, name):
    """With a batch that is no multiple of what is worked on at a time."""
    network = networks[name]
    inputs = np.concatenate([random_input(network, seed) for seed in range(7)])
    together = golden.run(network, inputs)
    for index in range(len(inputs)):
        alone = golden.run(network, inputs[index : index + 1])
        for tensor, array in alone.items():
            np.testing.assert_array_equal(together[tensor][index : index + 1], array, err_msg=tensor)


def test_kept_layers_only(resnet8):
    inputs = random_input(resnet8, 0)
    everything = golden.run(resnet8, inputs)
    kept = golden.run(resnet8, inputs, layers=["conv_2d_4", "add_3"])
    assert set(kept) == {resnet8.layer(name).output for name in ("conv_2d_4", "add_3")}
    for name, array in kept.items():
        np.testing.assert_array_equal(array, everything[name])


def test_single_layer(resnet8):
    everything = golden.run(resnet8, random_input(resnet8, 0))
    for layer in resnet8.layers:
        got = golden.run_layer(resnet8, layer, {name: everything[name] for name in layer.inputs})
        np.testing.assert_array_equal(got, everything[layer.output], err_msg=layer.name)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.zeros((1, 32, 32, 3)), r"is float64\[1, 32, 32, 3\], but must be int8\['N', 32, 32, 3\]"),
        (np.zeros((1, 32, 31, 3), np.int8), r"int8\[1, 32, 31, 3\]"),
        (np.zeros((0, 32, 32, 3), np.int8), "batch of 1 or more"),
        ({"x": np.zeros((1, 32, 32, 3), np.int8)}, "it reads"),
    ],
)
def test_wrong_inputs_are_refused(resnet8, inputs, message):
    with pytest.raises(NetworkError, match=message):
        golden.run(resnet8, inputs)
