"""The pruned networks that ship: how sparse and how level they are, and that ONNX Runtime agrees."""

import numpy as np
import onnx
import pytest

from models import golden, zoo
from models.inputs import random_input
from models.layers import Conv2D, FullyConnected
from models.sparsity.balance import entries, prunable
from models.sparsity.partitions import nonzeros_by_kernel
from models.sparsity.pruning import quota
from models.tests.onnx_judge import Differences, compare, run_judge
from models.zoo import cifar10, mnist
from models.zoo.samples import sample_images

DENSITIES = {
    "lenet5_pruned30": 0.3,
    "lenet5_pruned10": 0.1,
    "resnet8_pruned50": 0.5,
    "resnet8_pruned35": 0.35,
    "resnet8_pruned25": 0.25,
}
DENSE = {"lenet5"}
TILE, LANES = 16, 16
LARGEST_SHARE = 0.001
LARGEST_FILE = 150_000
# Of eight things and ten digits, one may be wrong: a ship-like airplane, a five that is hard to read.
MOSTLY = {"resnet8": 7, "lenet5": 9}


@pytest.mark.parametrize("name", DENSITIES)
def test_every_kernel_and_tile_has_exactly_its_quota(name):
    network = zoo.load(name)
    pruned = 0
    for layer in prunable(network):
        if isinstance(layer, FullyConnected) and name.startswith("resnet8"):
            assert (layer.weights != 0).mean() > 0.9, layer.name  # the classifier is left dense
            continue
        pruned += 1
        read = entries(layer, layer.weights, LANES)
        tile = TILE if isinstance(layer, Conv2D) else None
        counts, sizes = nonzeros_by_kernel(read, tile), nonzeros_by_kernel(np.ones_like(read), tile)
        expected = [[quota(int(size), DENSITIES[name]) for size in row] for row in sizes]
        assert counts.tolist() == expected, layer.name
    assert pruned == (9 if name.startswith("resnet8") else 5)


@pytest.mark.parametrize("name", DENSITIES)
def test_lanes_share_the_pattern_of_fully_connected_layers(name):
    for layer in prunable(zoo.load(name)):
        if isinstance(layer, FullyConnected) and name.startswith("lenet5"):
            for first in range(0, len(layer.weights), LANES):
                block = layer.weights[first : first + LANES] != 0
                assert (block == block[0]).all(), layer.name


@pytest.mark.parametrize("name", [*DENSITIES, *DENSE])
def test_onnx_runtime_agrees(name):
    """Layer by layer on its own inputs: at most 1 LSB on at most 0.1 % of the elements."""
    network = zoo.load(name)
    images = np.concatenate([zoo.sample_inputs(name), *(random_input(network, seed) for seed in range(4))])
    model = onnx.load(zoo.fetch(name))
    judged = run_judge(model, {network.inputs[0]: np.ascontiguousarray(images.transpose(0, 3, 1, 2))})
    differences = Differences()
    compare(network, judged, differences, name)
    assert {"conv_2d", "fully_connected"} <= differences.elements.keys()
    for op in differences.elements:
        assert differences.share(op) <= LARGEST_SHARE, f"{name}: {op} {differences}"


@pytest.mark.parametrize("name", [*DENSITIES, *DENSE])
def test_the_images_that_ship_are_classified(name):
    network = zoo.load(name)
    folder, classes = ("images", cifar10.CLASSES) if name.startswith("resnet8") else ("digits", mnist.CLASSES)
    labels = [classes.index(label) for label, _ in sample_images(folder)]
    scores = golden.run(network, zoo.sample_inputs(name))[network.outputs[0]]
    assert (scores.argmax(axis=1) == labels).sum() >= MOSTLY[name.split("_")[0]]


@pytest.mark.parametrize("name", zoo.shipped.names())
def test_files_are_small_and_standard(name):
    path = zoo.fetch(name)
    assert path.stat().st_size < LARGEST_FILE
    onnx.checker.check_model(onnx.load(path), full_check=True)
