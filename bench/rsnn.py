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

from bench.vgg_shapes import KERNEL, VGG16, VggLayer
from compiler.candidates import sparse_mappings
from compiler.convolution import Convolution, convolutions
from compiler.entries import Entry, locator, make_entry
from compiler.feature_maps import Buffer, FeatureMap
from compiler.operations import Convolve, Load, Store
from compiler.prediction import WeightStream, run_passes
from compiler.program import LayerProgram
from compiler.transfer import to_packets
from hw.config import CoreConfig
from models import golden
from models.network import Conv2D, Network, Quantisation, Requantisation, Tensor
from sim import streams
from sim.core_run import build_core, first_difference
from sim.harness.bench_run import Equals, run_bench

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
    """Layers at full size by the cycle model, one after another, on a core whose activation memory is large enough.

    The first one runs twice, so that its weights are there the second time.
    """
    config = config.with_changes(activation_depth=1 << 17)
    programs = []
    for layer in layers:
        conv = _convolution(vgg_network(layer, layer.size, density, spread=spread))
        programs.append(LayerProgram(conv, sparse_mappings(conv, config)[0], config))
    predicted = _predicted([programs[0], *programs], config)[1:]
    return [_figures(*of_layer) for of_layer in zip(layers, programs, predicted, strict=True)]


def _entries(networks: Sequence[Network], config: CoreConfig) -> tuple[list[Entry], list[Entry], list[Entry]]:
    """The entries that load the inputs, those of the layers, and those that store the outputs."""
    maps, bases, base = {}, {}, 0
    for network in networks:
        for name, tensor in network.tensors.items():
            _, rows, columns, channels = (int(size) for size in tensor.shape)
            buffer = Buffer(name, rows * columns, channels)
            maps[name], bases[name] = FeatureMap.filling(buffer, (rows, columns, channels), ZERO), base
            base += buffer.words
    locate = locator(bases)
    loads = [make_entry(Load(n.inputs[0], maps[n.inputs[0]]), locate, config) for n in networks]
    stores = [make_entry(Store(n.outputs[0], maps[n.outputs[0]]), locate, config) for n in networks]
    layers = []
    for network in networks:
        conv = _convolution(network)
        operation = Convolve(conv.name, (conv.name,), conv, maps[conv.input], maps[conv.output])
        layers.append(make_entry(operation, locate, config))
    return loads, layers, stores


def _packet_rows(values: npt.NDArray, config: CoreConfig) -> npt.NDArray[np.uint8]:
    """A map's packets as the bench plays them."""
    _, rows, columns, channels = values.shape
    packets = to_packets(values, (rows, columns, channels), ZERO, config)
    beats = np.frombuffer(packets, np.uint8).reshape(rows, -1, config.stream_units)
    last = np.zeros((*beats.shape[:2], 1), np.uint8)
    last[:, -1] = 1
    return np.concatenate([beats, last], axis=2).reshape(-1, config.stream_units + 1)


def measured(
    rows: dict[str, int], config: CoreConfig = CONFIG, density: float | None = None, seed: int = 0
) -> list[Figures]:
    """Layers of VGG16, cropped to so many rows, in Verilog.

    All inputs are loaded first; the first layer runs twice, so that its weights are there the second time.
    """
    shapes = [layer for layer in VGG16 if layer.name in rows]
    networks = [vgg_network(layer, rows[layer.name], density, seed) for layer in shapes]
    rng = np.random.default_rng(seed)
    inputs = [rng.integers(-128, 128, network.tensors[network.inputs[0]].shape, dtype=np.int8) for network in networks]
    expected = [golden.run(n, values)[n.outputs[0]] for n, values in zip(networks, inputs, strict=True)]
    loads, layers, stores = _entries(networks, config)
    entries = [*loads, layers[0], *layers, *stores]
    result = run_bench(
        build_core(config),
        {
            "layers": [entry.descriptor for entry in entries],
            "weights": np.concatenate([entry.weights for entry in entries]),
            "features_in": np.concatenate([_packet_rows(values, config) for values in inputs]),
        },
        expect={"reports": len(entries)},
        until=[Equals("busy", 0), Equals("errors", 0)],
        timeout_cycles=50_000_000,
        seed=seed,
    )
    reports = streams.reports(result.beats("reports"))
    out = result.outputs["features_out"]
    found, at = [], 0
    first = len(loads) + 1
    programs = [entry.layer for entry in layers if entry.layer is not None]
    predictions = _predicted([programs[0], *programs], config)[1:]
    for index, (layer, program, wanted) in enumerate(zip(shapes, programs, expected, strict=True)):
        packets = _packet_rows(wanted, config)
        got, at = out[at : at + len(packets)], at + len(packets)
        report = reports[first + index]
        equal = got.shape == packets.shape and first_difference(got, packets) is None
        figures = _figures(layer, program, predictions[index])
        multiplies = program.multiplies(report["operations"])
        found.append(replace(figures, cycles=report["cycles"], multiplies=multiplies, equal=equal))
    return found


def _predicted(programs: Sequence[LayerProgram], config: CoreConfig) -> list[int]:
    """Cycles of layers that run one after another."""
    weights, now, taken, found = WeightStream(config), 0, 0, []
    for program in programs:
        accepted = max(taken, weights.end)
        start = max(now, accepted) + 1
        now, _ = run_passes(program, np.zeros((0, 0, 0)), start, accepted, weights)
        taken = start
        found.append(now - start)
    return found


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
