"""What the importer reads from a file, and what it refuses: always by one line that says why."""

import numpy as np
import pytest

from models import golden
from models.importers import ImporterError, load, tflite
from models.network import Conv2D, FullyConnected, Reshape, Rounding
from models.tests.single_operators import OPERATORS, build
from models.tests.tflite_writer import ModelWriter
from models.zoo import tiny

CONV_OPTIONS = {"StrideH": 1, "StrideW": 1, "DilationHFactor": 1, "DilationWFactor": 1}


def convolution(**changes) -> bytes:
    """A 3x3 convolution of 4 to 6 maps; `changes` replace parts of it."""
    writer = ModelWriter()
    size = changes.get("size", [1, 5, 5, 4])
    source = writer.activation("in", size, 0.5, changes.get("zero_point", 3), **changes.get("input", {}))
    weights = np.ones(changes.get("kernel", [6, 3, 3, 4]), np.int8)
    constant = changes.get("weights") or {"scales": [0.1] * 6, "zero_points": [0] * 6, "data": weights}
    kernel = writer.tensor("kernel", weights.shape, **constant)
    bias = writer.tensor("bias", [6], data=np.zeros(6, np.int32), dtype=np.int32)
    output = writer.activation("out", changes.get("out", [1, 5, 5, 6]), changes.get("out_scale", 2.0), -1)
    options = CONV_OPTIONS | changes.get("options", {})
    inputs = changes.get("inputs", [source, kernel, bias])
    kind = changes.get("kind", "Conv2DOptions")
    writer.operator("CONV_2D", inputs, [output], kind, **(options if kind == "Conv2DOptions" else {}))
    return writer.write([source], changes.get("outputs", [output]), changes.get("version", 3))


def read(tmp_path, data: bytes):
    path = tmp_path / "file.tflite"
    path.write_bytes(data)
    return tflite.load(path)


def test_convolution_is_read(tmp_path):
    network = read(tmp_path, convolution())
    (layer,) = network.layers
    assert isinstance(layer, Conv2D)
    assert (network.name, layer.name, layer.inputs, layer.output) == ("file", "conv_2d_0", ("in",), "out")
    assert (layer.stride, layer.dilation, layer.padding, layer.groups) == (
        (1, 1),
        (1, 1),
        ((1, 1), (1, 1)),
        1,
    )
    assert (layer.input_zero_point, layer.output_zero_point, layer.activation) == (3, -1, (-128, 127))
    assert layer.requantisation.rounding is Rounding.DOUBLE
    factor = layer.requantisation.multiplier * 2.0 ** (layer.requantisation.shift - 31)
    np.testing.assert_allclose(factor, 0.5 * np.float32(0.1) / 2, rtol=2**-31)
    assert layer.macs(network) == 5 * 5 * 6 * 3 * 3 * 4
    assert layer.parameters == 6 * 3 * 3 * 4 + 6


def test_left_out_bias_is_zeros(tmp_path):
    (layer,) = read(tmp_path, convolution(inputs=[0, 1])).layers
    assert isinstance(layer, Conv2D)
    assert layer.bias.tolist() == [0] * 6


def test_open_batch_is_one(tmp_path):
    network = read(tmp_path, convolution(input={"signature": [-1, 5, 5, 4]}))
    assert network.tensors["in"].shape == (1, 5, 5, 4)


def test_shape_arithmetic_is_folded(networks):
    """The autoencoder computes its last shape from the batch at run time."""
    network = networks["anomaly_detection"]
    assert [layer.op for layer in network.layers[-3:]] == ["fully_connected", "reshape", "dequantize"]
    reshape = network.layers[-2]
    assert isinstance(reshape, Reshape)
    assert reshape.shape == (1, 5, 128, 1)
    assert reshape.name == "reshape_15"
    folded = network.tensors["model/reshape/Reshape/shape"].data
    assert folded is not None and folded.tolist() == [1, 5, 128, 1]


def test_fully_connected_rounds_once(networks):
    for network in networks.values():
        for layer in network.layers:
            if isinstance(layer, FullyConnected):
                assert layer.requantisation.rounding is Rounding.SINGLE


def test_equal_and_empty_names_are_told_apart(tmp_path):
    writer = ModelWriter()
    source = writer.activation("same", [1, 4], 1.0, 0)
    middle = writer.activation("same", [1, 4], 1.0, 0)
    output = writer.activation("", [1, 4], 1.0, 0)
    writer.operator("RELU", [source], [middle])
    writer.operator("RELU6", [middle], [output])
    network = read(tmp_path, writer.write([source], [output]))
    assert list(network.tensors) == ["same", "same#1", "tensor_2"]


def test_two_operators_of_one_kind_share_a_code(tmp_path):
    writer = ModelWriter()
    tensors = [writer.activation(f"t{i}", [1, 4], 1.0, 0) for i in range(3)]
    for i in range(2):
        writer.operator("RELU", [tensors[i]], [tensors[i + 1]])
    assert [layer.name for layer in read(tmp_path, writer.write([0], [2])).layers] == ["relu_0", "relu_1"]


REFUSED = {
    "unsupported type": (convolution(input={"dtype": np.uint8}), "'in' is UINT8; only INT8 is supported"),
    "16-bit activations": (convolution(input={"dtype": np.int16}), "'in' is INT16"),
    "open height": (convolution(input={"signature": [-1, -1, 5, 4]}), "dynamic shape"),
    "batch of two": (convolution(size=[2, 5, 5, 4], out=[2, 5, 5, 6]), "first dimension must be 1"),
    "no quantisation": (convolution(weights={"data": np.ones((6, 3, 3, 4), np.int8)}), "has no quantisation"),
    "asymmetric weights": (
        convolution(weights={"scales": [1.0], "zero_points": [1], "data": np.ones((6, 3, 3, 4), np.int8)}),
        "not symmetric",
    ),
    "scales on another axis": (
        convolution(
            weights={
                "scales": [1.0] * 4,
                "zero_points": [0] * 4,
                "axis": 3,
                "data": np.ones((6, 3, 3, 4), np.int8),
            }
        ),
        "4 scales on dimension 3; 6 on dimension 0",
    ),
    "scales of another number": (
        convolution(weights={"scales": [1.0] * 5, "zero_points": [0] * 5, "data": np.ones((6, 3, 3, 4), np.int8)}),
        "5 scales",
    ),
    "zero points of another number": (
        convolution(weights={"scales": [1.0] * 6, "zero_points": [0] * 5, "data": np.ones((6, 3, 3, 4), np.int8)}),
        "6 scales and 5 zero points",
    ),
    "negative scale": (convolution(out_scale=-1.0), "not a positive, finite number"),
    "scale that is not a number": (convolution(out_scale=float("nan")), "not a positive, finite number"),
    "zero point out of range": (convolution(zero_point=128), "zero point 128, outside int8"),
    "scale out of range": (convolution(out_scale=1e-12), "above 2\\^30"),
    "weights computed at run time": (
        convolution(weights={"scales": [1.0], "zero_points": [0]}),
        "must be a constant",
    ),
    "data of another size": (
        convolution(weights={"scales": [1.0], "zero_points": [0], "data": b"abc"}),
        "3 bytes of data do not fit INT8",
    ),
    "channels that do not fit": (convolution(kernel=[6, 3, 3, 3]), "do not fit 4 channels"),
    "output of another shape": (convolution(out=[1, 5, 4, 6]), "output has shape .* follows from its inputs"),
    "input of two dimensions": (
        convolution(size=[1, 4], options={"Padding": 1}),
        "feature map has 4 dimensions",
    ),
    "empty input": (convolution(size=[1, 5, 5, 0]), "must not be empty"),
    "input without dimensions": (convolution(size=[]), "must not be empty"),
    "window beyond reason": (
        convolution(options={"DilationHFactor": 1 << 20}),
        "reaches over 2097153 elements",
    ),
    "stride of zero": (convolution(options={"StrideH": 0}), "stride"),
    "window that does not fit": (
        convolution(size=[1, 2, 2, 4], out=[1, 1, 1, 6], options={"Padding": 1}),
        "does not fit",
    ),
    "tanh": (convolution(options={"FusedActivationFunction": 4}), "fused activation TANH is not supported"),
    "options left out": (convolution(kind=None), "Conv2DOptions are missing"),
    "options of another kind": (convolution(kind="AddOptions"), "Conv2DOptions are missing"),
    "index out of range": (convolution(inputs=[0, 1, 9]), "inputs name tensor 9 of 4"),
    "output left out": (convolution(outputs=[-1]), "outputs name tensor -1"),
    "no output": (convolution(outputs=[]), "needs an input, a layer and an output"),
    "too many inputs": (convolution(inputs=[0, 1, 2, 2]), "has 4 inputs; expected 2 or 3"),
    "other schema": (convolution(version=2), "schema version 2"),
    "empty file": (b"", "not a TensorFlow Lite file"),
    "other file": (b"\x89PNG\r\n\x1a\n" * 9, "not a TensorFlow Lite file"),
    "nothing but the mark": (b"\x08\x00\x00\x00TFL3", "damaged or truncated"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_by_one_line(tmp_path, case):
    data, reason = REFUSED[case]
    with pytest.raises(ImporterError, match=reason) as caught:
        read(tmp_path, data)
    message = str(caught.value)
    assert message.startswith("file.tflite: ") and "\n" not in message


def test_unsupported_operator_names_the_layer(tmp_path):
    writer = ModelWriter()
    writer.activation("in", [1, 4], 1.0, 0)
    writer.activation("out", [1, 4], 1.0, 0)
    writer.operator("TANH", [0], [1])
    with pytest.raises(ImporterError, match=r"^file\.tflite: layer tanh_0: operator TANH is not supported$"):
        read(tmp_path, writer.write([0], [1]))


def test_reshape_to_a_shape_known_at_run_time_only(tmp_path):
    writer = ModelWriter()
    writer.activation("in", [1, 4], 1.0, 0)
    writer.tensor("shape", [2], np.int32)
    writer.activation("out", [1, 4], 1.0, 0)
    writer.operator("RESHAPE", [0, 1], [2], "ReshapeOptions")
    with pytest.raises(ImporterError, match="'shape' is computed at run time"):
        read(tmp_path, writer.write([0, 1], [2]))


def test_cycle_is_refused(tmp_path):
    writer = ModelWriter()
    for name in ("in", "a", "b"):
        writer.activation(name, [1, 4], 1.0, 0)
    writer.operator("RELU", [2], [1])
    writer.operator("RELU", [1], [2])
    with pytest.raises(ImporterError, match="relu_0: its input 'b' has no value yet"):
        read(tmp_path, writer.write([0], [2]))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing.tflite", "neither a file nor a network of the zoo"),
        ("network.onnx", "not an ONNX file"),
        ("network.txt", "not a network file"),
    ],
)
def test_other_sources_are_refused(tmp_path, name, reason):
    path = tmp_path / name
    if not name.startswith("missing"):
        path.write_bytes(b"x")
    with pytest.raises(ImporterError, match=reason):
        load(path)


def test_zoo_name_is_a_source(resnet8):
    assert load("resnet8").macs == resnet8.macs


def test_folder_cannot_be_read(tmp_path):
    (tmp_path / "folder.tflite").mkdir()
    with pytest.raises(ImporterError, match="cannot be read"):
        tflite.load(tmp_path / "folder.tflite")


def damage(data: bytes, rng: np.random.Generator) -> bytes:
    """Cut the file short, or overwrite bytes or whole words, mostly where the tables are: at its end."""
    if rng.random() < 0.25:
        return data[: rng.integers(len(data))]
    changed = bytearray(data)
    for _ in range(rng.integers(1, 8)):
        first = max(0, len(data) - 20_000) if rng.random() < 0.5 else 0
        place = int(rng.integers(first, len(data) - 4))
        if rng.random() < 0.5:
            changed[place] = rng.integers(256)
        else:
            word = int(rng.choice([0, 1, 255, 2**31 - 1, 2**31, 2**32 - 1, int(rng.integers(2**32))]))
            changed[place : place + 4] = word.to_bytes(4, "little")
    return bytes(changed)


@pytest.mark.parametrize("seed", range(8))
def test_damaged_files_are_refused_or_read(tmp_path, seed):
    """A damaged file is either refused by one line, or is a network that runs."""
    rng = np.random.default_rng(seed)
    sources = [tiny.fetch(name).read_bytes() for name in tiny.names()]
    sources += [build(operator, seed) for operator in OPERATORS]
    refused = 0
    for attempt in range(150):
        try:
            network = read(tmp_path, damage(sources[rng.integers(len(sources))], rng))
        except ImporterError as error:
            assert "\n" not in str(error), f"seed {seed}, attempt {attempt}"
            refused += 1
            continue
        if network.macs < 20_000_000 and sum(tensor.size for tensor in network.tensors.values()) < 20_000_000:
            tensors = [network.tensors[name] for name in network.inputs]
            golden.run(network, {tensor.name: np.zeros(tensor.shape, tensor.dtype) for tensor in tensors})
    assert refused > 50
