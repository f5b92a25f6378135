"""ONNX's own test cases of the operators, under its reference implementation."""

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx.backend.test.case.node import collect_testcases
from onnx.reference import ReferenceEvaluator

from models import golden
from models.importers import ImporterError
from models.importers import onnx as importer
from models.tests.onnx_judge import as_stored

# Cases of quantised operators that the importer takes as they are, but for the weights' zero point.
QUANTISED = {
    *("dequantizelinear", "quantizelinear", "qlinearconv"),
    *("qlinearmatmul_2D_int8_float32", "qlinearmatmul_2D_uint8_float32"),
}
# Cases of float operators that it takes between conversions, for batch 1 (others would have to be transposed).
WRAPPED = {
    *("maxpool_2d_default", "maxpool_2d_ceil", "maxpool_2d_ceil_output_size_reduce_by_one", "maxpool_2d_pads"),
    *("maxpool_2d_precomputed_pads", "maxpool_2d_precomputed_same_upper", "maxpool_2d_precomputed_strides"),
    *("maxpool_2d_same_lower", "maxpool_2d_same_upper", "maxpool_2d_strides"),
    *("averagepool_2d_default", "averagepool_2d_ceil", "averagepool_2d_pads", "averagepool_2d_same_lower"),
    *("averagepool_2d_pads_count_include_pad", "averagepool_2d_precomputed_pads_count_include_pad"),
    *("averagepool_2d_precomputed_pads", "averagepool_2d_precomputed_same_upper", "averagepool_2d_same_upper"),
    *("averagepool_2d_precomputed_strides", "averagepool_2d_strides", "averagepool_2d_ceil_last_window_starts_on_pad"),
    *("globalaveragepool", "globalaveragepool_precomputed", "globalmaxpool", "globalmaxpool_precomputed"),
    *("relu", "softmax_example", "softmax_axis_2", "clip", "clip_example", "clip_inbounds", "clip_outbounds"),
    *("clip_splitbounds", "clip_default_min", "clip_default_max", "clip_min_greater_than_max"),
    *("constant_pad", "constant_pad_axes", "constant_pad_negative_axes", "unsqueeze_axis_1"),
}
WRAPPED_OPS = {
    *("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Flatten", "Relu", "Clip", "Softmax", "Pad"),
    *("Transpose", "Unsqueeze", "Squeeze", "Reshape"),
}


@pytest.fixture(scope="module")
def cases() -> Mapping[str, tuple[onnx.ModelProto, list[np.ndarray], list[np.ndarray]]]:
    """Model, inputs and outputs of every case of a single node, by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        collected = collect_testcases(None)
    return {
        case.name.removeprefix("test_"): (case.model, list(case.data_sets[0][0]), list(case.data_sets[0][1]))
        for case in collected
        if case.model is not None and case.data_sets and len(case.model.graph.node) == 1
    }


def bound(model: onnx.ModelProto, inputs: list[np.ndarray]) -> onnx.ModelProto:
    """The model with every input but the first as a constant."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for info, values in zip(list(result.graph.input)[1:], inputs[1:], strict=True):
        result.graph.initializer.append(numpy_helper.from_array(np.asarray(values), info.name))
        result.graph.input.remove(info)
    return result


def read(path, model: onnx.ModelProto):
    path.write_bytes(model.SerializeToString())
    return importer.load(path)


def evaluate(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    results: Any = ReferenceEvaluator(model).run(None, {model.graph.input[0].name: x})
    return np.asarray(results[0])


def symmetric(model: onnx.ModelProto) -> onnx.ModelProto:
    """Zero points of weights are 0, or 128 for uint8."""
    (node,) = model.graph.node
    for constant in model.graph.initializer:
        if node.op_type in ("QLinearConv", "QLinearMatMul") and constant.name == node.input[5]:
            values = numpy_helper.to_array(constant)
            zero = 128 if values.dtype == np.uint8 else 0
            constant.CopyFrom(numpy_helper.from_array(np.full_like(values, zero), constant.name))
    return model


@pytest.mark.parametrize("name", sorted(QUANTISED))
def test_quantised_operators(cases, name, tmp_path):
    model, inputs, outputs = cases[name]
    model = symmetric(bound(model, inputs))
    expected = evaluate(model, inputs[0])
    if model.graph.node[0].op_type in ("QuantizeLinear", "DequantizeLinear"):
        np.testing.assert_array_equal(expected, outputs[0])  # nothing was changed
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
    network = read(tmp_path / "case.onnx", model)
    x = as_stored(network.tensors[network.inputs[0]], inputs[0])
    got = golden.run(network, x)[network.outputs[0]]
    np.testing.assert_array_equal(got, as_stored(network.tensors[network.outputs[0]], expected))


def wrapped(model: onnx.ModelProto, x: np.ndarray) -> onnx.ModelProto:
    """The node between conversions, for input ``x``."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for opset in result.opset_import:  # the reference implementation of the conversions starts at 19
        opset.version = 21 if opset.version >= 13 else opset.version
    (node,) = result.graph.node
    source, output = node.input[0], node.output[0]
    node.input[0], node.output[0] = "real", "result"
    scales = {"in_scale": np.float32(0.0317), "out_scale": np.float32(0.0271)}
    zeros = {"in_zero": np.int8(5), "out_zero": np.int8(-7)}
    for name, value in (scales | zeros).items():
        result.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    result.graph.node.insert(0, helper.make_node("DequantizeLinear", ["quantised", "in_scale", "in_zero"], ["real"]))
    result.graph.node.insert(0, helper.make_node("QuantizeLinear", [source, "in_scale", "in_zero"], ["quantised"]))
    result.graph.node.append(helper.make_node("QuantizeLinear", ["result", "out_scale", "out_zero"], [output]))
    del result.graph.output[:]
    result.graph.output.append(helper.make_tensor_value_info(output, onnx.TensorProto.INT8, None))
    for dim, size in zip(result.graph.input[0].type.tensor_type.shape.dim, x.shape, strict=True):
        dim.dim_value = size
    return result


def test_float_operators_between_conversions(cases, tmp_path):
    taken, elements, different = set(), 0, 0
    for name, (model, inputs, _) in cases.items():
        if model.graph.node[0].op_type not in WRAPPED_OPS or inputs[0].dtype != np.float32 or inputs[0].size < 2:
            continue
        x = inputs[0][:1] * np.float32(0.1 if abs(inputs[0]).max() > 10 else 1)
        graph = wrapped(bound(model, inputs), x)
        try:
            network = read(tmp_path / "case.onnx", graph)
        except ImporterError as error:
            assert "\n" not in str(error), name
            continue
        expected = as_stored(network.tensors[network.outputs[0]], evaluate(graph, x))
        got = golden.run(network, as_stored(network.tensors[network.inputs[0]], x))[network.outputs[0]]
        difference = abs(got.astype(int) - expected)
        assert got.shape == expected.shape and difference.max() <= 1, name
        taken.add(name)
        elements, different = elements + got.size, different + int(np.count_nonzero(difference))
    assert taken >= WRAPPED, f"no longer imported: {WRAPPED - taken}"
    assert different <= 0.001 * elements


def test_every_other_case_is_refused_by_one_line(cases, tmp_path):
    """Anything that is not quantised: never an exception of another kind."""
    refused = 0
    for name, (model, *_) in cases.items():
        try:
            read(tmp_path / "case.onnx", model)
        except ImporterError as error:
            assert "\n" not in str(error), name
            refused += 1
    assert refused > 500
