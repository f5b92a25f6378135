"""Training of a classifier, and pruning it as it is trained."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own name for it

from models.sparsity.pruning import Pruner
from models.training.batches import Augmentation, batches, to_input
from models.training.module import Classifier

Images = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]

_PRUNE_EVERY = 20
_CLIP = 1.0


@dataclass(frozen=True)
class Recipe:
    """How long and how fast a network is trained.

    Attributes:
        epochs: passes over the training images.
        learning_rate: of Adam at its highest; it rises over the first `warm_up` of all steps, then falls to 0 as a
            cosine.
        batch: images of a step.
        warm_up: share of the steps.
        augmentation: what is done to the images.
        distillation: weight of the teacher's softened scores in the loss, against the labels; 0 without a teacher.
        temperature: that softens the scores.
    """

    epochs: int
    learning_rate: float
    augmentation: Augmentation
    batch: int = 64
    warm_up: float = 0.05
    distillation: float = 0.5
    temperature: float = 4.0

    def rate(self, step: int, steps: int) -> float:
        """The learning rate at one of ``steps`` steps."""
        rising = self.warm_up * steps
        if step < rising:
            return self.learning_rate * (step + 1) / (rising + 1)
        return self.learning_rate * (1 + math.cos(math.pi * (step - rising) / (steps - rising))) / 2


def steps_of(recipe: Recipe, images: int) -> int:
    """Training steps in all."""
    return recipe.epochs * (images // recipe.batch)


def train(
    module: Classifier,
    images: Images,
    labels: Labels,
    recipe: Recipe,
    *,
    pruner: Pruner | None = None,
    teacher: Classifier | None = None,
    seed: int = 0,
    say: Callable[[str], None] = print,
) -> None:
    """Train in place.

    Args:
        module: what is trained.
        images, labels: uint8[N, height, width, channels] and int64[N].
        recipe: how.
        pruner: drops weights on the way, or holds those that are dropped at 0; steps as `steps_of` counts them.
        teacher: a trained network whose scores are learnt along with the labels.
        seed: of order and augmentation.
        say: told of each epoch's loss.
    """
    rng = np.random.default_rng(seed)
    optimiser = torch.optim.Adam(module.parameters(), recipe.learning_rate)
    step, steps = 0, steps_of(recipe, len(images))
    for epoch in range(recipe.epochs):
        start, losses = time.monotonic(), []
        for pixels, classes in batches(images, labels, recipe.batch, recipe.augmentation, rng):
            for group in optimiser.param_groups:
                group["lr"] = recipe.rate(step, steps)
            inputs = _inputs(module, pixels)
            optimiser.zero_grad()
            loss = _loss(module(inputs), torch.from_numpy(classes), teacher, inputs, recipe)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(module.parameters(), _CLIP)
            optimiser.step()
            losses.append(loss.item())
            step += 1
            if pruner is not None:
                if step % _PRUNE_EVERY == 0:
                    pruner.step(step, _weights(module))
                _apply(module, pruner)
        say(f"epoch {epoch + 1} of {recipe.epochs}: loss {np.mean(losses):.4f}, {time.monotonic() - start:.0f} s")


@torch.no_grad()
def accuracy(module: Classifier, images: Images, labels: Labels, batch: int = 250) -> float:
    """Share of the images whose highest score is that of their class."""
    correct = 0
    for first in range(0, len(images), batch):
        scores = module(_inputs(module, images[first : first + batch]))
        correct += int((scores.argmax(dim=1).numpy() == labels[first : first + batch]).sum())
    return correct / len(images)


@torch.no_grad()
def observe(module: Classifier, images: Images) -> dict[str, npt.NDArray[np.float32]]:
    """Every step's output on images, by name, for calibration."""
    return {name: values.numpy() for name, values in module.tensors(_inputs(module, images)).items()}


def _inputs(module: Classifier, pixels: Images) -> torch.Tensor:
    inputs = torch.from_numpy(to_input(pixels, module.graph.pixel_scale))
    # PyTorch's convolutions of few channels are twice as fast with channels last.
    return inputs.contiguous(memory_format=torch.channels_last)


def _loss(
    scores: torch.Tensor, classes: torch.Tensor, teacher: Classifier | None, inputs: torch.Tensor, recipe: Recipe
) -> torch.Tensor:
    loss = F.cross_entropy(scores, classes)
    if teacher is None or not recipe.distillation:
        return loss
    with torch.no_grad():
        expected = F.softmax(teacher(inputs) / recipe.temperature, dim=1)
    softened = F.log_softmax(scores / recipe.temperature, dim=1)
    # Gradients of softened scores are smaller by the temperature's square (Hinton et al. 2015).
    learnt = F.kl_div(softened, expected, reduction="batchmean") * recipe.temperature**2
    return (1 - recipe.distillation) * loss + recipe.distillation * learnt


def _weights(module: Classifier) -> dict[str, npt.NDArray[np.float32]]:
    return {name: module.weight(name).detach().numpy() for name in module.graph.weighted()}


@torch.no_grad()
def _apply(module: Classifier, pruner: Pruner) -> None:
    for name, mask in pruner.masks.items():
        module.weight(name).mul_(torch.from_numpy(mask))
