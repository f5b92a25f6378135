"""Counts of zeros against loops that follow their definition."""

import numpy as np
import pytest

from models import golden
from models.importers import tflite
from models.layers import Conv2D, DepthwiseConv2D
from models.statistics import gather, weighted_share
from models.tests.single_operators import build
from models.tests.test_operators import random_inputs


def count_useful(layer: Conv2D | DepthwiseConv2D, x: np.ndarray, output: tuple[int, ...]) -> int:
    """Multiply-accumulates whose activation is inside the input and not the zero point, one by one."""
    count = 0
    channels = x.shape[3]
    per_channel = output[3] // (layer.groups if isinstance(layer, Conv2D) else channels)
    for image in x:
        for row, column, ky, kx in np.ndindex(*output[1:3], *layer.kernel):
            y = row * layer.stride[0] + ky * layer.dilation[0] - layer.padding[0][0]
            z = column * layer.stride[1] + kx * layer.dilation[1] - layer.padding[1][0]
            if 0 <= y < x.shape[1] and 0 <= z < x.shape[2]:
                count += int((image[y, z] != layer.input_zero_point).sum()) * per_channel
    return count


@pytest.mark.parametrize("operator", ["conv_2d", "depthwise_conv_2d"])
@pytest.mark.parametrize("seed", range(6))
def test_useful_macs(tmp_path, operator, seed):
    path = tmp_path / "single.tflite"
    path.write_bytes(build(operator, seed))
    network = tflite.load(path)
    (layer,) = network.layers
    assert isinstance(layer, Conv2D | DepthwiseConv2D)
    rng = np.random.default_rng(seed)
    inputs = random_inputs(network, rng)
    inputs["x"][rng.random(inputs["x"].shape) < 0.5] = layer.input_zero_point
    (row,) = gather(network, golden.run(network, inputs))
    useful = count_useful(layer, inputs["x"], row.output_shape)
    assert row.skippable_macs == pytest.approx(1 - useful / (row.macs * len(inputs["x"])))
    assert row.zero_activations == pytest.approx((inputs["x"] == layer.input_zero_point).mean())
    assert row.zero_weights == pytest.approx((layer.weights == 0).mean())
    assert (row.kernel, row.stride) == (layer.kernel, layer.stride)


def test_without_an_input(resnet8):
    rows = gather(resnet8)
    assert [row.name for row in rows] == [layer.name for layer in resnet8.layers]
    assert sum(row.macs for row in rows) == resnet8.macs
    assert all(row.zero_activations is None and row.skippable_macs is None for row in rows)
    assert {row.op for row in rows if row.zero_weights is not None} == {"conv_2d", "fully_connected"}


def test_weighted_share():
    assert weighted_share([(0.5, 1), (1.0, 3), (None, 100)]) == pytest.approx(0.875)
    assert weighted_share([(None, 5)]) is None
    assert weighted_share([(0.5, 0)]) is None
