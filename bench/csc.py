"""The csc dataflow in Verilog: layers of each kind whose channels fill the lanes, and some of MobileNet V1 0.5."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial

from bench import mobilenet_csc, resident
from bench.benchmark import LAYER_COLUMNS, Benchmark, Case, Column, Row
from bench.drawn import DrawnNetwork
from bench.layers import only_described, program_row
from bench.mobilenet import ConvolutionShape, mobilenet
from hw.config import CoreConfig
from models.network import Network
from models.sparsity.cyclic import SupportLayer

SEED = 0
CONFIG = CoreConfig(
    post_lanes=16, window_depth=64, activation_depth=65536, weight_depth=4096, nullhop=False, vector=False
)
"""8 x 16 multipliers, `csc` alone, as many outputs a cycle as a depthwise layer of 3 x 3 needs, and memories that hold
the largest maps of MobileNet."""

FILLING: dict[str, tuple[int, int, SupportLayer | ConvolutionShape]] = {
    "CSC-CONV, 3 x 3, 128 nodes, 16 edges, 3 apart": (16, 128, SupportLayer(128, 16, 3, 128, (3, 3))),
    "CSC-CONV, 1 x 1, 256 nodes, 32 edges, 8 apart": (16, 256, SupportLayer(256, 32, 8, 256, (1, 1))),
    "pointwise, 128 to 128": (16, 128, ConvolutionShape("", 128, 128, size=16)),
    "3 x 3, 64 to 64": (16, 64, ConvolutionShape("", 64, 64, 3, size=16)),
    "depthwise, 3 x 3, 128": (32, 128, ConvolutionShape("", 128, 128, 3, size=32, depthwise=True)),
    "CSC-FC, 512 nodes, 32 edges, 16 apart": (1, 512, SupportLayer(512, 32, 16, 512)),
}
"""Size of the input, its channels, and the layer."""

SAMPLED = ("stem", "depthwise_2", "pointwise_2", "depthwise_6", "pointwise_8", "pointwise_12", "classifier")
"""Layers of MobileNet V1, over its depth."""


@cache
def _networks() -> dict[str, Network]:
    """Every layer as a network of its own."""
    found: dict[str, Network] = {}
    for case, (size, channels, layer) in FILLING.items():
        drawn = DrawnNetwork(f"layer{len(found)}", size, channels, SEED)
        if isinstance(layer, SupportLayer):
            drawn.cyclic(layer)
        else:
            drawn.convolution(layer)
        found[case] = drawn.network()
    for shape in mobilenet(mobilenet_csc.WIDTH, mobilenet_csc.SIZE):
        if shape.name in SAMPLED:
            drawn = DrawnNetwork(f"layer{len(found)}", shape.size, shape.inputs, SEED)
            drawn.convolution(shape)
            found[f"MobileNet V1 0.5, {shape.name}"] = drawn.network()
    return found


@cache
def _measured() -> dict[str, resident.ResidentRun]:
    """What each layer took."""
    networks = _networks()
    with only_described():
        return dict(zip(networks, resident.measure(list(networks.values()), CONFIG, SEED), strict=True))


def _measure(case: str) -> Row:
    run = _measured()[case]
    row = program_row(
        run.program, cycles=run.cycles, predicted=run.predicted, multiplies=run.multiplies, equal=run.equal
    )
    return {**row, "weights": run.program.conv.weights.size, "weight_bytes": run.program.held_weights.size}


def _cases(full: bool) -> Sequence[Case]:
    return [Case(name, partial(_measure, name)) for name in _networks()]


CSC_LAYERS = Benchmark(
    name="csc-layers",
    title="Layers of csc from memory to memory, on 8 x 16 multipliers",
    cases=_cases,
    columns=(*LAYER_COLUMNS, Column("weights", "weights", ",d"), Column("packed, bytes", "weight_bytes", ",d")),
    seed=SEED,
)
"""Layers run one after another, so that the weights of each arrive while the one before computes."""
