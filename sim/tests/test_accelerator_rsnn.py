"""Pruned layers on the simulated accelerator, in a core that has every dataflow and takes the faster one by layer."""

import numpy as np
import pytest

from compiler.network_program import NetworkProgram, compile_network
from compiler.tests.graphs import GraphBuilder
from models.layers import Conv2D, MaxPool2D
from models.network import Network
from sim.accelerator_run import run_program
from sim.accelerator_samples import SMALL
from sim.harness import toolchain

pytestmark = [
    pytest.mark.xdist_group("accelerator 2x4 rsnn"),
    pytest.mark.skipif(toolchain.missing("verilator") is not None, reason=str(toolchain.missing("verilator"))),
]

ALL = SMALL.with_changes(
    core=SMALL.core.with_changes(
        rsnn=True, accumulators=3, scratchpad_depth=256, weight_depth=512, activation_depth=256
    ),
    program_depth=4096,
)
SAME = ((1, 1), (1, 1))


def prune(builder: GraphBuilder, density: float) -> int:
    """Keep about that share of the last convolution's weights; returns how many."""
    layer = builder.layers[-1]
    assert isinstance(layer, Conv2D)
    weights = np.where(builder.rng.random(layer.weights.shape) < density, layer.weights, np.int8(0))
    builder.change(weights=weights)
    return int(np.count_nonzero(weights))


def pruned_chain(seed: int) -> tuple[GraphBuilder, Network]:
    """Convolutions with any share of zero weights, some with pooling, between depthwise layers and sums."""
    builder = GraphBuilder(seed)
    rng = builder.rng
    name = builder.input((1, int(rng.integers(4, 9)), int(rng.integers(4, 9)), int(rng.choice([3, 8, 17]))))
    for density in rng.permutation([0.0, 0.05, 0.2, 0.5, 1.0]):
        before = name
        maps = int(rng.choice([4, 7, 16]))
        name = builder.conv(name, maps, (3, 3), padding=SAME)
        prune(builder, density)
        if builder.shape(before) == builder.shape(name):
            name = builder.sum(before, name)
        elif rng.random() < 0.3 and min(builder.shape(name)[1:3]) > 3:
            name = builder.pool(name, MaxPool2D, (2, 2))
        elif rng.random() < 0.4:
            name = builder.depthwise(name, (3, 3), padding=SAME)
    return builder, builder.build(builder.dense(name, 6))


def dataflows(program: NetworkProgram) -> set[str]:
    return {entry.layer.mapping.dataflow for entry in program.entries if entry.layer is not None}


@pytest.mark.parametrize("stalls", ["none", "random"])
def test_random_chains(stalls):
    used = set()
    for seed in range(4):
        builder, network = pruned_chain(seed)
        program = compile_network(network, ALL)
        run = run_program(program, builder.values(network), seed=seed, stalls=stalls)
        assert run.mismatches == {}, f"seed {seed}, stalls {stalls}"
        used |= dataflows(program)
        for layer in run.layers:
            if layer.dataflow == "rsnn" and stalls == "none":
                measured, predicted = layer.counters.cycles, layer.prediction.cycles
                assert abs(predicted - measured) <= max(0.02 * measured, 64), (seed, layer.name, measured, predicted)
    assert used == {"nullhop", "csc", "rsnn"}


def test_a_pruned_layer_takes_fewer_cycles_than_with_nullhop_alone():
    builder = GraphBuilder(1)
    name = builder.conv(builder.input((1, 8, 8, 16)), 12, (3, 3), padding=SAME)
    nonzeros = prune(builder, 0.2)
    network = builder.build(name)
    values = builder.values(network)
    cycles = {}
    for name, config in (("auto", ALL), ("nullhop", SMALL.with_changes(program_depth=4096))):
        run = run_program(compile_network(network, config), values)
        assert run.mismatches == {}
        (layer,) = run.layers
        cycles[name] = layer.counters.cycles
        if name == "auto":
            # Each weight that is not zero is multiplied once for each pixel, and nothing else is counted.
            assert layer.dataflow == "rsnn" and layer.multiplies == nonzeros * 64
    assert cycles["auto"] < 0.5 * cycles["nullhop"], cycles
