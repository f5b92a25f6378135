"""What the importer reads from a file, and what it refuses: always by one line that names file, node and reason."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from models import golden
from models.importers import ImporterError, load
from models.importers import onnx as importer
from models.network import Conv2D, DepthwiseConv2D, FullyConnected, Rounding
from models.tests.onnx_operators import OPERATORS, build
from models.training.onnx_writer import GraphWriter

MICROSOFT = "com.microsoft"


def convolution(**changes: Any) -> onnx.ModelProto:
    """A 3x3 QLinearConv of 4 to 6 maps; `changes` replace parts of it."""
    w = GraphWriter(changes.get("opset", 17))
    x = w.input("x", changes.get("size", ["N", 4, 5, 7]), changes.get("dtype", np.uint8))
    weights = changes.get("weights", np.arange(6 * 4 * 9).reshape(6, 4, 3, 3).astype(np.int8))
    scales = changes.get("scales", np.full(6, 0.1))
    zeros = changes.get("zeros", np.zeros(np.shape(scales), np.asarray(weights).dtype))
    inputs = [
        *(x, w.constant(changes.get("scale", 0.5), np.float32), w.constant(changes.get("zero", 131), np.uint8)),
        *(w.constant(weights), w.constant(scales, np.float32), w.constant(zeros)),
        *(w.constant(changes.get("out_scale", 2.0), np.float32), w.constant(127, changes.get("out_dtype", np.uint8))),
        w.constant(changes.get("bias", np.arange(6, dtype=np.int32))),
    ]
    node = changes.get("inputs", inputs)
    attributes = {"pads": [1, 1, 1, 1]} | changes.get("attributes", {})
    w.node("QLinearConv", node[: changes.get("count", 9)], output="y", **attributes)
    return w.model(*changes.get("outputs", ["y"]))


def read(tmp_path, model: onnx.ModelProto | bytes):
    path = tmp_path / "file.onnx"
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    return importer.load(path)


def test_convolution_is_read(tmp_path):
    network = read(tmp_path, convolution())
    (layer,) = network.layers
    assert isinstance(layer, Conv2D)
    assert (network.name, layer.name, layer.inputs, layer.output) == ("file", "conv_2d_0", ("x",), "y")
    assert (layer.stride, layer.dilation, layer.padding, layer.groups) == ((1, 1), (1, 1), ((1, 1), (1, 1)), 1)
    assert network.tensors["x"].shape == (1, 5, 7, 4) and network.tensors["y"].shape == (1, 5, 7, 6)
    # uint8 with zero point z is int8 with z - 128.
    assert (layer.input_zero_point, layer.output_zero_point, layer.activation) == (3, -1, (-128, 127))
    assert network.tensors["x"].zero_point == 3 and network.tensors["y"].scale == 2.0
    assert layer.weights[2, 1, 0, 3] == np.int8(2 * 36 + 3 * 9 + 1 * 3 + 0)  # [o, y, x, i] of [o, i, y, x]
    assert layer.bias.tolist() == list(range(6))
    assert layer.requantisation.rounding is Rounding.SINGLE
    factor = layer.requantisation.multiplier * 2.0 ** (layer.requantisation.shift - 31)
    np.testing.assert_allclose(factor, np.float32(0.5) * np.float32(0.1) / np.float32(2), rtol=2**-31)
    assert layer.macs(network) == 5 * 7 * 6 * 3 * 3 * 4


def test_left_out_bias_is_zeros(tmp_path):
    (layer,) = read(tmp_path, convolution(count=8)).layers
    assert isinstance(layer, Conv2D) and layer.bias.tolist() == [0] * 6


def test_unsigned_weights_of_zero_point_128(tmp_path):
    values = np.arange(6 * 4 * 9).reshape(6, 4, 3, 3).astype(np.uint8)
    (layer,) = read(tmp_path, convolution(weights=values, zeros=np.full(6, 128, np.uint8))).layers
    assert isinstance(layer, Conv2D) and layer.weights[0, 0, 0, 0] == -128
    np.testing.assert_array_equal(layer.weights.transpose(0, 3, 1, 2) == 0, values == 128)


def test_depthwise_convolution(tmp_path):
    weights = np.arange(8 * 9).reshape(8, 1, 3, 3).astype(np.int8)
    model = convolution(weights=weights, scales=0.1, bias=np.zeros(8, np.int32), attributes={"group": 4})
    (layer,) = read(tmp_path, model).layers
    assert isinstance(layer, DepthwiseConv2D) and layer.depth_multiplier == 2
    np.testing.assert_array_equal(layer.weights[0].transpose(2, 0, 1), weights[:, 0])


def test_load_by_suffix(tmp_path):
    (tmp_path / "network.ONNX").write_bytes(convolution().SerializeToString())
    assert load(tmp_path / "network.ONNX").name == "network"


def qdq(build: Callable[[GraphWriter, str], str], *, size: list[Any] | None = None) -> onnx.ModelProto:
    """A graph between conversions: `build` takes the real input and gives the output."""
    w = GraphWriter()
    x = w.quantise(w.input("x", size or ["N", 4, 6, 6]), 0.1, 0, np.int8)
    return w.model(build(w, w.dequantise(x, 0.1, 0, np.int8)))


def quantised(w: GraphWriter, real: str) -> str:
    return w.quantise(real, 0.1, 0, np.int8)


def weighted(op: str, shape: list[int], **attributes: Any) -> Callable[[GraphWriter, str], str]:
    def build(w: GraphWriter, x: str) -> str:
        weights = w.dequantise(w.constant(np.ones(shape, np.int8)), 0.1, 0, np.int8)
        return quantised(w, w.node(op, [x, weights], **attributes))

    return build


def single(op: str, *constants: Any, **attributes: Any) -> Callable[[GraphWriter, str], str]:
    def build(w: GraphWriter, x: str) -> str:
        return quantised(w, w.node(op, [x, *map(w.constant, constants)], **attributes))

    return build


def int64(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


REFUSED = {
    "16-bit activations": (convolution(dtype=np.int16), "input 'x' is INT16; only FLOAT, INT8 and UINT8"),
    "open height": (convolution(size=["N", 4, "h", 5]), r"'x' has shape \[N, 4, h, 5\]; only the first dimension"),
    "batch of two": (convolution(size=[2, 4, 5, 5]), "first dimension must be 1"),
    "empty input": (convolution(size=["N", 4, 0, 5]), "none empty"),
    "input without dimensions": (convolution(size=[]), "first dimension must be 1"),
    "operator set too old": (convolution(opset=9), "operator set 9 is not supported; 10 to"),
    "operator set too new": (convolution(opset=99), "operator set 99 is not supported"),
    "asymmetric weights": (convolution(zeros=np.ones(6, np.int8)), "are asymmetric: the zero point must be 0"),
    "asymmetric unsigned weights": (convolution(weights=np.ones((6, 4, 3, 3), np.uint8)), "asymmetric"),
    "real weights": (convolution(weights=np.ones((6, 4, 3, 3), np.float32), zeros=0), "not int8 or uint8"),
    "scales of another number": (convolution(scales=np.ones(5)), "5 scales on dimension 0; 6 on dimension 0"),
    "negative scale": (convolution(out_scale=-1.0), "not a positive, finite number"),
    "scale that is not a number": (convolution(out_scale=float("nan")), "not a positive, finite number"),
    "scale out of range": (convolution(out_scale=1e-12), "above 2\\^30"),
    "several scales of an activation": (convolution(scale=[0.5, 0.5]), "only weights may have more than one"),
    "other type of zero point": (convolution(dtype=np.int8), "zero point is UINT8 for values of type INT8"),
    "16-bit output": (convolution(out_dtype=np.int16), "activations of type INT16 are not supported"),
    "bias of another length": (convolution(bias=np.zeros(5, np.int32)), r"bias of shape \[5\] for 6 outputs"),
    "bias of real numbers": (convolution(bias=np.zeros(6, np.float32)), "not of int32"),
    "channels that do not fit": (convolution(weights=np.ones((6, 3, 3, 3), np.int8)), "do not fit 4 channels"),
    "one-dimensional window": (convolution(weights=np.ones((6, 4, 3), np.int8)), "only two-dimensional"),
    "window that does not fit": (convolution(size=["N", 4, 2, 2], attributes={"pads": [0] * 4}), "does not fit"),
    "stride of zero": (convolution(attributes={"strides": [0, 1]}), "stride and dilation must be 1"),
    "negative padding": (convolution(attributes={"pads": [-1, 0, 0, 0]}), "padding 0 or more"),
    "padding beyond reason": (convolution(attributes={"pads": [1 << 40, 0, 0, 0]}), "padding of 1099511627776"),
    "window beyond reason": (
        convolution(attributes={"dilations": [1 << 20, 1], "auto_pad": "SAME_UPPER"}),
        "reaches over 2097153 elements",
    ),
    "unknown auto_pad": (convolution(attributes={"auto_pad": "SOME"}), "auto_pad 'SOME' is not supported"),
    "attribute of another type": (convolution(attributes={"group": 1.5}), "attribute group is not of type int"),
    "kernel of another shape": (convolution(attributes={"kernel_shape": [1, 1]}), "kernel_shape"),
    "input of two dimensions": (convolution(size=["N", 4]), "feature map has 4 dimensions"),
    "unknown value": (convolution(inputs=["no"] * 9), "its input 'no' has no value yet"),
    "too few inputs": (convolution(count=5), "has 5 inputs; expected 8 or 9"),
    "unknown output": (convolution(outputs=["z"]), "output 'z' is not written"),
    "no output": (convolution(outputs=[]), "needs an input, a layer and an output"),
    "weights computed at run time": (qdq(lambda w, x: w.node("Conv", [x, x])), "must be a constant"),
    "unquantised operator": (qdq(lambda w, x: w.node("Relu", [x], output="y")), "output 'y' is not quantised"),
    "unsupported operator": (qdq(single("Sigmoid")), "operator Sigmoid is not supported"),
    "operator to fold first": (
        qdq(single("BatchNormalization", *[np.ones(4, np.float32)] * 4)), "fold it into the convolution",
    ),
    "real weights in QDQ": (qdq(single("Conv", np.ones((2, 4, 1, 1), np.float32))), "weights .* are real numbers"),
    "sum of what is not rounded": (
        qdq(lambda w, x: quantised(w, w.node("Add", [w.node("AveragePool", [x], kernel_shape=[1, 1]), x]))),
        "'averagepool_\\d+' is not quantised",
    ),
    "real constant operand": (qdq(single("Add", np.ones((4, 1, 1), np.float32))), "constant .* is not quantised"),
    "transposed sum": (
        qdq(lambda w, x: quantised(w, w.node("Add", [x, w.node("Transpose", [x], perm=[0, 1, 3, 2])]))),
        "would have to be transposed in memory",
    ),
    "convolution of a transposed map": (
        qdq(lambda w, x: weighted("Conv", [2, 4, 1, 1])(w, w.node("Transpose", [x], perm=[0, 1, 3, 2]))),
        "would have to be transposed in memory",
    ),
    "product of a map's rows": (qdq(weighted("MatMul", [6, 3])), r"input of shape \[1, 4, 6, 6\] times weights"),
    "scaled product": (
        qdq(weighted("Gemm", [6, 3], alpha=0.5), size=["N", 6]), "alpha or beta other than 1, are not supported",
    ),
    "shape that does not fit": (qdq(single("Reshape", int64(1, 7))), r"\[1, 4, 6, 6\] cannot become \[1, 7\]"),
    "batch moved": (qdq(single("Transpose", perm=[1, 0, 2, 3])), "first dimension must be 1, the batch"),
    "dilated pooling": (qdq(single("MaxPool", kernel_shape=[2, 2], dilations=[2, 2])), "dilations"),
    "window in the padding": (
        qdq(single("AveragePool", kernel_shape=[2, 2], pads=[0, 2, 0, 0])), "padding .* reaches a whole window",
    ),
    "mean over channels": (qdq(single("ReduceMean", axes=[1])), r"mean over dimensions \[1\]"),
    "softmax over rows": (qdq(single("Softmax", axis=2)), "over the channels it is"),
    "reflected padding": (qdq(single("Pad", int64(0, 0, 1, 1, 0, 0, 1, 1), mode="reflect")), "mode reflect"),
    "padding that is not a number": (
        qdq(single("Pad", int64(0, 0, 1, 0, 0, 0, 0, 0), np.float32("nan"))), "is not a number",
    ),
    "bound that is not a number": (qdq(single("Clip", np.float32("nan"))), "is not a number"),
    "bias of a column": (
        qdq(
            lambda w, x: quantised(w, w.node("Add", [
                w.node("MatMul", [x, w.dequantise(w.constant(np.ones((6, 5), np.int8)), 0.1, 0, np.int8)]),
                w.constant(np.ones((5, 1), np.float32)),
            ])),
            size=["N", 5, 6],
        ),
        r"bias of shape \[5, 1\] for 5 outputs",
    ),
    "cropping": (qdq(single("Pad", int64(0, 0, -1, 0, 0, 0, 0, 0))), "negative padding"),
    "joined batches": (qdq(lambda w, x: quantised(w, w.node("Concat", [x, x], axis=0))), "axis 0"),
    "wrong axis": (qdq(single("Flatten", axis=7)), "axis 7"),
    "arithmetic that fails": (
        qdq(lambda w, x: w.node("Reshape", [x, w.node("Gather", [w.constant(int64(1, 2)), w.constant(int64(9))])])),
        "Gather.*cannot be computed from its constants",
    ),
    "constant without a value": (qdq(lambda w, x: w.node("Constant", [])), "needs one attribute, the value"),
    "constant that is text": (qdq(lambda w, x: w.node("Constant", [], value_string="x")), "needs one attribute"),
    "empty file": (b"", "not an ONNX file"),
    "other file": (b"\x89PNG\r\n\x1a\n" * 9, "not an ONNX file"),
    "cut file": (convolution().SerializeToString()[:-40], "not an ONNX file"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_by_one_line(tmp_path, case):
    model, reason = REFUSED[case]
    with pytest.raises(ImporterError, match=reason) as caught:
        read(tmp_path, model)
    message = str(caught.value)
    assert message.startswith("file.onnx: ") and "\n" not in message


def test_message_names_the_node(tmp_path):
    with pytest.raises(
        ImporterError, match=r"^file\.onnx: node 'QLinearConv:y' \(QLinearConv\): weights '\w+' are asym"
    ):
        read(tmp_path, convolution(zeros=np.ones(6, np.int8)))
    model = convolution(zeros=np.ones(6, np.int8))
    model.graph.node[0].name = ""
    with pytest.raises(ImporterError, match=r"^file\.onnx: node 0 \(QLinearConv\): weights"):
        read(tmp_path, model)


def test_error_in_a_layer_that_waited_names_its_own_node(tmp_path):
    """The output's scale comes with QuantizeLinear, but it is the convolution that cannot have it."""

    def build(w: GraphWriter, x: str) -> str:
        weights = w.dequantise(w.constant(np.ones((2, 4, 1, 1), np.int8)), 0.1, 0, np.int8)
        return w.quantise(w.node("Conv", [x, weights], output="c"), 1e-14, 0, np.int8)

    with pytest.raises(ImporterError, match=r"node 'Conv:c' \(Conv\): the scaling factor"):
        read(tmp_path, qdq(build))


def test_another_scale_than_the_one_written(tmp_path):
    w = GraphWriter()
    x = w.quantise(w.input("x", ["N", 4, 3, 3]), 0.1, 7, np.uint8)
    pooled = w.node("MaxPool", [x], kernel_shape=[3, 3])
    with pytest.raises(ImporterError, match=r"reads 'maxpool_\d+' with scale 0.2 and zero point 9, .* 0.1 and 7"):
        read(tmp_path, w.model(w.dequantise(pooled, 0.2, 9, np.uint8)))


def test_integers_without_a_scale(tmp_path):
    w = GraphWriter()
    pooled = w.node("MaxPool", [w.input("x", ["N", 4, 3, 3], np.int8)], kernel_shape=[3, 3])
    with pytest.raises(ImporterError, match="input 'x': no node that reads it states its scale"):
        read(tmp_path, w.model(pooled))


def test_cycle_is_refused(tmp_path):
    w = GraphWriter()
    w.input("x", ["N", 4], np.int8)
    parameters = [w.scale(0.1), w.constant(0, np.int8)]
    for first, second in (("b", "a"), ("a", "b")):
        w.node("QLinearAdd", [first, *parameters, "x", *parameters, *parameters], MICROSOFT, output=second)
    with pytest.raises(ImporterError, match=r"node 'QLinearAdd:a' \(QLinearAdd\): its input 'b' has no value yet"):
        read(tmp_path, w.model("b"))


def test_value_written_twice(tmp_path):
    model = convolution()
    model.graph.node.append(model.graph.node[0])
    with pytest.raises(ImporterError, match="its output 'y' already has a value"):
        read(tmp_path, model)


def test_constants_in_another_file(tmp_path):
    model = convolution()
    expected = read(tmp_path, model)
    onnx.save(model, tmp_path / "big.onnx", save_as_external_data=True, location="big.data", size_threshold=0)
    (layer,), (same,) = importer.load(tmp_path / "big.onnx").layers, expected.layers
    assert isinstance(layer, Conv2D) and isinstance(same, Conv2D)
    np.testing.assert_array_equal(layer.weights, same.weights)
    (tmp_path / "big.data").unlink()
    with pytest.raises(ImporterError, match=r"^big\.onnx: its constants in another file cannot be read: "):
        importer.load(tmp_path / "big.onnx")


def test_sparse_constants_are_refused(tmp_path):
    model = convolution()
    values = helper.make_tensor("s", TensorProto.FLOAT, [1], [1.0])
    indices = helper.make_tensor("i", TensorProto.INT64, [1], [0])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4]))
    with pytest.raises(ImporterError, match="sparse tensor encoding"):
        read(tmp_path, model)


def test_constant_of_the_wrong_size(tmp_path):
    model = convolution()
    constant = next(constant for constant in model.graph.initializer if len(constant.dims) == 4)
    constant.raw_data = b"abc"
    with pytest.raises(ImporterError, match=r"constant 'constant_\d' of type INT8\[6, 4, 3, 3\] cannot be read"):
        read(tmp_path, model)


def test_folder_cannot_be_read(tmp_path):
    (tmp_path / "folder.onnx").mkdir()
    with pytest.raises(ImporterError, match="cannot be read"):
        importer.load(tmp_path / "folder.onnx")


def test_fully_connected_reads_rows(tmp_path):
    """A product over the last of three dimensions keeps the others."""
    network = read(tmp_path, qdq(weighted("MatMul", [6, 3]), size=["N", 5, 6]))
    layer = network.layers[1]
    assert isinstance(layer, FullyConnected) and layer.keep_dims
    assert network.tensors[layer.output].shape == (1, 5, 3)


def damage(data: bytes, rng: np.random.Generator) -> bytes:
    """Cut the file short, or overwrite a few bytes."""
    if rng.random() < 0.1:
        return data[: rng.integers(len(data))]
    changed = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        changed[rng.integers(len(data))] = rng.choice([0, 1, 127, 128, 255, int(rng.integers(256))])
    return bytes(changed)


@pytest.mark.parametrize("seed", range(4))
def test_damaged_files_are_refused_or_read(tmp_path, seed):
    """A damaged file is either refused by one line, or is a network that runs."""
    rng = np.random.default_rng(seed)
    sources = [build(operator, form, seed).SerializeToString() for operator, form in OPERATORS]
    refused = 0
    for attempt in range(500):
        try:
            network = read(tmp_path, damage(sources[rng.integers(len(sources))], rng))
        except ImporterError as error:
            assert "\n" not in str(error), f"seed {seed}, attempt {attempt}"
            refused += 1
            continue
        if sum(tensor.size for tensor in network.tensors.values()) < 1_000_000:
            tensors = [network.tensors[name] for name in network.inputs]
            golden.run(network, {tensor.name: np.zeros(tensor.shape, tensor.dtype) for tensor in tensors})
    assert refused > 100
