"""A graph as a PyTorch module."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor, nn

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
    Weighted,
)


class Classifier(nn.Module):
    """The network of a graph; scores [N, classes] for images [N, channels, height, width]."""

    def __init__(self, graph: Graph, parameters: Parameters) -> None:
        super().__init__()
        self.graph = graph
        self._names = tuple(parameters)
        self.values = nn.ParameterDict(
            {_key(name): nn.Parameter(torch.from_numpy(value.copy())) for name, value in parameters.items()}
        )

    def forward(self, images: Tensor) -> Tensor:
        """The classes' scores."""
        return self.tensors(images)[self.graph.steps[-1].name]

    def tensors(self, images: Tensor) -> dict[str, Tensor]:
        """The output of every step, and the input, by name."""
        known = {self.graph.input: images}
        for step in self.graph.steps:
            known[step.name] = _OPERATORS[type(step)](self, step, *(known[name] for name in step.inputs))
        return known

    def weight(self, step: str) -> nn.Parameter:
        """A step's weights."""
        return self.values[_key(f"{step}.weight")]

    def bias(self, step: str) -> nn.Parameter | None:
        """A step's biases, if it has some."""
        name = f"{step}.bias"
        return self.values[_key(name)] if name in self._names else None

    def finish(self, step: Weighted, sums: Tensor) -> Tensor:
        """What follows a step's sums: its rectifier, if it has one."""
        return F.relu(sums) if step.relu else sums

    def parameters_by_name(self) -> Parameters:
        """Copies of all weights and biases."""
        values = {name: self.values[_key(name)].detach().numpy() for name in self._names}
        return {name: np.ascontiguousarray(value).copy() for name, value in values.items()}


def _key(name: str) -> str:
    """A parameter's name without the dots that PyTorch splits names at."""
    return name.replace(".", "__")


def _convolve(module: Classifier, step: Convolution, x: Tensor) -> Tensor:
    (top, bottom), (left, right) = step.padding
    weights, bias = module.weight(step.name), module.bias(step.name)
    if (top, left) == (bottom, right):
        result = F.conv2d(x, weights, bias, stride=step.stride, padding=(top, left))
    else:
        result = F.conv2d(F.pad(x, (left, right, top, bottom)), weights, bias, stride=step.stride)
    return module.finish(step, result)


def _multiply(module: Classifier, step: Dense, x: Tensor) -> Tensor:
    return module.finish(step, F.linear(x, module.weight(step.name), module.bias(step.name)))


def _convolve_cyclic(module: Classifier, step: Cyclic, x: Tensor) -> Tensor:
    """As a dense layer whose other weights are 0: PyTorch is fastest at those."""
    packed, bias, support = module.weight(step.name), module.bias(step.name), step.support
    edges = torch.from_numpy(support.sources)[:, :, None, None].expand(support.shape)
    weights = packed.new_zeros((support.rows, support.nodes, *support.kernel)).scatter(1, edges, packed)
    if x.shape[2:] == support.kernel == (1, 1):
        return module.finish(step, F.linear(x[:, :, 0, 0], weights[:, :, 0, 0], bias)[:, :, None, None])
    (top, bottom), (left, right) = step.padding
    return module.finish(step, F.conv2d(F.pad(x, (left, right, top, bottom)), weights, bias, stride=step.stride))


def _add(module: Classifier, step: Add, first: Tensor, second: Tensor) -> Tensor:
    return F.relu(first + second)


def _max_pool(module: Classifier, step: MaxPool, x: Tensor) -> Tensor:
    return F.max_pool2d(x, step.size)


def _average(module: Classifier, step: GlobalAverage, x: Tensor) -> Tensor:
    return x.mean(dim=(2, 3), keepdim=True)


def _flatten(module: Classifier, step: Flatten, x: Tensor) -> Tensor:
    return x.flatten(1)


def _point(module: Classifier, step: Point, x: Tensor) -> Tensor:
    return x.flatten(1)[:, :, None, None]


_OPERATORS: dict[type[Step], Callable[..., Tensor]] = {
    Convolution: _convolve,
    Dense: _multiply,
    Cyclic: _convolve_cyclic,
    Add: _add,
    MaxPool: _max_pool,
    GlobalAverage: _average,
    Flatten: _flatten,
    Point: _point,
}
