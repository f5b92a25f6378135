"""Trains the zoo's pruned networks: ``python -m models.training.pruned [lenet5] [resnet8] [--output FOLDER]``.

LeNet-5 is trained on MNIST from the beginning, ResNet-8 starts as MLPerf Tiny's network for CIFAR-10. Each is pruned in
stages, from one density to the next, along a cubic schedule; what is left is trained on under the frozen mask, with the
dense network as its teacher. Each stage's result is quantised on training images and written as an int8 ONNX file.
The test images are looked at only to print the accuracy.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import onnx

from models import zoo
from models.sparsity.pruning import CubicSchedule, Pruner, Rule
from models.training.batches import Augmentation
from models.training.command import quantised, run
from models.training.graph import Convolution, Dense, Graph, Parameters
from models.training.loop import Images, Labels, Recipe, accuracy, steps_of, train
from models.training.module import Classifier
from models.training.topologies import lenet5, parameters_of, resnet8
from models.zoo import cifar10, mnist

CHANNEL_TILE = 16
"""Input channels that share a quota within a kernel: a word of the activation memory."""

LANES = 16
"""Outputs of a fully connected layer that share a pattern."""

_SEED = 0


@dataclass(frozen=True)
class Stage:
    """One density: how it is reached, and how what is left is trained on.

    Attributes:
        density: share of the weights that is left.
        recipe: of the whole stage.
        pruning: epochs of it in which weights are dropped.
    """

    density: float
    recipe: Recipe
    pruning: int


@dataclass(frozen=True)
class Plan:
    """How a network is trained and pruned.

    Attributes:
        graph: of the network.
        start: its dense parameters.
        dense: how those are trained first, or None if they are.
        stages: falling densities.
        dense_steps: names of steps that are not pruned.
        training_set, test_set: images and labels.
    """

    graph: Graph
    start: Callable[[Graph], Parameters]
    dense: Recipe | None
    stages: tuple[Stage, ...]
    dense_steps: tuple[str, ...]
    training_set: Callable[[], tuple[Images, Labels]]
    test_set: Callable[[], tuple[Images, Labels]]

    def rules(self) -> dict[str, Rule]:
        """How each step is pruned: kernels by channel tile, fully connected layers in blocks of lanes."""
        kinds = {Convolution: Rule(CHANNEL_TILE, channel_axis=1), Dense: Rule(lanes=LANES)}
        steps = self.graph.weighted().items()
        return {name: kinds[type(step)] for name, step in steps if name not in self.dense_steps}


_DIGITS = Augmentation(shift=2, mirror=False)
_THINGS = Augmentation(shift=4, mirror=True)

PLANS = {
    "lenet5": Plan(
        lenet5(),
        lambda graph: graph.initial(_SEED),
        Recipe(6, 2e-3, _DIGITS),
        (Stage(0.3, Recipe(4, 1e-3, _DIGITS), 2), Stage(0.1, Recipe(6, 1e-3, _DIGITS), 3)),
        (),
        mnist.training_set,
        mnist.test_set,
    ),
    "resnet8": Plan(
        resnet8(),
        lambda graph: parameters_of(zoo.load("resnet8"), graph),
        None,
        (
            Stage(0.5, Recipe(4, 1e-3, _THINGS), 2),
            Stage(0.35, Recipe(5, 1e-3, _THINGS), 2),
            Stage(0.25, Recipe(6, 1e-3, _THINGS), 2),
        ),
        ("fc",),  # a thousandth of the network
        cifar10.training_set,
        cifar10.test_set,
    ),
}


def results(plan: Plan, say: Callable[[str], None] = print) -> Iterator[tuple[str, onnx.ModelProto]]:
    """Train, prune and quantise: (name, file) of the dense network if it is trained here, then of each stage.

    Raises:
        ZooError: images or a network cannot be fetched.
    """
    images, labels = plan.training_set()
    dense = Classifier(plan.graph, plan.start(plan.graph))
    if plan.dense is not None:
        say(f"{plan.graph.name}: dense")
        train(dense, images, labels, plan.dense, seed=_SEED, say=say)
        yield plan.graph.name, quantised(dense, images)
    _say_accuracy(dense, plan, say)
    module, density = Classifier(plan.graph, dense.parameters_by_name()), 1.0
    for stage in plan.stages:
        say(f"{plan.graph.name}: density {density:g} to {stage.density:g}")
        end = steps_of(stage.recipe, len(images)) * stage.pruning // stage.recipe.epochs
        pruner = Pruner(plan.rules(), CubicSchedule(density, stage.density, 0, end))
        train(module, images, labels, stage.recipe, pruner=pruner, teacher=dense, seed=_SEED, say=say)
        _say_accuracy(module, plan, say)
        density = stage.density
        yield f"{plan.graph.name}_pruned{round(100 * density)}", quantised(module, images)


def _say_accuracy(module: Classifier, plan: Plan, say: Callable[[str], None]) -> None:
    say(f"top-1 of the test images, before quantisation: {accuracy(module, *plan.test_set()):.2%}")


def main(arguments: list[str] | None = None) -> int:
    """Train the networks that are named, or all; returns the exit status."""
    trainings = {name: partial(results, plan) for name, plan in PLANS.items()}
    return run("pruned", "Train and prune LeNet-5 and ResNet-8.", trainings, arguments)


if __name__ == "__main__":
    sys.exit(main())
