"""MobileNet V1 0.5 at 224 pixels, dense and with its last two layers cyclic: predicted cycles, layer by layer.

``python -m bench.mobilenet_cycles`` prints the sums, and with ``--by-layer`` each layer. Only shapes matter here: the
weights are drawn. Hosseini et al. (IEEE TVLSI 2021) give 1,319,648 weights and 149.5 million multiply-accumulates; the
cyclic layers are one of those that `bench.mobilenet_csc` counts the weights of.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.drawn import DrawnNetwork
from bench.mobilenet import mobilenet
from bench.mobilenet_csc import SIZE, WIDTH, variants
from compiler.candidates import candidates
from compiler.lowering import lower
from compiler.operations import Convolve, VectorOperation
from compiler.prediction import WeightStream, run_passes
from compiler.program import TYPICAL_DENSITY, LayerProgram, fastest
from compiler.program_prediction import vector_cycles
from hw.config import CoreConfig
from models.network import (
    Network,
)
from models.sparsity.cyclic import CyclicCascade

DENSE_CYCLES = 149.5e6 / 128
"""Multiply-accumulates as published, on 128 multipliers."""
CYCLIC = next(one for one in variants() if all(cascade.nodes == 512 for cascade in one.cascades))
"""The first whose nodes are the channels that there are."""
CONFIG = CoreConfig(post_lanes=16, window_depth=64, activation_depth=32768, weight_depth=4096)
"""8 x 16 multipliers, and memories that the largest maps fit."""


@dataclass(frozen=True)
class LayerCost:
    """What a layer takes: weights, multiply-accumulates, predicted cycles, and the dataflow."""

    name: str
    parameters: int
    macs: int
    cycles: int
    dataflow: str


def network_of(cascades: Sequence[CyclicCascade] = ()) -> Network:
    """MobileNet V1 0.5; its last layers are these cascades, if any are given."""
    layers = mobilenet(WIDTH, SIZE)
    drawn = DrawnNetwork("mobilenet", SIZE, layers[0].inputs)
    kept = layers[: len(layers) - len(cascades)]
    for shape in kept:
        if shape.size == 1:
            drawn.pool()
        drawn.convolution(shape)
    for shape, cascade in zip(layers[len(kept) :], cascades, strict=True):
        if shape.size == 1:
            drawn.pool()
        for layer in cascade.layers:
            drawn.cyclic(layer)
    return drawn.network()


def costs(network: Network, config: CoreConfig, *, skip_zeros: bool) -> list[LayerCost]:
    """Each layer as predicted, its weights streaming in behind the layer before.

    Args:
        skip_zeros: dense layers may run on `nullhop`, and half of all activations are zero; otherwise all run on `csc`.
    """
    found, now, weights = [], 0, WeightStream(config)
    rng = np.random.default_rng(0)
    layers = {layer.name: layer for layer in network.layers}
    for operation in lower(network, config).operations:
        before = now
        if isinstance(operation, Convolve):
            ways = candidates(operation.computed, config, operation.output.pixel_words)
            one = fastest([way for way in ways if skip_zeros or way.mapping.run], config)
            program = LayerProgram(one.conv, one.mapping, config, sparse_input=False, sparse_output=False)
            stored = (rng.random(operation.input.shape) < TYPICAL_DENSITY).astype(np.uint8)
            now, _ = run_passes(program, stored, now, 0, weights)
            parameters = layers[operation.name].parameters - operation.conv.maps
            dataflow = one.mapping.dataflow
            found.append(LayerCost(operation.name, parameters, operation.conv.macs, now - before, dataflow))
        elif isinstance(operation, VectorOperation):
            now += vector_cycles(operation, config)
            found.append(LayerCost(operation.name, 0, 0, now - before, "vector"))
    return found


def _show(name: str, layers: Sequence[LayerCost], by_layer: bool) -> None:
    if by_layer:
        for one in layers:
            print(f"  {one.name:24} {one.dataflow:8} {one.parameters:>9,} {one.macs:>12,} {one.cycles:>9,}")
    parameters, macs, cycles = (sum(getattr(one, name) for one in layers) for name in ("parameters", "macs", "cycles"))
    share = cycles / DENSE_CYCLES
    print(f"{name:34} {parameters:>9,} weights {macs:>12,} MACs {cycles:>9,} cycles, {share:.2f} of 149.5 M / 128")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.mobilenet_cycles", description=__doc__)
    parser.add_argument("--by-layer", action="store_true", help="show each layer")
    by_layer = parser.parse_args(arguments).by_layer
    for cascades, kind in (((), "dense"), (CYCLIC.cascades, "last two cyclic")):
        network = network_of(cascades)
        _show(f"{kind}, all on csc", costs(network, CONFIG, skip_zeros=False), by_layer)
        _show(f"{kind}, half of zeros skipped", costs(network, CONFIG, skip_zeros=True), by_layer)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
