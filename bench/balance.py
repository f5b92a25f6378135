"""How much merging kernels regains of what unbalanced pruning loses, on VGG16.

Each kernel's non-zero weights are drawn from a log-normal distribution about the layer's published density: the density
times exp(spread x n - spread^2 / 2) of its weights, n normal, which leaves the mean as it is, at most all of them, to
the nearest whole number. A layer counts by the time that it takes. There are no tiles: all channels are one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from bench.vgg_shapes import VggLayer
from models.sparsity.balance import Dealing, grid_cycles

PUS = 32
SLOTS = 16
"""As many as put all kernels of a layer of 512 into one pass."""

SPREADS = (0.1, 0.2, 0.4)
_SEEDS = range(5)


def sample(layer: VggLayer, spread: float, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Non-zero weights of each kernel of an unevenly pruned layer: int64[1, outputs]."""
    factors = np.exp(spread * rng.normal(size=(1, layer.outputs)) - spread**2 / 2)
    counts = np.rint(layer.density * layer.kernel_weights * factors)
    return np.minimum(counts, layer.kernel_weights).astype(np.int64)


def utilisation(
    layers: Sequence[VggLayer],
    spread: float,
    dealing: Dealing,
    slots: int = SLOTS,
    seeds: Sequence[int] = _SEEDS,
) -> float:
    """Share of the units' time in which they multiply, over all layers."""
    useful = taken = 0
    for seed in seeds:
        rng = np.random.default_rng(seed)
        for layer in layers:
            counts = sample(layer, spread, rng)
            useful += int(counts.sum()) * layer.size**2
            taken += grid_cycles(counts, PUS, slots, dealing) * PUS * layer.size**2
    return useful / taken
