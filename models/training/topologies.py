"""The networks that are trained here."""

from __future__ import annotations

import numpy as np

from models.layers import WeightedLayer
from models.network import Network
from models.training.graph import Add, Convolution, Dense, Flatten, GlobalAverage, Graph, MaxPool, Parameters, Step

IMAGE = "image"
_SAME = ((1, 1), (1, 1))
# TensorFlow's "same" padding of an even map under a 3x3 kernel with stride 2.
_SAME_STRIDE_2 = ((0, 1), (0, 1))


def lenet5() -> Graph:
    """LeNet-5 (LeCun et al. 1998) for MNIST as it is built today: ReLU, max-pooling and full connections."""
    return Graph(
        "lenet5",
        IMAGE,
        (1, 28, 28),
        1 / 255,
        (
            Convolution("conv1", (IMAGE,), (6, 1, 5, 5), padding=((2, 2), (2, 2))),
            MaxPool("pool1", ("conv1",)),
            Convolution("conv2", ("pool1",), (16, 6, 5, 5)),
            MaxPool("pool2", ("conv2",)),
            Flatten("flat", ("pool2",)),
            Dense("fc1", ("flat",), (120, 400)),
            Dense("fc2", ("fc1",), (84, 120)),
            Dense("fc3", ("fc2",), (10, 84), relu=False),
        ),
    )


def resnet8() -> Graph:
    """ResNet-8 for CIFAR-10 as in MLPerf Tiny, batch normalisation folded into the convolutions."""
    steps: list[Step] = [Convolution("stem", (IMAGE,), (16, 3, 3, 3), padding=_SAME)]
    source, inputs = "stem", 16
    for stack, outputs in enumerate((16, 32, 64), start=1):
        widens = outputs != inputs
        first, second, shortcut, total = (f"stack{stack}_{part}" for part in ("conv1", "conv2", "shortcut", "add"))
        stride, padding = (2, _SAME_STRIDE_2) if widens else (1, _SAME)
        steps.append(Convolution(first, (source,), (outputs, inputs, 3, 3), stride, padding))
        steps.append(Convolution(second, (first,), (outputs, outputs, 3, 3), padding=_SAME, relu=False))
        if widens:
            steps.append(Convolution(shortcut, (source,), (outputs, inputs, 1, 1), stride, relu=False))
        steps.append(Add(total, (shortcut if widens else source, second)))
        source, inputs = total, outputs
    steps += [
        GlobalAverage("pool", (source,)),
        Flatten("flat", ("pool",)),
        Dense("fc", ("flat",), (10, 64), relu=False),
    ]
    return Graph("resnet8", IMAGE, (3, 32, 32), 1 / 255, tuple(steps))


def parameters_of(network: Network, graph: Graph) -> Parameters:
    """Weights and biases of an int8 network as real numbers, for a graph whose weighted steps are its layers in order.

    A layer's requantisation factor is the product of its weights' and its input's scales over its output's, so the
    weights' scale follows from it. The graph's first step takes pixels in its own scale.

    Raises:
        ValueError: the network's weighted layers are not those of the graph.
    """
    layers = [layer for layer in network.layers if isinstance(layer, WeightedLayer)]
    parameters: Parameters = {}
    for step, layer in zip(graph.weighted().values(), layers, strict=True):
        scaling = layer.requantisation
        factors = scaling.multiplier * 2.0 ** (scaling.shift.astype(np.int64) - 31)
        accumulator = factors * network.tensors[layer.output].scale
        source = graph.pixel_scale if graph.input in step.inputs else network.tensors[layer.inputs[0]].scale
        weights = np.moveaxis(layer.weights, -1, 1) if layer.weights.ndim == 4 else layer.weights
        if weights.shape != step.shape:
            raise ValueError(f"{layer.name} has weights of shape {weights.shape}, {step.name} of {step.shape}")
        spread = (accumulator / source).reshape(-1, *[1] * (weights.ndim - 1))
        parameters[f"{step.name}.weight"] = (weights * spread).astype(np.float32)
        parameters[f"{step.name}.bias"] = (layer.bias * accumulator).astype(np.float32)
    return parameters
