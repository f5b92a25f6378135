"""Float networks as they are trained: a list of steps, from which PyTorch's module and the ONNX file are both made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.sparsity.cyclic import SupportLayer

Parameters = dict[str, npt.NDArray[np.float32]]
"""Weights and biases by name: ``<step>.weight`` and ``<step>.bias``."""


@dataclass(frozen=True)
class Step:
    """One operator; its output bears its name.

    Attributes:
        name: unique in the network.
        inputs: names of earlier steps, or the network's input.
    """

    name: str
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class Convolution(Step):
    """Convolution with a bias.

    Attributes:
        shape: of the weights: outputs, inputs, kernel height and width.
        stride: in both directions.
        padding: ((top, bottom), (left, right)).
        relu: whether negative results become 0.
    """

    shape: tuple[int, int, int, int]
    stride: int = 1
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    relu: bool = True


@dataclass(frozen=True)
class Dense(Step):
    """Fully connected layer with a bias; ``shape`` of the weights: outputs, inputs."""

    shape: tuple[int, int]
    relu: bool = True


@dataclass(frozen=True)
class Cyclic(Step):
    """A support layer of a cyclic sparsely connected network, on channels; its nodes are the input's channels.

    Attributes:
        support: which input channels each output reads; its kernel is that of the edges.
        stride: in both directions.
        padding: ((top, bottom), (left, right)).
        relu: whether negative results become 0.
        bias: whether there is one; not between the support layers of a cascade.
    """

    support: SupportLayer
    stride: int = 1
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    relu: bool = False
    bias: bool = False

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the packed weights: outputs, edges of each, kernel height and width."""
        return self.support.shape


@dataclass(frozen=True)
class Add(Step):
    """Sum of two inputs, negative results 0."""


@dataclass(frozen=True)
class MaxPool(Step):
    """Maximum over windows of size x size, side by side."""

    size: int = 2


@dataclass(frozen=True)
class GlobalAverage(Step):
    """Mean of each feature map."""


@dataclass(frozen=True)
class Flatten(Step):
    """All elements in one row, channels first."""


@dataclass(frozen=True)
class Point(Step):
    """All elements as the channels of a map of 1 x 1, channels first."""


Weighted = Convolution | Dense | Cyclic


@dataclass(frozen=True)
class Graph:
    """A classifier of images; the last step's output are the classes' scores.

    Attributes:
        name: of the network.
        input: name of its input.
        shape: of an image: channels, height, width.
        pixel_scale: the input's value for a step of one of the 256 levels of a pixel; level 0 is 0.0.
        steps: in the order in which they run.
    """

    name: str
    input: str
    shape: tuple[int, int, int]
    pixel_scale: float
    steps: tuple[Step, ...]

    def weighted(self) -> dict[str, Weighted]:
        """The steps with weights, by name."""
        return {step.name: step for step in self.steps if isinstance(step, Weighted)}

    def initial(self, seed: int) -> Parameters:
        """Random weights of the size that keeps activations' variance under ReLU (He et al. 2015), and biases of 0.

        Support layers of a cascade that no rectifier follows keep it as they are.
        """
        rng = np.random.default_rng(seed)
        parameters: Parameters = {}
        for name, step in self.weighted().items():
            linear = isinstance(step, Cyclic) and not step.relu
            spread = np.sqrt((1 if linear else 2) / np.prod(step.shape[1:]))
            parameters[f"{name}.weight"] = (rng.normal(size=step.shape) * spread).astype(np.float32)
            if not isinstance(step, Cyclic) or step.bias:
                parameters[f"{name}.bias"] = np.zeros(step.shape[0], np.float32)
        return parameters
