"""How evenly a layer's non-zero weights keep the units (PUs) of a sparse-weight grid busy.

A unit takes one non-zero weight a cycle, and all units wait for the slowest: after each tile of input channels, and at
the end of a pass, which is as many kernels as the grid has accumulators for (units x slots). The utilisation is that of
the units over a whole layer, mean over maximum of their loads: what balance alone costs. Memory, fillers and edges of
the feature map, which are the compiler's to model, are not in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from models.layers import Conv2D, FullyConnected, WeightedLayer
from models.network import Network
from models.sparsity.merging import MergingError, merge_kernels, unit_loads
from models.sparsity.partitions import nonzeros_by_kernel
from models.sparsity.pruning import Mask, Rule, balanced_mask


class Dealing(StrEnum):
    """Which kernels share a pass, and which unit gets each.

    IN_ORDER: a kernel a unit, as they come. SORTED: a kernel a unit, kernels of similar size in one pass. MERGED:
    several kernels a unit, one a slot, by `merge_kernels`.
    """

    IN_ORDER = "in order"
    SORTED = "sorted"
    MERGED = "merged"


def grid_cycles(nonzeros: npt.NDArray, pus: int, slots: int, dealing: Dealing) -> int:
    """Cycles that a layer takes for each position of its output.

    Args:
        nonzeros: of each kernel in each tile, integers [tiles, kernels].
        pus, slots: units, and accumulators of each, which only MERGED uses more than one of.
        dealing: how kernels are dealt.

    Returns:
        The sum over all passes and tiles of the largest load of a unit.

    Raises:
        MergingError: no units or slots.
    """
    if min(pus, slots) < 1:
        raise MergingError(f"kernels do not fit {pus} units of {slots} slots")
    order = np.arange(nonzeros.shape[1])
    if dealing is not Dealing.IN_ORDER:
        order = np.argsort(-nonzeros.sum(axis=0), kind="stable")
    size = pus * (slots if dealing is Dealing.MERGED else 1)
    cycles = 0
    for first in range(0, len(order), size):
        counts = nonzeros[:, order[first : first + size]]
        places = merge_kernels(counts, pus, slots if dealing is Dealing.MERGED else 1)
        cycles += int(unit_loads(counts, places, pus).max(axis=1).sum())
    return cycles


@dataclass(frozen=True)
class Balance:
    """One layer on a grid.

    Attributes:
        name: of the layer.
        kernels: that are dealt: output maps, or blocks of outputs that lanes share.
        density: share of the weights (of the blocks) that are not 0.
        utilisation: of the units, by dealing; 1.0 if there is nothing to do.
    """

    name: str
    kernels: int
    density: float
    utilisation: dict[Dealing, float]


def entries(layer: WeightedLayer, weights: npt.NDArray, lanes: int) -> npt.NDArray:
    """The weights as a unit reads them: a convolution's own, and of a fully connected layer whether a block has any."""
    if not isinstance(layer, FullyConnected):
        return weights
    return np.logical_or.reduceat(weights != 0, np.arange(0, len(weights), lanes), axis=0)


def measure(name: str, weights: npt.NDArray, pus: int, slots: int, channel_tile: int | None = None) -> Balance:
    """How evenly weights [kernels, ..., channels] load a grid.

    Raises:
        PartitionError: no weights, or tiles of no channels.
        MergingError: no units or slots.
    """
    counts = nonzeros_by_kernel(weights, channel_tile)
    cycles = {dealing: grid_cycles(counts, pus, slots, dealing) for dealing in Dealing}
    useful = int(counts.sum())
    utilisation = {dealing: useful / (pus * taken) if taken else 1.0 for dealing, taken in cycles.items()}
    return Balance(name, counts.shape[1], useful / weights.size, utilisation)


def prunable(network: Network) -> Iterator[Conv2D | FullyConnected]:
    """The layers whose zero weights a grid skips: convolutions and fully connected layers."""
    for layer in network.layers:
        if isinstance(layer, Conv2D | FullyConnected):
            yield layer


def pruned_masks(layer: WeightedLayer, density: float, lanes: int, channel_tile: int | None) -> tuple[Mask, Mask]:
    """What pruning a layer by magnitude keeps: with one threshold for all its kernels, and with balance.

    Raises:
        PruningError: a density outside 0 to 1.
    """
    weights = layer.weights
    rule = Rule(channel_tile, lanes=lanes if isinstance(layer, FullyConnected) else 1)
    return balanced_mask(weights, np.zeros(weights.shape, np.int64), density), rule.mask(weights, density)
