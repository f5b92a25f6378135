"""Cyclic convolutions in ONNX: an operator of their own domain, whose definition in standard operators is in the file.

ONNX lets a file define operators: *functions* of other operators. A cyclic convolution is a node ``CyclicConv`` of the
domain ``skipstone``, and `definition` says what it means to any runtime that knows functions: its weights stay packed.

Inputs as QLinearConv's: ``x, x_scale, x_zero_point, w, w_scale, w_zero_point, y_scale, y_zero_point``, perhaps ``B``:

- x, y: (N, in_nodes, height, width), int8 or uint8. w: packed, (out_nodes, fan_in, kernel height, kernel width).
- B: int32[out_nodes] in steps of the accumulator.

Attributes:

- ``cyclic_dilation``: channels between two edges of an output: edge j of output n reads input channel
  (n + j x cyclic_dilation) mod in_nodes.
- ``group``: out_nodes, once more, as the definition cannot take it from a shape.
- ``strides``, ``pads``, ``dilations``: as QLinearConv's.
"""

import onnx
from onnx import helper

from models.importers.onnx.context import Context, feature_map
from models.importers.onnx.reader import SKIPSTONE
from models.importers.onnx.values import Value
from models.importers.onnx.weighted import integer_bias, pending_layer, stated_weights, window_fields
from models.layers import CyclicConv2D
from models.network import NetworkError

OPERATOR = "CyclicConv"
_REQUIRED = ("cyclic_dilation", "group")
_WINDOW = {"strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1)}
_INPUTS = ("x", "x_scale", "x_zero_point", "w", "w_scale", "w_zero_point", "y_scale", "y_zero_point", "B")


def definition(opset: int) -> onnx.FunctionProto:
    """The operator in standard ones: each edge's channel is gathered, then each output is a group of a convolution.

    Args:
        opset: of the standard operators, the file's own; 13 or more, with which Unsqueeze takes its axes as an input.
    """
    nodes = [
        _constant("zero", 0),
        _constant("one", 1),
        helper.make_node("Constant", [], ["flat"], value_ints=[-1]),
        helper.make_node("Constant", [], ["last"], value_ints=[1]),
        helper.make_node("Shape", ["x"], ["x_shape"]),
        helper.make_node("Shape", ["w"], ["w_shape"]),
        helper.make_node("Gather", ["x_shape", "one"], ["in_nodes"]),
        helper.make_node("Gather", ["w_shape", "zero"], ["out_nodes"]),
        helper.make_node("Gather", ["w_shape", "one"], ["fan_in"]),
        helper.make_node("Range", ["zero", "out_nodes", "one"], ["outputs"]),
        helper.make_node("Range", ["zero", "fan_in", "one"], ["edges"]),
        _taken(helper.make_node("Constant", [], ["dilation"]), value_int="cyclic_dilation"),
        helper.make_node("Mul", ["edges", "dilation"], ["steps"]),
        helper.make_node("Unsqueeze", ["outputs", "last"], ["column"]),
        helper.make_node("Add", ["column", "steps"], ["reached"]),
        helper.make_node("Mod", ["reached", "in_nodes"], ["sources"]),
        helper.make_node("Reshape", ["sources", "flat"], ["channels"]),
        helper.make_node("Gather", ["x", "channels"], ["gathered"], axis=1),
        _taken(
            helper.make_node("QLinearConv", ["gathered", *_INPUTS[1:]], ["y"]),
            group="group",
            **{name: name for name in _WINDOW},
        ),
    ]
    return helper.make_function(
        SKIPSTONE,
        OPERATOR,
        _INPUTS,
        ["y"],
        nodes,
        [helper.make_opsetid("", opset)],
        attributes=_REQUIRED,
        attribute_protos=[helper.make_attribute(name, value) for name, value in _WINDOW.items()],
        doc_string="Convolution whose output n reads input channels (n + j * cyclic_dilation) mod in_nodes, j < fan_in",
    )


def _constant(name: str, value: int) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value_int=value)


def _taken(node: onnx.NodeProto, **names: str) -> onnx.NodeProto:
    """The node with attributes that are the function's own."""
    kinds = {"value_int": onnx.AttributeProto.INT, "group": onnx.AttributeProto.INT}
    for name, source in names.items():
        kind = kinds.get(name, onnx.AttributeProto.INTS)
        node.attribute.append(onnx.AttributeProto(name=name, ref_attr_name=source, type=kind))
    return node


def cyclic_conv(context: Context) -> Value:
    """CyclicConv, whatever the file's own definition of it is."""
    context.expect(inputs=(len(_INPUTS) - 1, len(_INPUTS)))
    node = context.node
    unknown = set(node.attributes) - {*_REQUIRED, *_WINDOW}
    if unknown or not set(_REQUIRED) <= set(node.attributes):
        expected = ", ".join((*_REQUIRED, *_WINDOW))
        raise NetworkError(
            f"its attributes are {', '.join(sorted(node.attributes)) or 'none'}; {expected} are expected"
        )
    source, weights = feature_map(context.stated_activation(0)), stated_weights(context, 3, 0)
    if weights.data.ndim != 4:
        raise NetworkError(f"packed weights of shape {list(weights.data.shape)}; four dimensions are expected")
    outputs, _, *kernel = weights.data.shape
    if node.integer("group", 0) != outputs:
        raise NetworkError(f"group is {node.integer('group', 0)} for packed weights of {outputs} outputs")
    pending = pending_layer(
        context,
        CyclicConv2D,
        source,
        weights,
        integer_bias(context, 8),
        stored=weights.data,
        in_nodes=source.shape[1],
        cyclic_dilation=node.integer("cyclic_dilation", 0),
        **window_fields(context, source, outputs, (kernel[0], kernel[1])),
    )
    return context.quantised(pending, 6)
