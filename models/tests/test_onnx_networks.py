"""Whole CNNs as ONNX Runtime's quantiser writes them, layer by layer against ONNX Runtime."""

import numpy as np
import onnx
import pytest
from onnxruntime.quantization import QuantType

from models import golden
from models.importers import onnx as importer
from models.layers import AveragePool2D, WeightedLayer
from models.tests.onnx_judge import Differences, as_stored, compare, run_judge
from models.tests.onnx_networks import INPUT, NETWORKS, SHAPE, quantised

LARGEST_SHARE = 0.001
IMAGES = np.random.default_rng(7).normal(size=(8, *SHAPE)).astype(np.float32)


def halfway(layer: AveragePool2D, network, values: np.ndarray) -> np.ndarray:
    """Which averages of unpadded, unscaled windows lie halfway between two integers."""
    windows = np.lib.stride_tricks.sliding_window_view(values.astype(int), layer.kernel, (1, 2))
    total = windows[:, :: layer.stride[0], :: layer.stride[1]].sum(axis=(-1, -2))
    return np.asarray(2 * total % (2 * np.prod(layer.kernel)) == np.prod(layer.kernel))


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("activations", [QuantType.QUInt8, QuantType.QInt8])
@pytest.mark.parametrize("qdq", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_layers_equal_onnx_runtime(name, qdq, activations, per_channel, tmp_path):
    path = quantised(name, 1, qdq, activations, per_channel, tmp_path)
    network = importer.load(path)
    judged = run_judge(onnx.load(path), {INPUT: IMAGES})
    differences = Differences()
    layers = {layer.output: layer for layer in network.layers}
    values = {tensor: as_stored(network.tensors[tensor], judged[tensor]) for tensor in layers if tensor in judged}
    # Averages that keep the scale: what float32 leaves of a half decides in ONNX Runtime. Nothing else may differ.
    averages = [layer for layer in network.layers if isinstance(layer, AveragePool2D)]
    for layer in averages:
        source = values[layer.inputs[0]]
        differs = golden.run_layer(network, layer, {layer.inputs[0]: source}) != values[layer.output]
        assert not differs[~halfway(layer, network, source)].any(), f"{name}, layer {layer.name}"
    compare(network, judged, differences, f"{name}, qdq {qdq}")
    for op in differences.elements:
        if not (op == "average_pool_2d" and averages):
            assert differences.share(op) <= LARGEST_SHARE, f"{name}: {op} {differences}"


@pytest.mark.parametrize("qdq", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_outputs_of_the_whole_network(name, qdq, tmp_path):
    """From the same images to the same scores: a difference of 1 LSB in one layer may reach the output."""
    path = quantised(name, 2, qdq, QuantType.QUInt8, True, tmp_path)
    network = importer.load(path)
    expected = run_judge(onnx.load(path), {INPUT: IMAGES})[network.outputs[0]]
    got = golden.run(network, np.ascontiguousarray(IMAGES.transpose(0, 2, 3, 1)))[network.outputs[0]]
    step = network.tensors[network.layers[-1].inputs[0]].scale
    assert abs(got - expected).max() <= 4 * step
    assert (got.argmax(axis=1) == expected.argmax(axis=1)).all()


@pytest.mark.parametrize("qdq", [False, True])
def test_pruned_weights_stay_zeros(qdq, tmp_path):
    path = quantised("residual", 3, qdq, QuantType.QUInt8, True, tmp_path)
    weights = [
        onnx.numpy_helper.to_array(constant)
        for constant in onnx.load(path).graph.initializer
        if constant.data_type == onnx.TensorProto.INT8 and len(constant.dims) > 1
    ]
    zeros = sorted(int((values == 0).sum()) for values in weights)
    layers = [layer for layer in importer.load(path).layers if isinstance(layer, WeightedLayer)]
    assert {layer.op for layer in layers} == {"conv_2d", "fully_connected"} and len(layers) == len(weights)
    assert sorted(int((layer.weights == 0).sum()) for layer in layers) == zeros and min(zeros) > 0
