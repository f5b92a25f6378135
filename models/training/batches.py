"""Batches of images for training: shuffled, shifted and mirrored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Augmentation:
    """What may be done to an image without changing its class.

    Attributes:
        shift: pixels by which it moves at most, in each direction; level 0 moves in.
        mirror: whether left and right may be exchanged.
    """

    shift: int
    mirror: bool


def to_input(images: npt.NDArray[np.uint8], pixel_scale: float) -> npt.NDArray[np.float32]:
    """Pixels uint8[N, height, width, channels] as a network's input: float32[N, channels, height, width]."""
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32) * np.float32(pixel_scale)


def batches(
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    size: int,
    augmentation: Augmentation,
    rng: np.random.Generator,
) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]]:
    """One epoch: every image once, in random order, augmented; what does not fill a batch at the end is left out."""
    around = (augmentation.shift, augmentation.shift)
    padded = np.pad(images, ((0, 0), around, around, (0, 0)))
    order = rng.permutation(len(images))
    for first in range(0, len(order) - size + 1, size):
        chosen = order[first : first + size]
        yield _cropped(padded, chosen, images.shape[1:3], augmentation, rng), labels[chosen]


def _cropped(
    padded: npt.NDArray[np.uint8],
    chosen: npt.NDArray[np.int64],
    shape: tuple[int, ...],
    augmentation: Augmentation,
    rng: np.random.Generator,
) -> npt.NDArray[np.uint8]:
    """A window of ``shape`` at a random place of each chosen image."""
    height, width = shape
    count = (len(chosen), 1)
    rows = rng.integers(0, 2 * augmentation.shift + 1, count) + np.arange(height)
    across = np.broadcast_to(np.arange(width), (len(chosen), width))
    if augmentation.mirror:
        across = np.where(rng.random(count) < 0.5, across[:, ::-1], across)
    columns = rng.integers(0, 2 * augmentation.shift + 1, count) + across
    return padded[chosen[:, np.newaxis, np.newaxis], rows[:, :, np.newaxis], columns[:, np.newaxis, :]]
