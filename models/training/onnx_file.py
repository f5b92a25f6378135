"""A trained graph as an int8 ONNX file of standard operators: QDQ, QuantizeLinear and DequantizeLinear around each.

Support layers of cyclic networks are the operator that `models.importers.onnx.cyclic` defines, on integers.

Input and output are int8: a pixel of level p is p - 128, and the scores have a scale and zero point of their own.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from models.importers.onnx import cyclic
from models.importers.onnx.reader import SKIPSTONE
from models.tensor import Quantisation
from models.training.graph import (
    Add,
    Convolution,
    Cyclic,
    Dense,
    Flatten,
    GlobalAverage,
    Graph,
    MaxPool,
    Parameters,
    Point,
    Step,
)
from models.training.onnx_writer import GraphWriter
from models.training.quantising import quantise_activations, quantise_weights

_PIXEL_ZERO = -128


def to_onnx(graph: Graph, parameters: Parameters, observed: Mapping[str, npt.NDArray[np.float32]]) -> onnx.ModelProto:
    """The file of a graph.

    Args:
        graph: what it computes.
        parameters: real weights and biases.
        observed: every step's output on some images, by name; their ranges become the activations' scales.

    Returns:
        A model of opset 17 with a batch of any size. Each step's int8 output bears the step's name.
    """
    file = _File(graph, parameters)
    for step in graph.steps:
        file.add(step, observed)
    return file.model()


class _File:
    def __init__(self, graph: Graph, parameters: Parameters) -> None:
        self._graph, self._parameters = graph, parameters
        self._writer = GraphWriter()
        self._writer.input(graph.input, ["batch", *graph.shape], np.int8)
        pixels = float(np.float32(graph.pixel_scale))
        self._quantisations = {graph.input: Quantisation.per_tensor(pixels, _PIXEL_ZERO)}
        self._reals: dict[str, str] = {}

    def add(self, step: Step, observed: Mapping[str, npt.NDArray[np.float32]]) -> None:
        """Append a step."""
        if isinstance(step, MaxPool | Flatten | Point):
            self._move(step)
            return
        self._quantisations[step.name] = quantise_activations(observed[step.name])
        if isinstance(step, Cyclic):
            self._convolve_cyclic(step)
            return
        result = self._compute(step)
        scale, zero = _whole(self._quantisations[step.name])
        self._writer.quantise(result, scale, zero, np.int8, output=step.name)

    def model(self) -> onnx.ModelProto:
        """The finished file."""
        last = self._graph.steps[-1]
        classes = self._graph.weighted()[last.name].shape[0]
        scores = helper.make_tensor_value_info(last.name, TensorProto.INT8, ["batch", classes])
        return self._writer.model(scores, name=self._graph.name)

    def _move(self, step: MaxPool | Flatten | Point) -> None:
        """Operators that leave integers as they are."""
        (source,) = step.inputs
        self._quantisations[step.name] = self._quantisations[source]
        if isinstance(step, Flatten):
            self._writer.node("Flatten", [source], output=step.name)
        elif isinstance(step, Point):
            shape = self._writer.constant([0, -1, 1, 1], np.int64, name=f"{step.name}/shape")
            self._writer.node("Reshape", [source, shape], output=step.name)
        else:
            window = [step.size, step.size]
            self._writer.node("MaxPool", [source], output=step.name, kernel_shape=window, strides=window)

    def _compute(self, step: Step) -> str:
        """Operators on real values. A rectifier needs none: the output's quantisation saturates at 0.0."""
        sources = [self._real(name) for name in step.inputs]
        name = f"{step.name}/real"
        if isinstance(step, Convolution):
            (top, bottom), (left, right) = step.padding
            strides, pads = [step.stride] * 2, [top, left, bottom, right]
            inputs = [*sources, *self._weights(step)]
            return self._writer.node("Conv", inputs, output=name, strides=strides, pads=pads)
        if isinstance(step, Dense):
            return self._writer.node("Gemm", [*sources, *self._weights(step)], output=name, transB=1)
        operator = {Add: "Add", GlobalAverage: "GlobalAveragePool"}[type(step)]
        return self._writer.node(operator, sources, output=name)

    def _convolve_cyclic(self, step: Cyclic) -> None:
        """A node on integers; a rectifier is the output's saturation here, too."""
        (source,) = step.inputs
        (top, bottom), (left, right) = step.padding
        name, writer = f"{step.name}.weight", self._writer
        bias = self._parameters.get(f"{step.name}.bias", np.zeros(step.shape[0], np.float32))
        quantised = quantise_weights(self._parameters[name], bias, _whole(self._quantisations[source])[0])
        inputs = [
            *(source, *self._stated(source)),
            *(writer.constant(quantised.weights, name=f"{name}/quantised"), writer.scale(quantised.scales.tolist())),
            *(writer.constant(np.zeros(step.shape[0], np.int8), stem="zero"), *self._stated(step.name)),
        ]
        if step.bias:
            inputs.append(writer.constant(quantised.bias, name=f"{step.name}.bias/quantised"))
        edges = {"cyclic_dilation": step.support.dilation, "group": step.shape[0]}
        window = {"strides": [step.stride] * 2, "pads": [top, left, bottom, right]}
        writer.node(cyclic.OPERATOR, inputs, SKIPSTONE, output=step.name, **edges, **window)

    def _stated(self, name: str) -> tuple[str, str]:
        """Scale and zero point of an activation, as constants."""
        scale, zero = _whole(self._quantisations[name])
        return self._writer.scale(scale), self._writer.constant(zero, np.int8, "zero")

    def _real(self, name: str) -> str:
        """An activation as real values, dequantised once for all its readers."""
        if name not in self._reals:
            scale, zero = _whole(self._quantisations[name])
            self._reals[name] = self._writer.dequantise(name, scale, zero, np.int8, output=f"{name}/dequantised")
        return self._reals[name]

    def _weights(self, step: Convolution | Dense) -> tuple[str, str]:
        """Weights and biases as real values."""
        (source,) = step.inputs
        input_scale, _ = _whole(self._quantisations[source])
        weights, bias = self._parameters[f"{step.name}.weight"], self._parameters[f"{step.name}.bias"]
        quantised = quantise_weights(weights, bias, input_scale)
        return (
            self._constant(f"{step.name}.weight", quantised.weights, quantised.scales),
            self._constant(f"{step.name}.bias", quantised.bias, quantised.scales * np.float32(input_scale)),
        )

    def _constant(self, name: str, integers: npt.NDArray, scales: npt.NDArray[np.float32]) -> str:
        """Constants with a scale for each output, as real values called ``name``."""
        stored = self._writer.constant(integers, name=f"{name}/quantised")
        zeros = np.zeros(len(integers), integers.dtype)
        return self._writer.dequantise(stored, scales, zeros, integers.dtype, output=name, axis=0)


def _whole(quantisation: Quantisation) -> tuple[float, int]:
    """Scale and zero point of an activation."""
    return float(quantisation.scale[0]), int(quantisation.zero_point[0])
