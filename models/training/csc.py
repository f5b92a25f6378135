"""Trains the zoo's networks with cyclic layers: ``python -m models.training.csc [NETWORK ...] [--output FOLDER]``.

LeNet-300-100 on MNIST and a CNN of six convolutions on CIFAR-10, dense and with cyclic layers, by the same recipe and
from random weights. Batch normalisation, which is part of the weights in the end, is what makes cascades train: there
is no rectifier between their layers. The test images are looked at only to print the accuracy.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import onnx

from models.training.batches import Augmentation
from models.training.command import quantised, run
from models.training.cyclic_topologies import CIFAR_FANS, LENET_CASCADES, cifar, lenet300
from models.training.graph import Graph
from models.training.loop import Images, Labels, Recipe, accuracy, train
from models.training.normalised import NormalisedClassifier
from models.zoo import cifar10, mnist

_SEED = 0


@dataclass(frozen=True)
class Plan:
    """How a network is trained.

    Attributes:
        graph: makes the network of a name.
        recipe: of all networks of the kind.
        training_set, test_set: images and labels.
    """

    graph: Callable[[str], Graph]
    recipe: Recipe
    training_set: Callable[[], tuple[Images, Labels]]
    test_set: Callable[[], tuple[Images, Labels]]

    def results(self, name: str, say: Callable[[str], None] = print) -> Iterator[tuple[str, onnx.ModelProto]]:
        """Train and quantise: the name and its file; raises ZooError if the images cannot be fetched."""
        images, labels = self.training_set()
        graph = self.graph(name)
        start = graph.initial(_SEED)
        say(f"{name}: {sum(values.size for values in start.values()):,} parameters")
        module = NormalisedClassifier(graph, start)
        train(module, images, labels, self.recipe, seed=_SEED, say=say)
        trained = module.folded()
        say(f"top-1 of the test images, before quantisation: {accuracy(trained, *self.test_set()):.2%}")
        yield name, quantised(trained, images)


_LENET = Plan(
    lenet300, Recipe(16, 1.5e-2, Augmentation(0, mirror=False), batch=128), mnist.training_set, mnist.test_set
)
_CIFAR = Plan(cifar, Recipe(10, 5e-3, Augmentation(4, mirror=True), batch=128), cifar10.training_set, cifar10.test_set)
PLANS = dict.fromkeys(("lenet300", *LENET_CASCADES), _LENET) | dict.fromkeys(("cifar_dense", *CIFAR_FANS), _CIFAR)
"""How each network is trained, by name."""

# The fewer weights, the longer they go on learning.
PLANS["lenet300_csc46"] = replace(_LENET, recipe=replace(_LENET.recipe, epochs=40))


def main(arguments: list[str] | None = None) -> int:
    """Train the networks that are named, or all; returns the exit status."""
    trainings = {name: partial(plan.results, name) for name, plan in PLANS.items()}
    description = "Train LeNet-300-100 and a CNN for CIFAR-10, dense and with cyclic layers."
    return run("csc", description, trainings, arguments)


if __name__ == "__main__":
    sys.exit(main())
