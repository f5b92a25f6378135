"""From the file's operators to layers; derived parameters are those of the reference kernels' Prepare."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import tflite

from models import layers as kinds
from models.golden.softmax import INPUT_INTEGER_BITS, LARGEST_DEPTH
from models.importers.tflite.context import (
    Context,
    check_static,
    clamp_range,
    explicit_padding,
    quantisation_of,
    same_quantisation,
    scale_of,
    scaling,
    zero_point_of,
)
from models.importers.tflite.reader import RawOperator, RawOptions, RawTensor
from models.importers.tflite.rounding import accumulator_ranges, single_rounding
from models.layers import Layer, Requantisation
from models.network import NetworkError

# int8 operands of an addition are shifted left by this much before they are scaled.
_ADD_LEFT_SHIFT = 20


def build(operator: RawOperator, tensors: Mapping[int, RawTensor]) -> Layer:
    """The layer of an operator; raises NetworkError with the reason if it is not supported."""
    builder = _BUILDERS.get(operator.op)
    if builder is None:
        raise NetworkError(f"operator {operator.op.upper()} is not supported")
    return builder(Context(operator, tensors))


def _common(context: Context, *inputs: RawTensor) -> dict[str, Any]:
    return {
        "name": context.operator.name,
        "inputs": tuple(tensor.name for tensor in inputs),
        "output": context.output.name,
    }


def _weights(context: Context, axis: int, rank: int) -> npt.NDArray[np.int8]:
    """Constant int8 weights, symmetric, with one scale or one a channel on ``axis``."""
    weights = context.constant(1, "INT8")
    tensor = context.input(1)
    quantisation = quantisation_of(tensor)
    if weights.ndim != rank or not weights.size:
        raise NetworkError(f"weights {tensor.name!r} have shape {list(weights.shape)}; {rank} dimensions are expected")
    if quantisation.zero_point.any():
        raise NetworkError(f"weights {tensor.name!r} are not symmetric: a zero point is not 0")
    if not quantisation.uniform and (quantisation.axis != axis or quantisation.scale.size != weights.shape[axis]):
        raise NetworkError(
            f"weights {tensor.name!r} have {quantisation.scale.size} scales "
            f"on dimension {quantisation.axis}; {weights.shape[axis]} on dimension {axis} are expected"
        )
    return weights


def _bias(context: Context, outputs: int) -> npt.NDArray[np.int32]:
    if context.optional_input(2) is None:
        return np.zeros(outputs, np.int32)
    bias = context.constant(2, "INT32")
    if bias.shape != (outputs,):
        raise NetworkError(f"bias has shape {list(bias.shape)} for {outputs} output channels")
    return bias


def _channel_scaling(context: Context, outputs: int) -> Requantisation:
    """One factor a channel: input scale times weight scale over output scale, in double precision."""
    scales = np.broadcast_to(quantisation_of(context.input(1)).scale, outputs)
    source, target = scale_of(context.input(0)), scale_of(context.output)
    return scaling(*(source * float(scale) / target for scale in scales))


def _weighted(context: Context, axis: int, rank: int, activation: int) -> dict[str, Any]:
    """The fields that layers with weights share."""
    source = context.activation_input()
    weights = _weights(context, axis, rank)
    return _common(context, source) | {
        "weights": weights,
        "bias": _bias(context, weights.shape[axis]),
        "requantisation": _channel_scaling(context, weights.shape[axis]),
        "input_zero_point": zero_point_of(source),
        "output_zero_point": zero_point_of(context.activation_output()),
        "activation": context.clamp(activation),
    }


def _window(
    context: Context, options: RawOptions, kernel: tuple[int, int], dilation: tuple[int, int]
) -> dict[str, Any]:
    stride = (options.integer("StrideH"), options.integer("StrideW"))
    shape = context.input(0).shape
    if len(shape) != 4:
        raise NetworkError(f"its input has shape {list(shape)}; a feature map has 4 dimensions")
    return {
        "stride": stride,
        "padding": explicit_padding(options.integer("Padding"), shape, kernel, stride, dilation),
    }


def _conv_2d(context: Context) -> Layer:
    context.expect(inputs=(2, 3))
    options = context.operator.options(tflite.Conv2DOptions)
    fields = _weighted(context, 0, 4, options.integer("FusedActivationFunction"))
    _, height, width, per_group = fields["weights"].shape
    dilation = (options.integer("DilationHFactor"), options.integer("DilationWFactor"))
    fields |= _window(context, options, (height, width), dilation)
    # Groups are not stated: they follow from the channels that each filter reads.
    groups = context.input(0).shape[3] // per_group
    return kinds.Conv2D(**fields, dilation=dilation, groups=groups)


def _depthwise_conv_2d(context: Context) -> Layer:
    context.expect(inputs=(2, 3))
    options = context.operator.options(tflite.DepthwiseConv2DOptions)
    fields = _weighted(context, 3, 4, options.integer("FusedActivationFunction"))
    _, height, width, outputs = fields["weights"].shape
    dilation = (options.integer("DilationHFactor"), options.integer("DilationWFactor"))
    fields |= _window(context, options, (height, width), dilation)
    # The option is not trusted: old converters leave it out.
    multiplier = outputs // context.input(0).shape[3]
    return kinds.DepthwiseConv2D(**fields, dilation=dilation, depth_multiplier=multiplier)


def _fully_connected(context: Context) -> Layer:
    context.expect(inputs=(2, 3))
    options = context.operator.options(tflite.FullyConnectedOptions)
    if options.integer("WeightsFormat") != tflite.FullyConnectedOptionsWeightsFormat.DEFAULT:
        raise NetworkError("shuffled weights are not supported")
    fields = _weighted(context, 0, 2, options.integer("FusedActivationFunction"))

    def factor(weight_scale: float) -> float:
        return scale_of(context.input(0)) * float(weight_scale) / scale_of(context.output)

    fields["requantisation"] = single_rounding(
        [factor(scale) for scale in quantisation_of(context.input(1)).scale],
        accumulator_ranges(fields["weights"], fields["bias"], fields["input_zero_point"]),
        fields["activation"],
        fields["output_zero_point"],
    )
    return kinds.FullyConnected(**fields, keep_dims=bool(options.integer("KeepNumDims")))


def _add(context: Context) -> Layer:
    context.expect(inputs=(2,))
    operands = [context.activation_input(0), context.activation_input(1)]
    output = context.activation_output()
    twice_largest = 2 * max(scale_of(tensor) for tensor in operands)
    factor = twice_largest / ((1 << _ADD_LEFT_SHIFT) * scale_of(output))
    if factor >= 1:
        raise NetworkError("its output's scale is too small for its inputs' scales")
    return kinds.Add(
        **_common(context, *operands),
        left_shift=_ADD_LEFT_SHIFT,
        input_scaling=scaling(*(scale_of(tensor) / twice_largest for tensor in operands)),
        output_scaling=scaling(factor),
        input_zero_points=(zero_point_of(operands[0]), zero_point_of(operands[1])),
        output_zero_point=zero_point_of(output),
        activation=context.clamp(context.operator.options(tflite.AddOptions).integer("FusedActivationFunction")),
    )


def _pool(kind: type[kinds.AveragePool2D] | type[kinds.MaxPool2D]) -> Callable[[Context], Layer]:
    def build_pool(context: Context) -> Layer:
        context.expect(inputs=(1,))
        options = context.operator.options(tflite.Pool2DOptions)
        source = context.activation_input()
        same_quantisation(context, source)
        kernel = (options.integer("FilterHeight"), options.integer("FilterWidth"))
        return kind(
            **_common(context, source),
            **_window(context, options, kernel, (1, 1)),
            kernel=kernel,
            activation=context.clamp(options.integer("FusedActivationFunction")),
        )

    return build_pool


def _mean(context: Context) -> Layer:
    context.expect(inputs=(2,))
    source, output = context.activation_input(), context.activation_output()
    rank = len(source.shape)
    stated = [int(axis) for axis in np.atleast_1d(context.constant(1, "INT32")).ravel()]
    if not stated or any(not -rank <= axis < rank for axis in stated):
        raise NetworkError(f"mean over dimensions {stated} of an input of shape {list(source.shape)}")
    axes = tuple(sorted({axis % rank for axis in stated}))
    factor = scaling(scale_of(source) / scale_of(output))
    multiplier, shift = int(factor.multiplier[0]), int(factor.shift[0])
    # The kernel folds the division by the count into the factor, shifted to keep its precision.
    count = math.prod(source.shape[axis] for axis in axes)
    extra = min(count.bit_length() - 1, 32, 31 + shift)
    return kinds.Mean(
        **_common(context, source),
        axes=axes,
        keep_dims=bool(context.operator.options(tflite.ReducerOptions).integer("KeepDims")),
        multiplier=(multiplier << extra) // count,
        shift=shift - extra,
        input_zero_point=zero_point_of(source),
        output_zero_point=zero_point_of(output),
    )


def _reshape(context: Context) -> Layer:
    context.expect(inputs=(1, 2))
    source, output = context.activation_input(), context.activation_output()
    shape = context.optional_input(1)
    if shape is not None and shape.data is None:
        raise NetworkError(f"its target shape {shape.name!r} is computed at run time")
    return kinds.Reshape(**_common(context, source), shape=output.shape)


def _pad(context: Context) -> Layer:
    context.expect(inputs=(2, 3))
    source = context.activation_input()
    same_quantisation(context, source)
    paddings = context.constant(1, "INT32", "INT64")
    if paddings.shape != (len(source.shape), 2):
        raise NetworkError(f"paddings of shape {list(paddings.shape)} for an input of shape {list(source.shape)}")
    value = zero_point_of(context.output)
    if context.optional_input(2) is not None:
        same_quantisation(context, context.input(2))
        fill = context.constant(2, "INT8")
        if fill.size != 1:
            raise NetworkError(f"{fill.size} padding values; one is expected")
        value = int(fill.ravel()[0])
    pairs = tuple((int(before), int(after)) for before, after in paddings)
    return kinds.Pad(**_common(context, source), paddings=pairs, value=value)


def _concatenation(context: Context) -> Layer:
    context.expect(inputs=range(1, len(context.operator.inputs) + 1))
    options = context.operator.options(tflite.ConcatenationOptions)
    if options.integer("FusedActivationFunction") != tflite.ActivationFunctionType.NONE:
        raise NetworkError("a fused activation is not supported")
    sources = [context.activation_input(position) for position in range(len(context.operator.inputs))]
    same_quantisation(context, *sources)
    axis = options.integer("Axis")
    return kinds.Concatenation(**_common(context, *sources), axis=axis + len(sources[0].shape) if axis < 0 else axis)


def _softmax(context: Context) -> Layer:
    context.expect(inputs=(1,))
    source, output = context.activation_input(), context.activation_output()
    beta = context.operator.options(tflite.SoftmaxOptions).number("Beta")
    if zero_point_of(output) != -128 or abs(scale_of(output) * 256 - 1) > 1e-3:
        raise NetworkError("its output must have scale 1/256 and zero point -128")
    if source.shape[-1] > LARGEST_DEPTH:
        raise NetworkError(f"softmax over {source.shape[-1]} elements; at most {LARGEST_DEPTH} are supported")
    fraction_bits = 31 - INPUT_INTEGER_BITS
    factor = min(beta * scale_of(source) * (1 << fraction_bits), (1 << 31) - 1.0)
    if not factor > 1:
        raise NetworkError(f"beta {beta} and input scale {scale_of(source)} are too small")
    # Not through `scaling`: the factor is a whole-number one, up to 2^31.
    fraction, left_shift = math.frexp(factor)
    multiplier = math.floor(fraction * (1 << 31) + 0.5)
    if multiplier == 1 << 31:
        multiplier, left_shift = 1 << 30, left_shift + 1
    largest = ((1 << INPUT_INTEGER_BITS) - 1) * (1 << fraction_bits)
    return kinds.Softmax(
        **_common(context, source),
        multiplier=multiplier,
        left_shift=left_shift,
        diff_min=-(largest // (1 << left_shift)),
    )


def _relu(kind: type[kinds.Relu], high: float | None) -> Callable[[Context], Layer]:
    def build_relu(context: Context) -> Layer:
        context.expect(inputs=(1,))
        source, output = context.activation_input(), context.activation_output()
        # The kernel divides the scales in single precision.
        factor = float(np.float32(scale_of(source)) / np.float32(scale_of(output)))
        return kind(
            **_common(context, source),
            requantisation=scaling(factor),
            input_zero_point=zero_point_of(source),
            output_zero_point=zero_point_of(output),
            activation=clamp_range(output, 0.0, high),
        )

    return build_relu


def _quantize(context: Context) -> Layer:
    context.expect(inputs=(1,))
    source, output = context.input(0), context.activation_output()
    if source.type_name == "FLOAT32":
        check_static(source)
        fields = _common(context, source)
        return kinds.Quantize(**fields, scale=scale_of(output), zero_point=zero_point_of(output))
    source = context.activation_input()
    return kinds.Requantize(
        **_common(context, source),
        requantisation=scaling(scale_of(source) / scale_of(output)),
        input_zero_point=zero_point_of(source),
        output_zero_point=zero_point_of(output),
    )


def _dequantize(context: Context) -> Layer:
    context.expect(inputs=(1,))
    source = context.activation_input()
    if context.output.type_name != "FLOAT32":
        raise NetworkError(f"its output is {context.output.type_name}; only FLOAT32 is supported")
    check_static(context.output)
    return kinds.Dequantize(**_common(context, source), scale=scale_of(source), zero_point=zero_point_of(source))


_BUILDERS: dict[str, Callable[[Context], Layer]] = {
    "conv_2d": _conv_2d,
    "depthwise_conv_2d": _depthwise_conv_2d,
    "fully_connected": _fully_connected,
    "add": _add,
    "average_pool_2d": _pool(kinds.AveragePool2D),
    "max_pool_2d": _pool(kinds.MaxPool2D),
    "mean": _mean,
    "reshape": _reshape,
    "pad": _pad,
    "padv2": _pad,
    "concatenation": _concatenation,
    "softmax": _softmax,
    "relu": _relu(kinds.Relu, None),
    "relu6": _relu(kinds.Relu6, 6.0),
    "quantize": _quantize,
    "dequantize": _dequantize,
}
