"""Random ONNX graphs of one operator, as quantised operators or as QDQ: everything is drawn from a seed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from models.importers.onnx import cyclic
from models.importers.onnx.reader import SKIPSTONE
from models.training.onnx_writer import GraphWriter

MICROSOFT = "com.microsoft"
BATCH = "N"
Int8 = type[np.int8] | type[np.uint8]


@dataclass(frozen=True)
class Quantised:
    """A value of the graph in integers."""

    name: str
    shape: list[Any]
    scale: float
    zero: int


@dataclass
class Draw:
    """Draws parameters and collects the graph; ``qdq``: which of the two forms."""

    rng: np.random.Generator
    writer: GraphWriter
    qdq: bool
    dtype: Int8

    def size(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def coin(self) -> bool:
        return bool(self.rng.integers(2))

    def scale(self, low: float = 1e-3, high: float = 1.0) -> float:
        return float(np.float32(np.exp(self.rng.uniform(np.log(low), np.log(high)))))

    def zero(self) -> int:
        limits = np.iinfo(self.dtype)
        anywhere = int(self.rng.integers(limits.min, limits.max + 1))
        return int(self.rng.choice([limits.min, limits.max, anywhere]))

    def source(self, shape: list[int], scale: float | None = None) -> Quantised:
        """An input of the graph; the batch is open."""
        name = self.writer.input(self.writer.name("x"), [BATCH, *shape], self.dtype)
        return Quantised(name, [BATCH, *shape], scale or self.scale(), self.zero())

    def feature_map(self, channels: int | None = None, least: int = 1) -> Quantised:
        return self.source([channels or self.size(1, 8), self.size(least, 9), self.size(least, 9)])

    def real(self, value: Quantised) -> str:
        """DequantizeLinear."""
        return self.writer.dequantise(value.name, value.scale, value.zero, self.dtype)

    def stated(self, value: Quantised) -> list[str]:
        """A value, its scale and its zero point, as quantised operators read them."""
        return [value.name, *self.parameters(value.scale, value.zero)]

    def parameters(self, scale: float, zero: int) -> list[str]:
        return [self.writer.scale(scale), self.writer.constant(zero, self.dtype, "zero")]

    def output(self, real: str, scale: float, zero: int | None = None) -> str:
        """QuantizeLinear, perhaps with a rectifier before it."""
        kind = self.size(0, 4)
        if kind == 0:
            real = self.writer.node("Relu", [real])
        elif kind == 1:
            low = self.writer.constant(-20 * scale * self.rng.random(), np.float32)
            high = self.writer.constant(60 * scale * self.rng.random(), np.float32)
            bounds = [low, high] if self.coin() else ["", high]
            real = self.writer.node("Clip", [real, *bounds])
        return self.writer.quantise(real, scale, self.zero() if zero is None else zero, self.dtype)


def _window(draw: Draw, source: Quantised, dilated: bool) -> dict[str, Any]:
    """Attributes of a window that fits the source."""
    size = source.shape[2:]
    kernel = [draw.size(1, min(4, n)) for n in size]
    dilation = [draw.size(1, 2) if dilated and (k - 1) * 2 < n else 1 for k, n in zip(kernel, size, strict=True)]
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": [draw.size(1, 3), draw.size(1, 3)]}
    if dilated:
        attributes["dilations"] = dilation
    scheme = str(draw.rng.choice(["NOTSET", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"]))
    if scheme == "NOTSET":
        attributes["pads"] = [draw.size(0, k - 1) for k in kernel * 2]
    else:
        attributes["auto_pad"] = scheme
    if scheme.startswith("SAME"):  # ONNX Runtime refuses that together with dilation, or a stride beyond the kernel
        attributes["strides"] = [min(pair) for pair in zip(attributes["strides"], kernel, strict=True)]
        attributes |= {"dilations": [1, 1]} if dilated else {}
    return attributes


def _weights(draw: Draw, shape: list[int], axis: int) -> tuple[np.ndarray, Any, Any, Int8]:
    """Values, scales, zero points and type of symmetric weights, per channel or not."""
    # Some processors saturate sums of two products of 8 bits; ONNX Runtime advises 7 bits for them.
    largest = 127 if draw.qdq else 63
    values = draw.rng.integers(-largest, largest + 1, shape)
    values[draw.rng.random(shape) < 0.2] = 0
    unsigned = draw.dtype is np.uint8 and draw.size(0, 3) == 0
    kind: Int8 = np.uint8 if unsigned else np.int8
    zero = 128 if unsigned else 0
    if draw.coin() and not unsigned:
        scales: Any = [draw.scale(1e-3, 1e-1) for _ in range(shape[axis])]
        return values.astype(kind), scales, [zero] * shape[axis], kind
    return (values + zero).astype(kind), draw.scale(1e-3, 1e-1), zero, kind


def _bias(draw: Draw, outputs: int) -> np.ndarray | None:
    return draw.rng.integers(-5000, 5000, outputs, dtype=np.int32) if draw.coin() else None


def _output_scale(draw: Draw, source: Quantised, scales: Any, depth: int) -> float:
    spread = source.scale * float(np.mean(scales)) * 2500 * np.sqrt(depth)
    return float(np.float32(spread * draw.scale(0.02, 1)))


def _real_weights(draw: Draw, values: np.ndarray, scales: Any, zeros: Any, kind: Int8, axis: int) -> str:
    name = draw.writer.constant(values, stem="weights")
    return draw.writer.dequantise(name, scales, zeros, kind, axis=axis)


def _real_bias(draw: Draw, bias: np.ndarray, steps: np.ndarray) -> str:
    name = draw.writer.constant(bias, stem="bias")
    return draw.writer.dequantise(name, steps, np.zeros(len(bias), np.int32), np.int32, axis=0)


def _weighted(
    draw: Draw, op: str, source: Quantised, shape: list[int], axis: int, domain: str = "", **attributes: Any
) -> str:
    """A node with weights of ``shape``, whose outputs are dimension ``axis``."""
    values, scales, zeros, kind = _weights(draw, shape, axis)
    outputs = shape[axis]
    scale = _output_scale(draw, source, scales, values.size // outputs)
    bias = _bias(draw, outputs) if op != "MatMul" else None
    if draw.qdq:
        inputs = [draw.real(source), _real_weights(draw, values, scales, zeros, kind, axis)]
        if bias is not None:
            steps = np.float32(source.scale) * np.broadcast_to(np.float32(scales), outputs)
            inputs.append(_real_bias(draw, bias, steps))
        return draw.output(draw.writer.node(op, inputs, **attributes), scale)
    weights = [draw.writer.constant(values), draw.writer.scale(scales), draw.writer.constant(zeros, kind)]
    inputs = [*draw.stated(source), *weights]
    last = draw.parameters(scale, draw.zero())
    biases = [] if bias is None else [draw.writer.constant(bias)]
    if op == "Gemm":
        return draw.writer.node("QGemm", [*inputs, *(biases or [""]), *last], MICROSOFT, **attributes)
    name = f"QLinear{op}" if not domain else op
    return draw.writer.node(name, [*inputs, *last, *biases], domain, **attributes)


def conv(draw: Draw) -> str:
    groups = draw.size(2, 3) if draw.coin() else 1
    per_group = draw.size(1, 4)
    source = draw.feature_map(groups * per_group)
    window = _window(draw, source, dilated=True)
    shape = [groups * draw.size(1, 6), per_group, *window["kernel_shape"]]
    return _weighted(draw, "Conv", source, shape, 0, group=groups, **window)


def depthwise_conv(draw: Draw) -> str:
    channels = draw.size(2, 8)
    source = draw.feature_map(channels)
    window = _window(draw, source, dilated=True)
    shape = [channels * draw.size(1, 3), 1, *window["kernel_shape"]]
    return _weighted(draw, "Conv", source, shape, 0, group=channels, **window)


def cyclic_conv(draw: Draw) -> str:
    channels, dilation, outputs = draw.size(1, 12), draw.size(1, 9), draw.size(1, 30)
    source = draw.feature_map(channels)
    window = _window(draw, source, dilated=True)
    shape = [outputs, draw.size(1, channels // np.gcd(channels, dilation)), *window.pop("kernel_shape")]
    if "auto_pad" in window:  # not among the operator's attributes
        window = {"strides": window["strides"]}
    attributes = window | {"cyclic_dilation": dilation, "group": outputs}
    return _weighted(draw, cyclic.OPERATOR, source, shape, 0, SKIPSTONE, **attributes)


def gemm(draw: Draw) -> str:
    depth, outputs = draw.size(1, 200), draw.size(1, 12)
    source = draw.source([depth])
    if draw.coin():
        return _weighted(draw, "Gemm", source, [outputs, depth], 0, transB=1)
    return _weighted(draw, "Gemm", source, [depth, outputs], 1)


def matmul(draw: Draw) -> str:
    depth, outputs = draw.size(1, 200), draw.size(1, 12)
    rows = [draw.size(1, 4)] if draw.coin() else []
    return _weighted(draw, "MatMul", draw.source([*rows, depth]), [depth, outputs], 1)


def add(draw: Draw) -> str:
    first = draw.feature_map()
    scale = first.scale * draw.scale(0.3, 3)
    kind = draw.size(0, 2)
    if kind == 0:
        second = draw.source(first.shape[1:], scale)
    else:
        shape = [first.shape[1], 1, 1] if kind == 1 else [1, *first.shape[1:]]
        values = draw.rng.integers(0, 100, shape).astype(draw.dtype)
        second = Quantised(draw.writer.constant(values), shape, scale, draw.zero())
    operands = [first, second] if draw.coin() else [second, first]
    output_scale = float(np.float32(first.scale * draw.scale(0.5, 3)))
    if draw.qdq:
        return draw.output(draw.writer.node("Add", [draw.real(value) for value in operands]), output_scale)
    inputs = [*draw.stated(operands[0]), *draw.stated(operands[1]), *draw.parameters(output_scale, draw.zero())]
    return draw.writer.node("QLinearAdd", inputs, MICROSOFT)


def _pooled_scale(draw: Draw, source: Quantised) -> float:
    return float(np.float32(source.scale * draw.scale(0.4, 2)))


def average_pool(draw: Draw) -> str:
    source = draw.feature_map()
    attributes = _window(draw, source, dilated=False) | {"count_include_pad": draw.size(0, 1)}
    if "pads" in attributes and not attributes["count_include_pad"]:
        attributes["ceil_mode"] = draw.size(0, 1)
    return _averaged(draw, "AveragePool", source, **attributes)


def global_average_pool(draw: Draw) -> str:
    return _averaged(draw, "GlobalAveragePool", draw.feature_map())


def _averaged(draw: Draw, op: str, source: Quantised, **attributes: Any) -> str:
    scale = _pooled_scale(draw, source)
    if draw.qdq:
        return draw.output(draw.writer.node(op, [draw.real(source)], **attributes), scale)
    inputs = [*draw.stated(source), *draw.parameters(scale, draw.zero())]
    return draw.writer.node(f"QLinear{op}", inputs, MICROSOFT, **attributes)


def reduce_mean(draw: Draw) -> str:
    source = draw.feature_map()
    axes = [[2, 3], [-1, -2], [2], [3]][draw.size(0, 3)]
    keep = 1 if len(axes) == 1 else draw.size(0, 1)  # (1, C, W) would have to be transposed
    real = draw.writer.node("ReduceMean", [draw.real(source)], axes=axes, keepdims=keep)
    return draw.output(real, _pooled_scale(draw, source))


def max_pool(draw: Draw) -> str:
    source = draw.feature_map()
    attributes = _window(draw, source, dilated=False)
    if "pads" in attributes:
        attributes["ceil_mode"] = draw.size(0, 1)
    if draw.qdq:
        return draw.output(draw.writer.node("MaxPool", [draw.real(source)], **attributes), _pooled_scale(draw, source))
    return _read(draw, draw.writer.node("MaxPool", [source.name], **attributes), source)


def global_max_pool(draw: Draw) -> str:
    source = draw.feature_map()
    return draw.output(draw.writer.node("GlobalMaxPool", [draw.real(source)]), _pooled_scale(draw, source))


def _read(draw: Draw, name: str, source: Quantised) -> str:
    """A reader that states the scale of integers that were moved."""
    draw.writer.dequantise(name, source.scale, source.zero, draw.dtype)
    return name


def rectifier(draw: Draw) -> str:
    source = draw.feature_map()
    return draw.output(draw.real(source), float(np.float32(source.scale * draw.scale(0.3, 3))))


def pad(draw: Draw) -> str:
    source = draw.feature_map()
    pads = draw.writer.constant([0, *[draw.size(0, 3) for _ in range(3)]] * 2, np.int64)
    if draw.qdq:
        value = [draw.writer.constant(draw.rng.normal() * 50 * source.scale, np.float32)] if draw.coin() else []
        return draw.output(draw.writer.node("Pad", [draw.real(source), pads, *value]), _pooled_scale(draw, source))
    value = [draw.writer.constant(draw.size(0, 127), draw.dtype)] if draw.coin() else []
    return _read(draw, draw.writer.node("Pad", [source.name, pads, *value]), source)


def concat(draw: Draw) -> str:
    first = draw.feature_map()
    axis = draw.size(1, 3)
    sources = [first]
    for _ in range(draw.size(0, 2)):
        shape = first.shape[1:]
        shape[axis - 1] = draw.size(1, 5)
        sources.append(draw.source(shape, first.scale * draw.scale(0.5, 2)))
    stated = axis - 4 if draw.coin() else axis
    scale = _pooled_scale(draw, first)
    if draw.qdq:
        return draw.output(draw.writer.node("Concat", [draw.real(value) for value in sources], axis=stated), scale)
    inputs = draw.parameters(scale, draw.zero())
    for value in sources:
        inputs += draw.stated(value)
    return draw.writer.node("QLinearConcat", inputs, MICROSOFT, axis=stated)


def softmax(draw: Draw) -> str:
    # Over one element, ONNX Runtime's QLinearSoftmax overflows.
    source = draw.source([draw.size(2, 40)], draw.scale(1e-3, 0.5))
    lowest = int(np.iinfo(draw.dtype).min)
    if draw.qdq:
        scale, zero = (1 / 256, lowest) if draw.coin() else (draw.scale(1 / 500, 1 / 100), draw.zero())
        return draw.output(draw.writer.node("Softmax", [draw.real(source)]), scale, zero)
    # Where an int8 result would be above 127, ONNX Runtime wraps around instead of saturating.
    scale, zero = (1 / 256, draw.zero()) if draw.dtype is np.uint8 else (1 / 255, lowest)
    inputs = [*draw.stated(source), *draw.parameters(scale, zero)]
    return draw.writer.node("QLinearSoftmax", inputs, MICROSOFT, axis=-1, opset=13)


def quantize(draw: Draw) -> str:
    name = draw.writer.input("x", [BATCH, draw.size(1, 50)], np.float32)
    return draw.writer.quantise(name, draw.scale(), draw.zero(), draw.dtype)


def dequantize(draw: Draw) -> str:
    return draw.real(draw.feature_map())


_QUANTISED_ONLY = ("cyclic_conv",)
_QDQ_ONLY = ("rectifier", "reduce_mean", "global_max_pool", "quantize", "dequantize")
_BUILDERS: dict[str, Callable[[Draw], str]] = {
    function.__name__: function
    for function in (
        *(conv, depthwise_conv, cyclic_conv, gemm, matmul, add, average_pool, global_average_pool, reduce_mean),
        *(max_pool, global_max_pool, rectifier, pad, concat, softmax, quantize, dequantize),
    )
}
OPERATORS = [
    (name, qdq) for name in _BUILDERS for qdq in (False, True) if name not in (_QUANTISED_ONLY if qdq else _QDQ_ONLY)
]


def build(operator: str, qdq: bool, seed: int) -> onnx.ModelProto:
    """A graph of one operator whose parameters follow from the seed."""
    rng = np.random.default_rng(seed)
    draw = Draw(rng, GraphWriter(), qdq, (np.int8, np.uint8)[rng.integers(2)])
    return draw.writer.model(_BUILDERS[operator](draw))


def random_inputs(model: onnx.ModelProto, seed: int, batch: int = 4) -> dict[str, np.ndarray]:
    """A batch for each input, whose first two entries are the extremes."""
    rng = np.random.default_rng(seed)
    inputs = {}
    for info in model.graph.input:
        shape = [batch, *(dim.dim_value for dim in info.type.tensor_type.shape.dim[1:])]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)
        if dtype == np.float32:
            inputs[info.name] = (rng.normal(size=shape) * 20).astype(np.float32)
            continue
        limits = np.iinfo(dtype)
        inputs[info.name] = rng.integers(limits.min, limits.max + 1, shape, dtype)
        inputs[info.name][0], inputs[info.name][1] = limits.min, limits.max
    return inputs
