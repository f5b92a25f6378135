"""The networks with cyclic layers that are trained here, and the dense ones in whose place they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from models.sparsity.cyclic import SupportLayer, narrowing, several_paths
from models.training.graph import Convolution, Cyclic, Dense, Flatten, GlobalAverage, Graph, Point, Step
from models.training.topologies import IMAGE

Supports = Sequence[SupportLayer]
"""The support layers of a cascade."""

_SAME = ((1, 1), (1, 1))
# TensorFlow's "same" padding of an even map under a 3x3 kernel with stride 2.
_SAME_STRIDE_2 = ((0, 1), (0, 1))

LENET_CASCADES: dict[str, tuple[Supports, Supports, Supports]] = {
    "lenet300_csc12": (
        narrowing(784, 300, 308, 28, (28,)),
        narrowing(300, 100, 100, 15, (20,)),
        (),
    ),
    "lenet300_csc21": (
        narrowing(784, 300, 294, 16, (7, 7)),
        narrowing(300, 100, 100, 6, (5, 10)),
        (),
    ),
    "lenet300_csc46": (
        narrowing(784, 300, 112, 7, (4, 4, 7)),
        narrowing(300, 100, 50, 6, (10, 5)),
        (SupportLayer(100, 5, 20, 20),),
    ),
}
"""What LeNet-300-100's three layers become, by name, which tells how many times fewer parameters there are.

Each hidden layer becomes a cascade with exactly one path between each pair of ends. The last layer stays dense, or is
dense after a support layer.
"""


def lenet300(name: str) -> Graph:
    """LeNet-300-100 (LeCun et al. 1998) for MNIST: dense as ``lenet300``, or one of `LENET_CASCADES`."""
    steps: list[Step] = [Point("pixels", (IMAGE,))]
    scores = 100
    if name == "lenet300":
        steps = [
            Flatten("pixels", (IMAGE,)),
            Dense("fc1", ("pixels",), (300, 784)),
            Dense("fc2", ("fc1",), (scores, 300)),
        ]
    else:
        first, second, third = LENET_CASCADES[name]
        steps += _cascade("fc1", "pixels", first)
        steps += _cascade("fc2", "fc1", second)
        for index, support in enumerate(third, start=1):
            steps.append(Cyclic(f"fc3_{index}", (steps[-1].name,), support))
            scores = support.rows
        steps.append(Flatten("flat", (steps[-1].name,)))
    steps.append(Dense("fc3", (steps[-1].name,), (10, scores), relu=False))
    return Graph(name, IMAGE, (1, 28, 28), 1 / 255, tuple(steps))


# Inputs, outputs and stride of the 3x3 convolutions after the first.
_CIFAR_CONVOLUTIONS = ((32, 32, 2), (32, 64, 2), (64, 64, 1), (64, 64, 1), (64, 64, 2))
CIFAR_FANS: dict[str, dict[int, tuple[int, int]]] = {
    "cifar_csc3": {32: (16, 8), 64: (16, 16)},
    "cifar_csc6": {32: (8, 4), 64: (8, 8)},
}
"""Fans of the two support layers of a convolution, by its input channels: four paths between each pair of ends, or one.

The number in a network's name is how many times fewer parameters there are.
"""


def cifar(name: str) -> Graph:
    """A CNN of six convolutions for CIFAR-10: dense as ``cifar_dense``, or cyclic from the second on (`CIFAR_FANS`)."""
    steps: list[Step] = [Convolution("conv1", (IMAGE,), (32, 3, 3, 3), padding=_SAME)]
    for conv, (inputs, outputs, stride) in enumerate(_CIFAR_CONVOLUTIONS, start=2):
        padding = _SAME if stride == 1 else _SAME_STRIDE_2
        title, source = f"conv{conv}", steps[-1].name
        if name == "cifar_dense":
            steps.append(Convolution(title, (source,), (outputs, inputs, 3, 3), stride, padding))
            continue
        cascade = several_paths(inputs, outputs, CIFAR_FANS[name][inputs], kernel=(3, 3), nodes=inputs)
        steps += _cascade(title, source, cascade.layers, stride, padding)
    steps += [
        GlobalAverage("pool", (steps[-1].name,)),
        Flatten("flat", ("pool",)),
        Dense("fc", ("flat",), (10, 64), relu=False),
    ]
    return Graph(name, IMAGE, (3, 32, 32), 1 / 255, tuple(steps))


def _cascade(
    name: str,
    source: str,
    layers: Supports,
    stride: int = 1,
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0)),
) -> list[Cyclic]:
    """A cascade whose last step bears the name, with a bias and a rectifier; the first has stride and padding."""
    steps: list[Cyclic] = []
    for index, support in enumerate(layers, start=1):
        last = index == len(layers)
        title = name if last else f"{name}_{index}"
        steps.append(Cyclic(title, (source,), support, relu=last, bias=last))
        source = title
    return [replace(steps[0], stride=stride, padding=padding), *steps[1:]]
