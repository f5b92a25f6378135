"""Small float CNNs with random weights, and what ONNX Runtime's quantiser makes of them."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from models.training.onnx_writer import GraphWriter

INPUT = "image"
SHAPE = (3, 16, 16)


class _Samples(CalibrationDataReader):
    """Random images for the quantiser to observe."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._images: Iterator[np.ndarray] = iter(rng.normal(size=(4, 1, *SHAPE)).astype(np.float32))

    def get_next(self) -> dict[str, np.ndarray] | None:
        image = next(self._images, None)
        return None if image is None else {INPUT: image}


class _Layers:
    """A float graph that grows layer by layer."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.writer = GraphWriter()

    def conv(self, source: str, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> str:
        shape = (outputs, inputs // groups, kernel, kernel)
        weights = self._weights(shape)
        bias = self.writer.constant(self.rng.normal(size=outputs) * 0.1, np.float32)
        strides, pads = [stride, stride], [kernel // 2] * 4
        return self.writer.node("Conv", [source, weights, bias], group=groups, strides=strides, pads=pads)

    def relu(self, source: str) -> str:
        return self.writer.node("Relu", [source])

    def gemm(self, source: str, inputs: int, outputs: int) -> str:
        bias = self.writer.constant(self.rng.normal(size=outputs) * 0.1, np.float32)
        return self.writer.node("Gemm", [source, self._weights((outputs, inputs)), bias], transB=1)

    def _weights(self, shape: tuple[int, ...]) -> str:
        fan_in = int(np.prod(shape[1:]))
        values = self.rng.normal(size=shape) * np.sqrt(2 / fan_in)
        values[self.rng.random(shape) < 0.3] = 0  # pruned
        return self.writer.constant(values, np.float32)


def residual(layers: _Layers, image: str) -> str:
    """Two residual blocks, the second with a projection; global average pooling; softmax."""
    stem = layers.relu(layers.conv(image, 3, 8))
    inner = layers.conv(layers.relu(layers.conv(stem, 8, 8)), 8, 8)
    first = layers.relu(layers.writer.node("Add", [inner, stem]))
    inner = layers.conv(layers.relu(layers.conv(first, 8, 16, stride=2)), 16, 16)
    second = layers.relu(layers.writer.node("Add", [inner, layers.conv(first, 8, 16, kernel=1, stride=2)]))
    pooled = layers.writer.node("GlobalAveragePool", [second])
    flat = layers.writer.node("Flatten", [pooled])
    return layers.writer.node("Softmax", [layers.gemm(flat, 16, 10)], axis=-1)


def mobile(layers: _Layers, image: str) -> str:
    """Depthwise separable convolutions with Clip; average pooling; a classifier on a flattened map."""

    def clip(source: str) -> str:
        bounds = [layers.writer.constant(value, np.float32) for value in (0, 6)]
        return layers.writer.node("Clip", [source, *bounds])

    x = clip(layers.conv(image, 3, 8, stride=2))
    x = clip(layers.conv(x, 8, 8, groups=8))
    x = clip(layers.conv(x, 8, 16, kernel=1))
    x = layers.writer.node("AveragePool", [x], kernel_shape=[2, 2], strides=[2, 2])
    x = layers.writer.node("Reshape", [x, layers.writer.constant([0, -1], np.int64)])
    return layers.gemm(x, 16 * 4 * 4, 10)


def inception(layers: _Layers, image: str) -> str:
    """Parallel branches that are joined; max-pooling with padding; two fully connected layers."""
    x = layers.writer.node("MaxPool", [layers.relu(layers.conv(image, 3, 8))], kernel_shape=[2, 2], strides=[2, 2])
    branches = [
        layers.relu(layers.conv(x, 8, 4, kernel=1)),
        layers.relu(layers.conv(x, 8, 6, kernel=3)),
        layers.relu(layers.conv(x, 8, 2, kernel=5)),
        layers.writer.node("MaxPool", [x], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
    ]
    joined = layers.writer.node("Concat", branches, axis=1)
    pooled = layers.writer.node("MaxPool", [joined], kernel_shape=[3, 3], strides=[2, 2])
    flat = layers.writer.node("Flatten", [pooled])
    return layers.gemm(layers.relu(layers.gemm(flat, 20 * 3 * 3, 12)), 12, 5)


NETWORKS = {function.__name__: function for function in (residual, mobile, inception)}


def float_network(name: str, seed: int) -> onnx.ModelProto:
    layers = _Layers(np.random.default_rng(seed))
    image = layers.writer.input(INPUT, ["batch", *SHAPE])
    return layers.writer.model(NETWORKS[name](layers, image))


def quantised(name: str, seed: int, qdq: bool, activations: QuantType, per_channel: bool, folder: Path) -> Path:
    """The file of a quantised network; 7-bit weights, as ONNX Runtime advises for processors without VNNI."""
    source, target = folder / "float.onnx", folder / f"{name}.onnx"
    onnx.save(float_network(name, seed), source)
    logging.disable(logging.WARNING)  # it advises to preprocess the network first
    try:
        quantize_static(
            source,
            target,
            _Samples(np.random.default_rng(seed)),
            quant_format=QuantFormat.QDQ if qdq else QuantFormat.QOperator,
            activation_type=activations,
            weight_type=QuantType.QInt8,
            per_channel=per_channel,
            reduce_range=True,
        )
    finally:
        logging.disable(logging.NOTSET)
    return target
