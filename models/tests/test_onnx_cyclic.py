"""Cyclic convolutions in ONNX files: packed, and defined in the file for any runtime."""

from typing import Any

import numpy as np
import onnx
import pytest

from models.importers import ImporterError
from models.importers import onnx as importer
from models.layers import CyclicConv2D
from models.network import Network
from models.training.onnx_writer import GraphWriter


def read(tmp_path, model: onnx.ModelProto) -> Network:
    path = tmp_path / "file.onnx"
    path.write_bytes(model.SerializeToString())
    return importer.load(path)


def cyclic_convolution(**changes: Any) -> onnx.ModelProto:
    """A 3x3 CyclicConv of 6 to 4 maps, 2 edges a map; `changes` replace parts of it."""
    w = GraphWriter()
    x = w.input("x", ["N", 6, 5, 7], np.int8)
    weights = changes.get("weights", np.arange(4 * 2 * 9).reshape(4, 2, 3, 3).astype(np.int8))
    inputs = [
        *(x, w.scale(0.5), w.constant(3, np.int8), w.constant(weights), w.scale([0.1] * 4)),
        *(w.constant(np.zeros(4, np.int8)), w.scale(2.0), w.constant(-1, np.int8)),
    ]
    attributes = {"cyclic_dilation": 3, "group": 4, "pads": [1, 1, 1, 1]} | changes.get("attributes", {})
    given = {name: value for name, value in attributes.items() if value is not None}
    w.node("CyclicConv", inputs, "skipstone", output="y", **given)
    model = w.model("y")
    model.opset_import[-1].version = changes.get("version", 1)
    return model


def test_cyclic_convolution_stays_packed(tmp_path):
    model = cyclic_convolution()
    model.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("y", onnx.TensorProto.INT8, ["N", 4, 5, 7]))
    onnx.checker.check_model(model, full_check=True)
    (layer,) = read(tmp_path, model).layers
    assert isinstance(layer, CyclicConv2D) and layer.bias.tolist() == [0] * 4
    np.testing.assert_array_equal(layer.weights, np.arange(4 * 2 * 9).reshape(4, 2, 3, 3))
    assert (layer.in_nodes, layer.cyclic_dilation, layer.fan_in, layer.out_nodes) == (6, 3, 2, 4)
    assert (layer.kernel, layer.padding, layer.input_zero_point) == ((3, 3), ((1, 1), (1, 1)), 3)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"attributes": {"cyclic_dilation": None}}, "its attributes are group, pads; cyclic_dilation, group, strides"),
        ({"attributes": {"auto_pad": "SAME_UPPER"}}, "its attributes are auto_pad, cyclic_dilation"),
        ({"attributes": {"cyclic_dilation": 6}}, "has at most 1 edges an output with a dilation of 6, not 2"),
        ({"attributes": {"group": 2}}, "group is 2 for packed weights of 4 outputs"),
        ({"weights": np.ones((4, 2), np.int8)}, r"packed weights of shape \[4, 2\]; four dimensions"),
        ({"version": 2}, "version 2 of the operators of skipstone is not known; 1 is"),
    ],
)
def test_cyclic_convolution_refused(tmp_path, changes, reason):
    with pytest.raises(ImporterError, match=reason) as refused:
        read(tmp_path, cyclic_convolution(**changes))
    assert str(refused.value).startswith("file.onnx: ") and "\n" not in str(refused.value)
