"""Depthwise layers on the simulated accelerator: any shape, between layers of the other dataflow."""

import pytest

from compiler.network_program import compile_network
from compiler.tests.graphs import GraphBuilder
from models.network import Network
from sim.accelerator_run import AcceleratorRun, run_program
from sim.accelerator_samples import SMALL
from sim.harness import toolchain

pytestmark = [
    pytest.mark.xdist_group("accelerator 2x4"),
    pytest.mark.skipif(toolchain.missing("verilator") is not None, reason=str(toolchain.missing("verilator"))),
]


def run(builder: GraphBuilder, network: Network, seed: int, stalls: str = "none") -> AcceleratorRun:
    found = run_program(compile_network(network, SMALL), builder.values(network), seed=seed, stalls=stalls)
    assert found.mismatches == {}, f"seed {seed}, stalls {stalls}"
    return found


def random_chain(seed: int) -> tuple[GraphBuilder, Network]:
    """Depthwise layers of random shapes, some of them behind a convolution of another number of channels."""
    builder = GraphBuilder(seed)
    rng = builder.rng
    name = builder.input((1, int(rng.integers(3, 8)), int(rng.integers(3, 10)), int(rng.choice([1, 5, 16, 20]))))
    for _ in range(5):
        kernel = (int(rng.integers(1, 5)), int(rng.integers(1, 5)))
        _, height, width, _ = builder.shape(name)
        # Steps larger than the map would leave windows without any tap inside.
        dilation = (1, 1) if rng.random() < 0.7 or min(height, width) < 2 else (int(rng.integers(1, 3)), 2)
        reach = [(size - 1) * step for size, step in zip(kernel, dilation, strict=True)]
        padding = tuple((size // 2, size - size // 2) for size in reach)
        stride = (int(rng.integers(1, 3)), int(rng.integers(1, 3)))
        name = builder.depthwise(name, kernel, padding=padding, dilation=dilation, stride=stride)
        if rng.random() < 0.5:
            name = builder.conv(name, int(rng.choice([4, 7, 16, 24])), (1, 1))
    return builder, builder.build(name)


@pytest.mark.parametrize("stalls", ["none", "random"])
@pytest.mark.parametrize("seed", range(6))
def test_random_chains(seed, stalls):
    run(*random_chain(seed), seed, stalls)


SHAPES = {
    "stride 1": ((11, 10), 16, (3, 3), (1, 1)),
    "rows of one run": ((18, 6), 16, (3, 3), (1, 1)),
    "stride 2": ((15, 12), 16, (3, 3), (2, 2)),
    "a single set": ((12, 10), 8, (3, 3), (1, 1)),
    # Bound by the banks, in which readers meet.
    "larger than the window": ((11, 10), 16, (7, 5), (1, 1)),
}


@pytest.mark.parametrize("name", SHAPES)
def test_cycles_are_as_predicted(name):
    size, channels, kernel, stride = SHAPES[name]
    builder = GraphBuilder(1)
    same = tuple((extent // 2, extent // 2) for extent in kernel)
    source = builder.input((1, *size, channels))
    network = builder.build(builder.depthwise(source, kernel, stride=stride, padding=same))
    (layer,) = run(builder, network, 1).layers
    measured, predicted = layer.counters.cycles, layer.prediction.cycles
    assert layer.dataflow == "csc" and measured > 400
    assert abs(predicted - measured) <= 0.02 * measured, (measured, predicted, layer.entry.layer)
    # Every tap inside the map was multiplied once for each channel.
    rows, columns = (
        sum(0 <= o * s - k // 2 + t < n for o in range((n - 1) // s + 1) for t in range(k))
        for n, k, s in zip(size, kernel, stride, strict=True)
    )
    assert layer.multiplies == rows * columns * channels
