"""Ways in which networks are written: what is folded, moved or fused on the way in, against ONNX Runtime."""

import numpy as np
import onnx
import pytest

from models import golden
from models.importers import onnx as importer
from models.layers import Dequantize, FullyConnected
from models.network import Network
from models.tests.onnx_judge import as_stored, run_judge
from models.training.onnx_writer import GraphWriter

MICROSOFT = "com.microsoft"
# Elements that lie in the wrong place differ by tens. Biases of real numbers move single ones of a layer by 1.
LARGEST_DIFFERENCE = 2.001


class QdqWriter(GraphWriter):
    """Quantised layers in QDQ form; every activation is uint8, by default of one quantisation."""

    scale_of, zero_of = 0.0517, 100

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.rng = np.random.default_rng(seed)

    def quantised(self, real: str, scale: float = scale_of, zero: int = zero_of) -> str:
        """QuantizeLinear and DequantizeLinear."""
        return self.dequantise(self.quantise(real, scale, zero, np.uint8), scale, zero, np.uint8)

    def image(self, *shape: int) -> str:
        return self.quantised(self.input("x", ["N", *shape]))

    def weights(self, *shape: int) -> str:
        values = self.rng.integers(-127, 128, shape).astype(np.int8)
        outputs_last = len(shape) == 2 and shape[0] > shape[1]
        fan_in = shape[0] if outputs_last else int(np.prod(shape[1:]))
        return self.dequantise(self.constant(values), 0.0113 / np.sqrt(fan_in), 0, np.int8)

    def bias(self, outputs: int) -> str:
        return self.constant(self.rng.normal(size=outputs), np.float32)

    def conv(self, real: str, inputs: int, outputs: int, **attributes) -> str:
        inputs_of_node = [real, self.weights(outputs, inputs, 3, 3), self.bias(outputs)]
        return self.node("Conv", inputs_of_node, pads=[1, 1, 1, 1], **attributes)

    def gemm(self, real: str, depth: int, outputs: int) -> str:
        return self.node("Gemm", [real, self.weights(outputs, depth), self.bias(outputs)], transB=1)


def read(tmp_path, model: onnx.ModelProto) -> Network:
    path = tmp_path / "file.onnx"
    path.write_bytes(model.SerializeToString())
    return importer.load(path)


def check(tmp_path, model: onnx.ModelProto, ops: list[str], seed: int = 0) -> Network:
    """The network has the layers ``ops``, and its outputs are the judge's."""
    network = read(tmp_path, model)
    assert [layer.op for layer in network.layers] == ops
    (info,) = model.graph.input
    shape = [4, *(dim.dim_value for dim in info.type.tensor_type.shape.dim[1:])]
    x = np.random.default_rng(seed).normal(size=shape).astype(np.float32) * 4
    judged = run_judge(model, {"x": x})
    stored = x if network.tensors["x"].shape[1:] == x.shape[1:] else np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    got = golden.run(network, stored)
    written = {layer.output: layer for layer in network.layers if isinstance(layer, Dequantize)}
    for name in network.outputs:
        tensor = network.tensors[name]
        expected = judged[name]
        if tensor.dtype == np.int8 or expected.shape[1:] != tensor.shape[1:]:
            expected = as_stored(tensor, expected)
        step = 1 if tensor.dtype == np.int8 else written[name].scale
        difference = abs(got[name].astype(float) - expected) / step
        assert difference.max() <= LARGEST_DIFFERENCE, f"output {name!r}, seed {seed}"
        assert len(np.unique(got[name])) > 5, "an output that says nothing"
    return network


def test_flattened_map_permutes_the_weights(tmp_path):
    w = QdqWriter(0)
    x = w.quantised(w.conv(w.image(3, 4, 5), 3, 6))
    flat = w.node("Flatten", [x])
    network = check(tmp_path, w.model(w.quantised(w.gemm(flat, 6 * 4 * 5, 7))), [
        "quantize", "conv_2d", "reshape", "fully_connected", "dequantize",
    ])  # fmt: skip
    assert network.layers[2].infer_shape((1, 4, 5, 6)) == (1, 120)


def test_one_pixel_is_not_permuted(tmp_path):
    w = QdqWriter(1)
    x = w.quantised(w.node("GlobalAveragePool", [w.image(12, 3, 3)]), 0.02)
    network = check(
        tmp_path,
        w.model(w.quantised(w.gemm(w.node("Reshape", [x, w.constant([0, -1], np.int64)]), 12, 6))),
        ["quantize", "average_pool_2d", "reshape", "fully_connected", "dequantize"],
    )
    layer = network.layers[3]
    values = next(c for c in w.constants if list(c.dims) == [6, 12])
    assert isinstance(layer, FullyConnected)
    np.testing.assert_array_equal(layer.weights, onnx.numpy_helper.to_array(values))


def test_branches_flattened_and_joined(tmp_path):
    w = QdqWriter(2)
    image = w.image(2, 4, 4)
    branches = [w.node("Flatten", [w.quantised(w.conv(image, 2, n))]) for n in (3, 5)]
    joined = w.quantised(w.node("Concat", branches, axis=1))
    check(tmp_path, w.model(w.quantised(w.gemm(joined, 8 * 16, 6))), [
        "quantize", "conv_2d", "reshape", "conv_2d", "reshape", "concatenation", "fully_connected", "dequantize",
    ])  # fmt: skip


def test_only_inputs_are_quantised(tmp_path):
    """As TensorRT's tools write it: rectifier, pooling and flattening between a convolution and QuantizeLinear."""
    w = QdqWriter(3)
    x = w.node("Relu", [w.conv(w.image(3, 8, 8), 3, 4)])
    x = w.quantised(w.node("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2]), 0.03, 0)
    x = w.quantised(w.node("Flatten", [w.node("Relu", [w.conv(x, 4, 4)])]), 0.03, 0)
    check(tmp_path, w.model(w.quantised(w.gemm(x, 64, 5))), [
        "quantize", "conv_2d", "max_pool_2d", "conv_2d", "reshape", "fully_connected", "dequantize",
    ])  # fmt: skip


def test_rectifier_of_unchanged_scale_becomes_a_clamp(tmp_path):
    w = QdqWriter(4)
    x = w.quantised(w.node("Relu", [w.quantised(w.conv(w.image(3, 5, 5), 3, 4))]))
    network = check(tmp_path, w.model(x), ["quantize", "conv_2d", "dequantize"])
    layer = network.layers[1]
    assert layer.activation == (QdqWriter.zero_of - 128, 127)  # type: ignore[attr-defined]


def test_rectifier_stays_if_something_else_reads_its_input(tmp_path):
    w = QdqWriter(5)
    before = w.quantised(w.conv(w.image(3, 5, 5), 3, 4))
    x = w.quantised(w.node("Relu", [before]))
    check(tmp_path, w.model(w.quantised(w.node("Add", [before, x]))), [
        "quantize", "conv_2d", "relu", "add", "dequantize",
    ])  # fmt: skip
    check(tmp_path, w.model(x, before), ["quantize", "conv_2d", "relu", "add", "dequantize", "dequantize"])


def test_constants_as_nodes(tmp_path):
    """Scales and zero points too, as PyTorch's exporter writes them."""
    w = QdqWriter(17)
    model = w.model(w.quantised(w.conv(w.image(3, 4, 5), 3, 6)))
    for constant in reversed(model.graph.initializer):
        model.graph.node.insert(0, onnx.helper.make_node("Constant", [], [constant.name], value=constant))
    del model.graph.initializer[:]
    check(tmp_path, model, ["quantize", "conv_2d", "dequantize"])


def test_input_moved_before_it_is_quantised(tmp_path):
    w = QdqWriter(18)
    flat = w.node("Flatten", [w.input("x", ["N", 3, 4, 5])])
    product = w.gemm(w.quantised(flat), 60, 9)
    check(tmp_path, w.model(w.quantised(product)), ["reshape", "quantize", "fully_connected", "dequantize"])
    w = QdqWriter(19)
    image = w.node("Reshape", [w.input("x", ["N", 30]), w.constant([-1, 1, 5, 6], np.int64)])
    x = w.quantised(w.conv(w.quantised(image), 1, 4))
    check(tmp_path, w.model(x), ["reshape", "quantize", "conv_2d", "dequantize"])


def test_clips_in_a_row(tmp_path):
    w = QdqWriter(15)
    x = w.conv(w.image(3, 5, 6), 3, 4)
    for low, high in ((-3.0, 2.0), (-1.0, 4.0), (None, 1.0)):
        bounds = ["" if bound is None else w.constant(bound, np.float32) for bound in (low, high)]
        x = w.node("Clip", [x, *bounds])
    network = check(tmp_path, w.model(w.quantised(x)), ["quantize", "conv_2d", "dequantize"])
    zero = QdqWriter.zero_of - 128
    steps = [round(bound / QdqWriter.scale_of) for bound in (-1, 1)]
    assert network.layers[1].activation == (zero + steps[0], zero + steps[1])  # type: ignore[attr-defined]


def test_bias_of_another_scale(tmp_path):
    """It is brought to the accumulator's."""
    w = QdqWriter(16)
    values = w.rng.integers(-500, 500, 9, dtype=np.int32)
    bias = w.dequantise(w.constant(values), 0.0049, 0, np.int32)
    product = w.node("Gemm", [w.image(20), w.weights(9, 20), bias], transB=1)
    network = check(tmp_path, w.model(w.quantised(product)), ["quantize", "fully_connected", "dequantize"])
    layer = network.layers[1]
    step = np.float32(QdqWriter.scale_of) * np.float32(0.0113 / np.sqrt(20))
    assert isinstance(layer, FullyConnected)
    np.testing.assert_array_equal(layer.bias, np.rint(values * 0.0049 / step))


def test_halves_of_the_input_round_to_even(tmp_path):
    w = GraphWriter()
    model = w.model(w.quantise(w.input("x", ["N", 41]), 0.5, 3, np.int8))
    values = np.arange(-20, 21, dtype=np.float32)[np.newaxis] / 4
    network = read(tmp_path, model)
    (expected,) = (run_judge(model, {"x": values})[name] for name in network.outputs)
    np.testing.assert_array_equal(golden.run(network, values)[network.outputs[0]], expected)


def test_channels_last_input(tmp_path):
    """As TensorFlow's exporter writes it: transposed at the input and before the classifier."""
    w = QdqWriter(6)
    real = w.quantised(w.input("x", ["N", 6, 5, 3]))
    x = w.quantised(w.conv(w.node("Transpose", [real], perm=[0, 3, 1, 2]), 3, 4))
    back = w.node("Transpose", [x], perm=[0, 2, 3, 1])
    flat = w.node("Reshape", [back, w.constant([-1, 120], np.int64)])
    network = check(tmp_path, w.model(w.quantised(w.gemm(flat, 120, 5)), back), [
        "quantize", "conv_2d", "reshape", "fully_connected", "dequantize", "dequantize",
    ])  # fmt: skip
    assert network.tensors["x"].shape == (1, 6, 5, 3)


def test_shape_arithmetic_is_folded(tmp_path):
    w = QdqWriter(7)
    x = w.quantised(w.conv(w.image(3, 4, 4), 3, 4))
    first = w.node("Gather", [w.node("Shape", [x], end=2), w.constant(0, np.int64)], axis=0)
    first = w.node("Unsqueeze", [first, w.constant([0], np.int64)])
    target = w.node("Concat", [first, w.constant([-1], np.int64)], axis=0)
    target = w.node("Cast", [target], to=onnx.TensorProto.INT64)
    flat = w.node("Reshape", [x, target])
    check(tmp_path, w.model(w.quantised(w.gemm(flat, 64, 5))), [
        "quantize", "conv_2d", "reshape", "fully_connected", "dequantize",
    ])  # fmt: skip


def test_bias_added_to_a_product(tmp_path):
    w = QdqWriter(8)
    product = w.node("MatMul", [w.image(6, 20), w.weights(20, 9)])
    check(tmp_path, w.model(w.quantised(w.node("Add", [product, w.bias(9)]))), [
        "quantize", "fully_connected", "dequantize",
    ])  # fmt: skip


def test_weights_transposed_in_the_graph(tmp_path):
    w = QdqWriter(9)
    weights = w.node("Transpose", [w.weights(9, 20)], perm=[1, 0])
    product = w.node("MatMul", [w.image(20), weights])
    check(tmp_path, w.model(w.quantised(product)), ["quantize", "fully_connected", "dequantize"])


def test_weights_quantised_in_the_graph(tmp_path):
    w = QdqWriter(10)
    values = w.constant(w.rng.normal(size=(9, 20)), np.float32)
    scales, zeros = np.full(9, 0.02), np.zeros(9, np.int8)
    integers = w.node("QuantizeLinear", [values, w.scale(list(scales)), w.constant(zeros)], axis=0)
    weights = w.dequantise(integers, scales, zeros, np.int8, axis=0)
    product = w.node("Gemm", [w.image(20), weights], transB=1)
    check(tmp_path, w.model(w.quantised(product)), ["quantize", "fully_connected", "dequantize"])


def test_constant_nodes_and_dropout(tmp_path):
    w = QdqWriter(11)
    x = w.node("Dropout", [w.quantised(w.conv(w.image(3, 4, 4), 3, 4))])
    shape = w.node("Constant", [], value_ints=[0, 64])
    flat = w.node("Reshape", [w.node("Identity", [x]), shape])
    check(tmp_path, w.model(w.quantised(w.gemm(flat, 64, 5))), [
        "quantize", "conv_2d", "reshape", "fully_connected", "dequantize",
    ])  # fmt: skip


def test_squeezed_map(tmp_path):
    w = QdqWriter(12)
    x = w.quantised(w.node("GlobalAveragePool", [w.image(9, 4, 4)]), 0.02)
    flat = w.node("Squeeze", [x, w.constant([2, 3], np.int64)])
    back = w.node("Unsqueeze", [flat, w.constant([2, 3], np.int64)])
    check(tmp_path, w.model(flat, back), [
        "quantize", "average_pool_2d", "reshape", "reshape", "dequantize", "dequantize",
    ])  # fmt: skip


def test_one_output_quantised_twice(tmp_path):
    """The same quantisation is one layer; another is a layer of its own."""
    w = QdqWriter(13)
    real = w.conv(w.image(3, 4, 5), 3, 6)
    same, again, other = w.quantised(real), w.quantised(real), w.quantised(real, 0.1)
    network = check(tmp_path, w.model(same, again, other), [
        "quantize", "conv_2d", "conv_2d", "dequantize", "dequantize", "dequantize",
    ])  # fmt: skip
    assert len({layer.name for layer in network.layers}) == len(network.layers)


@pytest.mark.parametrize("opset", [10, 11, 12, 13, 18, 21, 25])
def test_operator_sets(tmp_path, opset):
    """Attributes that became inputs in later versions."""
    w = QdqWriter(14)
    w.opset = opset
    x = w.image(3, 6, 6)
    if opset < 11:
        x = w.node("Clip", [w.node("Pad", [x], pads=[0, 0, 1, 1, 0, 0, 1, 1])], min=-1.0, max=2.0)
    else:
        x = w.node("Pad", [x, w.constant([0, 0, 1, 1, 0, 0, 1, 1], np.int64)])
        x = w.node("Clip", [x, w.constant(-1, np.float32), w.constant(2, np.float32)])
    x = w.quantised(x, 0.02)
    if opset < 18:
        x = w.node("ReduceMean", [x], keepdims=0, axes=[2, 3])
    else:
        x = w.node("ReduceMean", [x, w.constant([2, 3], np.int64)], keepdims=0)
    check(tmp_path, w.model(w.quantised(w.node("Softmax", [w.quantised(x, 0.01)]), 1 / 256, 0)), [
        "quantize", "quantize", "pad", "clip", "average_pool_2d", "reshape", "softmax", "dequantize",
    ])  # fmt: skip


def test_integer_output_keeps_its_name(tmp_path):
    w = GraphWriter()
    x = w.input("x", ["N", 2, 3, 3], np.int8)
    y = w.node("QLinearAdd", [x, w.scale(0.1), w.constant(0, np.int8)] * 2 + [w.scale(0.15), w.constant(-3, np.int8)],
               MICROSOFT, output="y")  # fmt: skip
    flat = w.node("Flatten", [w.node("MaxPool", [y], kernel_shape=[3, 3])], output="scores")
    network = read(tmp_path, w.model(flat))
    assert network.outputs == ("scores",)
    assert network.tensors["x"].quantisation is not None and network.tensors["x"].scale == np.float32(0.1)
    assert network.tensors["scores"].scale == np.float32(0.15) and network.tensors["scores"].zero_point == -3
