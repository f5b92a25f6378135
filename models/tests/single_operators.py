"""Random networks of one operator, as .tflite bytes: everything about them is drawn from a seed."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tflite

from models.tests.tflite_writer import ModelWriter

Rng = np.random.Generator

ACTIVATIONS = [getattr(tflite.ActivationFunctionType, name) for name in ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")]
PADDINGS = [tflite.Padding.SAME, tflite.Padding.VALID]


@dataclass
class Draw:
    """Draws parameters and collects the network."""

    rng: Rng
    writer: ModelWriter

    def size(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def scale(self, low: float = 1e-3, high: float = 1.0) -> float:
        return float(np.float32(np.exp(self.rng.uniform(np.log(low), np.log(high)))))

    def zero_point(self) -> int:
        return int(self.rng.choice([-128, 0, 127, int(self.rng.integers(-128, 128))]))

    def coin(self) -> bool:
        return bool(self.rng.integers(2))

    def int8(self, *shape: int) -> np.ndarray:
        return self.rng.integers(-128, 128, shape, dtype=np.int8)

    def weights(self, *shape: int) -> np.ndarray:
        values = self.rng.integers(-127, 128, shape, dtype=np.int8)
        return np.where(self.rng.random(shape) < 0.2, 0, values).astype(np.int8)

    def activation(self) -> int:
        return int(self.rng.choice(ACTIVATIONS))

    def feature_map(self, name: str = "x", largest: int = 9, channels: int = 8) -> tuple[int, list[int], float]:
        shape = [1, self.size(1, largest), self.size(1, largest), self.size(1, channels)]
        scale = self.scale()
        return self.writer.activation(name, shape, scale, self.zero_point()), shape, scale

    def output(self, shape: list[int], scale: float | None = None, zero_point: int | None = None) -> int:
        zero_point = self.zero_point() if zero_point is None else zero_point
        return self.writer.activation("y", shape, scale or self.scale(), zero_point)

    def like(self, shape: list[int], source: int) -> int:
        """The output, quantised as a tensor is."""
        spec = self.writer.tensors[source]
        return self.output(shape, spec.scales[0], spec.zero_points[0])


def windowed(size: int, kernel: int, stride: int, dilation: int, padding: int) -> int:
    """The format's rule for an output's size."""
    if padding == tflite.Padding.SAME:
        return -(-size // stride)
    return -(-(size - (kernel - 1) * dilation) // stride)


def _window(draw: Draw, shape: list[int], dilated: bool) -> tuple[list[int], list[int], list[int], int]:
    """Kernel, stride, dilation and padding scheme that fit the input."""
    kernel = [draw.size(1, 5), draw.size(1, 5)]
    stride = [draw.size(1, 4), draw.size(1, 4)]
    dilation = [draw.size(1, 3), draw.size(1, 3)] if dilated and draw.coin() else [1, 1]
    padding = int(draw.rng.choice(PADDINGS))
    if padding == tflite.Padding.VALID:
        for axis in range(2):
            shape[1 + axis] = max(shape[1 + axis], (kernel[axis] - 1) * dilation[axis] + 1)
    return kernel, stride, dilation, padding


def _weighted(
    draw: Draw, source: int, weights: np.ndarray, axis: int, shape: list[int], bias: bool = True
) -> tuple[list[int], int]:
    """Inputs and output of an operator with weights, with an output scale that fits its accumulators."""
    outputs = weights.shape[axis]
    scales = [draw.scale() for _ in range(outputs if draw.coin() else 1)]
    inputs = [source, draw.writer.constant("weights", weights, scales, axis)]
    input_scale = draw.writer.tensors[source].scales[0]
    if bias:
        values = np.asarray(draw.rng.integers(-20000, 20000, outputs, dtype=np.int32))
        inputs.append(draw.writer.constant("bias", values, [input_scale * s for s in scales]))
    spread = input_scale * np.mean(scales) * 5000 * np.sqrt(weights.size / outputs)
    return inputs, draw.output(shape, float(np.float32(spread * draw.scale(0.01, 1))))


def conv_2d(draw: Draw) -> tuple[list[int], int]:
    groups = draw.size(2, 3) if draw.coin() else 1
    per_group = draw.size(1, 8)
    shape = [1, draw.size(1, 9), draw.size(1, 9), groups * per_group]
    kernel, stride, dilation, padding = _window(draw, shape, dilated=True)
    source = draw.writer.activation("x", shape, draw.scale(), draw.zero_point())
    weights = draw.weights(groups * draw.size(1, 8), *kernel, per_group)
    size = [windowed(shape[1 + i], kernel[i], stride[i], dilation[i], padding) for i in range(2)]
    inputs, output = _weighted(draw, source, weights, 0, [1, *size, len(weights)])
    draw.writer.operator(
        "CONV_2D",
        inputs,
        [output],
        "Conv2DOptions",
        Padding=padding,
        StrideH=stride[0],
        StrideW=stride[1],
        DilationHFactor=dilation[0],
        DilationWFactor=dilation[1],
        FusedActivationFunction=draw.activation(),
    )
    return [source], output


def depthwise_conv_2d(draw: Draw) -> tuple[list[int], int]:
    channels, multiplier = draw.size(1, 8), draw.size(1, 3)
    shape = [1, draw.size(1, 9), draw.size(1, 9), channels]
    kernel, stride, dilation, padding = _window(draw, shape, dilated=True)
    source = draw.writer.activation("x", shape, draw.scale(), draw.zero_point())
    weights = draw.weights(1, *kernel, channels * multiplier)
    size = [windowed(shape[1 + i], kernel[i], stride[i], dilation[i], padding) for i in range(2)]
    shape = [1, *size, channels * multiplier]
    inputs, output = _weighted(draw, source, weights, 3, shape, bias=draw.coin())
    draw.writer.operator(
        "DEPTHWISE_CONV_2D",
        inputs,
        [output],
        "DepthwiseConv2DOptions",
        Padding=padding,
        StrideH=stride[0],
        StrideW=stride[1],
        DilationHFactor=dilation[0],
        DilationWFactor=dilation[1],
        DepthMultiplier=multiplier,
        FusedActivationFunction=draw.activation(),
    )
    return [source], output


def fully_connected(draw: Draw) -> tuple[list[int], int]:
    depth, outputs = draw.size(1, 200), draw.size(1, 12)
    keep = draw.coin()
    shape = [1, draw.size(1, 3), depth] if keep else [1, depth]
    source = draw.writer.activation("x", shape, draw.scale(), draw.zero_point())
    weights = draw.weights(outputs, depth)
    inputs, output = _weighted(draw, source, weights, 0, [*shape[:-1], outputs], bias=draw.coin())
    draw.writer.operator(
        "FULLY_CONNECTED",
        inputs,
        [output],
        "FullyConnectedOptions",
        KeepNumDims=keep,
        FusedActivationFunction=draw.activation(),
    )
    return [source], output


def add(draw: Draw) -> tuple[list[int], int]:
    first, shape, scale = draw.feature_map()
    kind = draw.size(0, 2)
    other = [1, 1, 1, shape[3]] if kind else shape
    sources = [first]
    if kind == 2:
        data = draw.int8(*other)
        second = draw.writer.activation("c", other, draw.scale(), draw.zero_point(), data=data)
    else:
        second = draw.writer.activation("b", other, draw.scale(), draw.zero_point())
        sources.append(second)
    output = draw.output(shape, scale * draw.scale(0.3, 3))
    operands = [first, second] if draw.coin() else [second, first]
    draw.writer.operator("ADD", operands, [output], "AddOptions", FusedActivationFunction=draw.activation())
    return sources, output


def _pool(name: str) -> Callable[[Draw], tuple[list[int], int]]:
    def draw_pool(draw: Draw) -> tuple[list[int], int]:
        shape = [1, draw.size(1, 9), draw.size(1, 9), draw.size(1, 8)]
        kernel, stride, _, padding = _window(draw, shape, dilated=False)
        source = draw.writer.activation("x", shape, draw.scale(), draw.zero_point())
        size = [windowed(shape[1 + i], kernel[i], stride[i], 1, padding) for i in range(2)]
        output = draw.like([1, *size, shape[3]], source)
        draw.writer.operator(
            name,
            [source],
            [output],
            "Pool2DOptions",
            Padding=padding,
            StrideH=stride[0],
            StrideW=stride[1],
            FilterHeight=kernel[0],
            FilterWidth=kernel[1],
            FusedActivationFunction=draw.activation(),
        )
        return [source], output

    return draw_pool


def mean(draw: Draw) -> tuple[list[int], int]:
    source, shape, scale = draw.feature_map()
    axes = sorted(draw.rng.choice([1, 2, 3], draw.size(1, 3), replace=False).tolist())
    stated = np.array([axis - 4 if draw.coin() else axis for axis in axes], np.int32)
    keep = draw.coin()
    reduced = [1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes]
    output = draw.output(reduced, scale * draw.scale(0.2, 2))
    inputs = [source, draw.writer.constant("axes", stated)]
    draw.writer.operator("MEAN", inputs, [output], "ReducerOptions", KeepDims=keep)
    return [source], output


def reshape(draw: Draw) -> tuple[list[int], int]:
    source, shape, _ = draw.feature_map()
    target = [1, shape[1] * shape[2], shape[3]] if draw.coin() else [1, int(np.prod(shape))]
    output = draw.like(target, source)
    inputs = [source, draw.writer.constant("shape", np.array([1, *target[1:-1], -1], np.int32))]
    draw.writer.operator("RESHAPE", inputs, [output], "ReshapeOptions")
    return [source], output


def pad(draw: Draw) -> tuple[list[int], int]:
    source, shape, _ = draw.feature_map()
    paddings = draw.rng.integers(0, 4, (4, 2), dtype=np.int32)
    paddings[0] = 0
    output = draw.like([n + int(p.sum()) for n, p in zip(shape, paddings, strict=True)], source)
    inputs = [source, draw.writer.constant("paddings", paddings)]
    if draw.coin():
        spec = draw.writer.tensors[source]
        value = draw.writer.activation("value", [1], spec.scales[0], spec.zero_points[0], data=draw.int8(1))
        draw.writer.operator("PADV2", [*inputs, value], [output], "PadV2Options")
    else:
        draw.writer.operator("PAD", inputs, [output], "PadOptions")
    return [source], output


def concatenation(draw: Draw) -> tuple[list[int], int]:
    source, shape, scale = draw.feature_map()
    axis = draw.size(1, 3)
    sources = [source]
    for index in range(draw.size(0, 2)):
        other = [*shape[:axis], draw.size(1, 5), *shape[axis + 1 :]]
        zero_point = draw.writer.tensors[source].zero_points[0]
        sources.append(draw.writer.activation(f"x{index}", other, scale, zero_point))
    total = sum(draw.writer.tensors[index].shape[axis] for index in sources)
    output = draw.like([*shape[:axis], total, *shape[axis + 1 :]], source)
    stated = axis - 4 if draw.coin() else axis
    draw.writer.operator("CONCATENATION", sources, [output], "ConcatenationOptions", Axis=stated)
    return sources, output


def softmax(draw: Draw) -> tuple[list[int], int]:
    shape = [1, draw.size(1, 4), draw.size(1, 40)]
    source = draw.writer.activation("x", shape, draw.scale(1e-3, 2), draw.zero_point())
    output = draw.output(shape, 1 / 256, -128)
    draw.writer.operator("SOFTMAX", [source], [output], "SoftmaxOptions", Beta=draw.scale(0.1, 2))
    return [source], output


def _relu(name: str) -> Callable[[Draw], tuple[list[int], int]]:
    def draw_relu(draw: Draw) -> tuple[list[int], int]:
        source, shape, scale = draw.feature_map()
        output = draw.output(shape, scale * draw.scale(0.1, 4))
        draw.writer.operator(name, [source], [output])
        return [source], output

    return draw_relu


def requantize(draw: Draw) -> tuple[list[int], int]:
    source, shape, scale = draw.feature_map()
    output = draw.output(shape, scale * draw.scale(0.1, 4))
    draw.writer.operator("QUANTIZE", [source], [output], "QuantizeOptions")
    return [source], output


def quantize(draw: Draw) -> tuple[list[int], int]:
    shape = [1, draw.size(1, 50)]
    source = draw.writer.tensor("x", shape, np.float32)
    output = draw.output(shape)
    draw.writer.operator("QUANTIZE", [source], [output], "QuantizeOptions")
    return [source], output


def dequantize(draw: Draw) -> tuple[list[int], int]:
    source, shape, _ = draw.feature_map()
    output = draw.writer.tensor("y", shape, np.float32)
    draw.writer.operator("DEQUANTIZE", [source], [output], "DequantizeOptions")
    return [source], output


OPERATORS: dict[str, Callable[[Draw], tuple[list[int], int]]] = {
    "conv_2d": conv_2d,
    "depthwise_conv_2d": depthwise_conv_2d,
    "fully_connected": fully_connected,
    "add": add,
    "average_pool_2d": _pool("AVERAGE_POOL_2D"),
    "max_pool_2d": _pool("MAX_POOL_2D"),
    "mean": mean,
    "reshape": reshape,
    "pad": pad,
    "concatenation": concatenation,
    "softmax": softmax,
    "relu": _relu("RELU"),
    "relu6": _relu("RELU6"),
    "requantize": requantize,
    "quantize": quantize,
    "dequantize": dequantize,
}


def build(operator: str, seed: int) -> bytes:
    """A file with one operator whose parameters follow from the seed."""
    draw = Draw(np.random.default_rng(seed), ModelWriter())
    inputs, output = OPERATORS[operator](draw)
    return draw.writer.write(inputs, [output])
