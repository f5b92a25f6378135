"""Batch normalisation (Ioffe and Szegedy 2015) while a network is trained; afterwards it is part of the weights."""

from __future__ import annotations

import numpy as np
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it
from torch import Tensor, nn

from models.training.graph import Graph, Parameters, Weighted
from models.training.module import Classifier

_EPSILON = 1e-5


class NormalisedClassifier(Classifier):
    """The network of a graph with batch normalisation before each rectifier that follows weights.

    Cascades of layers without a rectifier between them train at ten times the learning rate with it.
    """

    def __init__(self, graph: Graph, parameters: Parameters) -> None:
        super().__init__(graph, parameters)
        rectified = [step for step in graph.weighted().values() if step.relu]
        self._places = {step.name: place for place, step in enumerate(rectified)}
        self._norms = nn.ModuleList([nn.BatchNorm2d(step.shape[0], _EPSILON) for step in rectified])

    def finish(self, step: Weighted, sums: Tensor) -> Tensor:
        if not step.relu:
            return sums
        maps = sums if sums.ndim == 4 else sums[:, :, None, None]
        return F.relu(self._norms[self._places[step.name]](maps)).reshape(sums.shape)

    def parameters_by_name(self) -> Parameters:
        """Weights and biases of the network without normalisation that computes the same once trained."""
        parameters = super().parameters_by_name()
        for name, place in self._places.items():
            state = self._norms[place].state_dict()
            gain, shift, mean, variance = (
                state[value].numpy() for value in ("weight", "bias", "running_mean", "running_var")
            )
            gain = gain / np.sqrt(variance + _EPSILON)
            weights, bias = f"{name}.weight", f"{name}.bias"
            parameters[weights] = parameters[weights] * gain.reshape(-1, *[1] * (parameters[weights].ndim - 1))
            parameters[bias] = (parameters[bias] - mean) * gain + shift
        return parameters

    def folded(self) -> Classifier:
        """The trained network without normalisation."""
        return Classifier(self.graph, self.parameters_by_name())
