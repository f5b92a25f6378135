"""The rsnn dataflow on VGG16, pruned with balance to the published densities: ``python -m bench.rsnn``.

By the cycle model for every convolution at full size; with ``--rtl`` also in the generated Verilog for four of them,
cropped to a few rows, beside what the model predicts for the same rows. Weights are random, with the same number of
non-zero ones in each kernel and tile of 32 channels. Layers run from memory to memory, one after another, so that the
weights of a layer arrive while the one before computes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from bench import resident
from bench.vgg_shapes import KERNEL, VGG16, VggLayer
from compiler.candidates import sparse_mappings
from compiler.convolution import Convolution, convolutions
from compiler.program import LayerProgram
from hw.config import CoreConfig
from models.network import Conv2D, Network, Quantisation, Requantisation, Tensor

PUS, LANES = 32, 14
CONFIG = CoreConfig(
    groups=PUS,
    lanes=LANES,
    post_lanes=16,
    accumulators=4,
    weight_depth=4096,
    activation_depth=16384,
    max_channels=512,
    vector=False,
    nullhop=False,
    csc=False,
    rsnn=True,
)
"""The grid of the paper, 32 PUs of 14 PEs, and nothing but rsnn."""

MERGING = CONFIG.with_changes(accumulators=16, scratchpad_depth=4096, weight_depth=16384)
"""The same with room to deal all kernels of a layer at once, in one tile."""

SPREAD = 0.4
"""Of the kernels' densities, where pruning is not balanced."""

TILE = 32
"""Channels within which pruning is balanced."""

CROPPED = {"conv2_2": 8, "conv3_2": 6, "conv4_3": 3, "conv5_3": 14}
"""Layers that run in Verilog, and their rows."""

ZERO = 3
"""Zero point of all activations."""


@dataclass(frozen=True)
class Figures:
    """What a layer took: `cycles` in Verilog (None: it did not run there), `predicted`, useful multiplies and MACs."""

    name: str
    rows: int
    density: float
    cycles: int | None
    predicted: int
    multiplies: int
    macs: int
    fillers: float
    equal: bool | None = None

    @property
    def taken(self) -> int:
        """Cycles, measured if they were."""
        return self.cycles or self.predicted

    @property
    def utilisation(self) -> float:
        """Useful multiplies per multiplier and cycle."""
        return self.multiplies / (self.taken * PUS * LANES)

    @property
    def macs_per_lane(self) -> float:
        """Dense multiply-accumulates per multiplier and cycle."""
        return self.macs / (self.taken * PUS * LANES)


def pruned_weights(layer: VggLayer, density: float, seed: int, spread: float = 0.0) -> npt.NDArray[np.int8]:
    """Random weights [outputs, kernel height, kernel width, inputs] of which each kernel keeps as many in each tile.

    With a `spread` kernels differ: their densities are log-normal about the layer's, with that standard deviation.
    """
    rng = np.random.default_rng(seed)
    weights = np.zeros((layer.outputs, *KERNEL, layer.inputs), np.int8)
    factors = np.exp(spread * rng.normal(size=layer.outputs) - spread**2 / 2)
    for kernel, factor in zip(weights, factors, strict=True):
        for start in range(0, layer.inputs, TILE):
            tile = kernel[..., start : start + TILE]
            kept = rng.permutation(tile.size) < round(min(1.0, density * factor) * tile.size)
            values = rng.integers(1, 128, tile.size) * rng.choice([-1, 1], tile.size)
            tile[...] = np.where(kept, values, 0).reshape(tile.shape)
    return weights


def vgg_network(
    layer: VggLayer, rows: int, density: float | None = None, seed: int = 0, spread: float = 0.0
) -> Network:
    """A layer as a network of its own, with so many rows."""
    weights = pruned_weights(layer, layer.density if density is None else density, seed, spread)
    quantisation = Quantisation.per_tensor(0.05, ZERO)
    tensors = {
        name: Tensor(name, (1, rows, layer.size, channels), np.dtype(np.int8), quantisation)
        for name, channels in ((f"{layer.name}_in", layer.inputs), (layer.name, layer.outputs))
    }
    maps = layer.outputs
    conv = Conv2D(
        name=layer.name,
        inputs=(f"{layer.name}_in",),
        output=layer.name,
        weights=weights,
        bias=np.arange(maps, dtype=np.int32),
        requantisation=Requantisation(np.full(maps, 1 << 30, np.int32), np.full(maps, -12, np.int32)),
        padding=((1, 1), (1, 1)),
        stride=(1, 1),
        input_zero_point=ZERO,
        output_zero_point=ZERO,
        activation=(-128, 127),
    )
    return Network(layer.name, tensors, (conv,), (f"{layer.name}_in",), (layer.name,))


def _convolution(network: Network) -> Convolution:
    (conv,) = convolutions(network).values()
    return conv


def _figures(layer: VggLayer, program: LayerProgram, predicted: int) -> Figures:
    conv, plan = program.conv, program.mapping.sparse
    assert plan is not None
    return Figures(
        name=layer.name,
        rows=conv.size[0],
        density=plan.weights.nonzeros / conv.weights.size,
        cycles=None,
        predicted=predicted,
        multiplies=plan.weights.nonzeros * plan.shape.outputs,
        macs=conv.macs,
        fillers=plan.weights.fillers / plan.weights.entries,
    )


def modelled(
    layers: Sequence[VggLayer] = VGG16,
    density: float | None = None,
    *,
    config: CoreConfig = CONFIG,
    spread: float = 0.0,
) -> list[Figures]:
    """Layers at full size by the cycle model, one after another, on a core whose activation memory is large enough."""
    config = config.with_changes(activation_depth=1 << 17)
    programs = []
    for layer in layers:
        conv = _convolution(vgg_network(layer, layer.size, density, spread=spread))
        programs.append(LayerProgram(conv, sparse_mappings(conv, config)[0], config))
    predicted = resident.predict(programs, config)
    return [_figures(*of_layer) for of_layer in zip(layers, programs, predicted, strict=True)]


def measured(
    rows: dict[str, int], config: CoreConfig = CONFIG, density: float | None = None, seed: int = 0
) -> list[Figures]:
    """Layers of VGG16, cropped to so many rows, in Verilog; a network of one layer each (see `bench.resident`)."""
    shapes = [layer for layer in VGG16 if layer.name in rows]
    networks = [vgg_network(layer, rows[layer.name], density, seed) for layer in shapes]
    runs = resident.measure(networks, config, seed)
    return [
        replace(
            _figures(shape, run.program, run.predicted), cycles=run.cycles, multiplies=run.multiplies, equal=run.equal
        )
        for shape, run in zip(shapes, runs, strict=True)
    ]


def _print(title: str, figures: Sequence[Figures]) -> None:
    table = Table(title=f"{title}, {PUS} x {LANES} multipliers", title_justify="left")
    table.add_column("layer")
    columns = ("rows", "density", "cycles", "predicted", "fillers, %", "utilisation, %", "MAC/cycle/lane", "equal")
    for heading in columns:
        table.add_column(heading, justify="right")
    for one in figures:
        table.add_row(
            one.name,
            str(one.rows),
            f"{one.density:.2f}",
            "" if one.cycles is None else f"{one.cycles:,}",
            f"{one.predicted:,}",
            f"{100 * one.fillers:.2f}",
            f"{100 * one.utilisation:.2f}",
            f"{one.macs_per_lane:.3f}",
            {None: "", True: "yes", False: "NO"}[one.equal],
        )
    taken = sum(one.taken for one in figures)
    multiplies, macs = sum(one.multiplies for one in figures), sum(one.macs for one in figures)
    rates = (f"{100 * multiplies / (taken * PUS * LANES):.2f}", f"{macs / (taken * PUS * LANES):.3f}")
    table.add_row("total", "", "", "", f"{sum(one.predicted for one in figures):,}", "", *rates, "")
    Console(width=120).print(table)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.rsnn", description=__doc__)
    parser.add_argument("--rtl", action="store_true", help="also run four cropped layers in the generated Verilog")
    chosen = parser.parse_args(arguments)
    _print("VGG16 by the cycle model", modelled())
    _print("VGG16 without pruning, by the cycle model", modelled(density=1.0))
    _print("VGG16 by the cycle model, 16 kernels a PU", modelled(config=MERGING))
    _print(f"The same pruned without balance, spread {SPREAD}", modelled(config=MERGING, spread=SPREAD))
    if chosen.rtl:
        _print("Cropped layers in Verilog", measured(CROPPED))


if __name__ == "__main__":
    main()
