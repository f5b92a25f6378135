"""Load-balance-aware magnitude pruning: the same share of the weights is kept in every partition.

A global threshold leaves some kernels several times as many weights as others, and a machine that deals kernels to
units then waits for the fullest. Here each partition (`models.sparsity.partitions`) keeps exactly
round(density x size) weights, those of the largest magnitude, so all units are done together.

Weights are pruned while the network is trained: `CubicSchedule` says how many are kept at each step, `Pruner` keeps the
masks and freezes them at the end, after which the weights that are left are trained on under the frozen mask.

For fully connected layers on a vector of lanes, the outputs that the lanes hold side by side share one pattern, so
that one index serves all lanes: `lane_block_mask` keeps or drops blocks of lanes x 1 weights.

Sources: load-balance-aware pruning, RSNN (You & Wu, IEEE Access 2021); the schedule, Zhu & Gupta, "To prune, or not to
prune" (2017), equation 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from models.errors import SkipstoneError
from models.sparsity.partitions import Labels, kernel_partition

Mask = npt.NDArray[np.bool_]


class PruningError(SkipstoneError):
    """A density, a schedule or weights that cannot be pruned."""


def quota(size: int, density: float) -> int:
    """Weights kept out of ``size``: density x size to the nearest whole number, halves up."""
    # Decimal densities are not exact in binary: 0.35 x 10 must stay the half that was meant.
    return int(np.floor(round(density * size, 9) + 0.5))


def balanced_mask(weights: npt.NDArray, labels: Labels, density: float) -> Mask:
    """Which weights are kept: in each partition exactly `quota` of the largest magnitude.

    Of equal magnitudes the earlier ones are kept. Weights that are 0 are the last to be kept, so the mask of weights
    already pruned lies within the one before as long as the density does not rise.

    Args:
        weights: real numbers or integers of any shape.
        labels: partition of each weight, integers of 0 or more, of the same shape.
        density: share of the weights to keep, 0 to 1.

    Raises:
        PruningError: another density, labels of another shape, or a weight that is not a finite number.
    """
    if not 0 <= density <= 1:
        raise PruningError(f"a density of {density}: give the share of weights to keep, 0 to 1")
    if labels.shape != weights.shape:
        raise PruningError(f"labels of shape {list(labels.shape)} for weights of shape {list(weights.shape)}")
    magnitudes = abs(weights.astype(np.float64)).ravel()
    if not np.isfinite(magnitudes).all():
        raise PruningError("a weight is not a finite number: has the training diverged?")
    flat = labels.ravel()
    order = np.lexsort((-magnitudes, flat))
    sizes = np.bincount(flat)
    firsts = np.cumsum(sizes) - sizes
    rank = np.arange(flat.size) - firsts[flat[order]]
    quotas = np.array([quota(int(size), density) for size in sizes], np.int64)
    mask = np.empty(flat.size, np.bool_)
    mask[order] = rank < quotas[flat[order]]
    return mask.reshape(weights.shape)


def lane_block_mask(weights: npt.NDArray, lanes: int, density: float, input_tile: int | None = None) -> Mask:
    """Which weights of a fully connected layer are kept: whole blocks of ``lanes`` outputs x 1 input.

    A block's magnitude is the sum of its weights' magnitudes. Each row of blocks keeps `quota` of them in each tile.

    Args:
        weights: [outputs, inputs]; if lanes do not divide the outputs, the last row of blocks is lower.
        lanes: outputs that share a pattern.
        density: share of the blocks to keep.
        input_tile: inputs of a tile, or None for one tile of all.

    Raises:
        PruningError: as `balanced_mask`, or weights that are no matrix, or no lanes.
        PartitionError: a tile of no inputs.
    """
    if weights.ndim != 2 or lanes < 1:
        raise PruningError(f"blocks of {lanes} lanes of weights of shape {list(weights.shape)}: give a matrix")
    starts = np.arange(0, len(weights), lanes)
    scores = np.add.reduceat(abs(weights.astype(np.float64)), starts, axis=0)
    kept = balanced_mask(scores, kernel_partition(scores.shape, input_tile), density)
    return np.repeat(kept, lanes, axis=0)[: len(weights)]


@dataclass(frozen=True)
class CubicSchedule:
    """Density over training steps: falls quickly at first, when many weights are superfluous, then ever slower.

    density(t) = final + (initial - final) (1 - (t - begin) / (end - begin))^3 between ``begin`` and ``end``; before,
    it is ``initial``, from ``end`` on ``final``.

    Raises:
        PruningError: densities outside 0 to 1 or rising, or an end before the begin.
    """

    initial: float
    final: float
    begin: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.final <= self.initial <= 1:
            raise PruningError(f"densities from {self.initial} to {self.final}: they fall, between 1 and 0")
        if not 0 <= self.begin <= self.end:
            raise PruningError(f"a schedule from step {self.begin} to step {self.end}")

    def density(self, step: int) -> float:
        """The density from this step on."""
        if step >= self.end:
            return self.final
        left = 1 - max(step - self.begin, 0) / (self.end - self.begin)
        return self.final + (self.initial - self.final) * left**3


@dataclass(frozen=True)
class Rule:
    """How one layer's weights are pruned.

    Attributes:
        channel_tile: input channels (inputs, in a fully connected layer) of a tile, or None for one tile.
        channel_axis: dimension of the input channels.
        lanes: 1, or the outputs that share a pattern, in a fully connected layer.
    """

    channel_tile: int | None = None
    channel_axis: int = -1
    lanes: int = 1

    def mask(self, weights: npt.NDArray, density: float) -> Mask:
        """What is kept at a density; raises as `balanced_mask`, `lane_block_mask` and `kernel_partition`."""
        if self.lanes > 1:
            return lane_block_mask(weights, self.lanes, density, self.channel_tile)
        return balanced_mask(weights, kernel_partition(weights.shape, self.channel_tile, self.channel_axis), density)


@dataclass
class Pruner:
    """Masks of several layers over a schedule: each lies within the one before, and the last is frozen.

    Attributes:
        rules: of the layers that are pruned, by name.
        schedule: density at each step.
        masks: those of the last `step`, by name; empty before the first.
        frozen: whether the masks are the final ones, which no further step changes.
    """

    rules: Mapping[str, Rule]
    schedule: CubicSchedule
    masks: dict[str, Mask] = field(default_factory=dict)
    frozen: bool = False

    def step(self, step: int, weights: Mapping[str, npt.NDArray]) -> Mapping[str, Mask]:
        """The masks from this step on, given all layers' weights as they are now; the caller applies them.

        A weight that was dropped stays dropped, whatever its value has become.

        Raises:
            PruningError, PartitionError: as `Rule.mask`.
        """
        if not self.frozen:
            density = self.schedule.density(step)
            for name, rule in self.rules.items():
                kept = weights[name] if name not in self.masks else weights[name] * self.masks[name]
                self.masks[name] = rule.mask(kept, density)
            self.frozen = step >= self.schedule.end
        return self.masks
