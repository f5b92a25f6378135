from typing import Any

import numpy as np
import pytest

from hw.config import CoreConfig
from hw.post.layouts import MapParameters
from hw.post.requantise import Requantiser
from hw.post.tests.requantiser_set import RequantiserSet, check
from hw.post.tests.samples import corner_samples, random_samples
from sim.harness.amaranth_sim import simulate
from sim.harness.bench import build_bench
from sim.harness.payload import pack

BOUNDS = [(-256, 255), (-3, 100), (0, 0), (-256, -256), (0, 255)]
MOST_LEFT_SHIFT = 3

REQUANTISERS = [
    *(Requantiser(CoreConfig(post_dsps=dsps)) for dsps in range(5)),
    Requantiser(CoreConfig(post_dsps=4, max_left_shift=0)),
    Requantiser(CoreConfig(post_dsps=4, max_left_shift=MOST_LEFT_SHIFT)),
    Requantiser(CoreConfig(post_dsps=4, activation_bits=16)),
]


@pytest.fixture(scope="module")
def bench():
    return build_bench(RequantiserSet(REQUANTISERS), name="requantiser_set")


@pytest.mark.parametrize("bounds", BOUNDS)
def test_corners(bench, bounds):
    check(bench, REQUANTISERS, corner_samples(max_left_shift=MOST_LEFT_SHIFT), bounds, seed=0)


@pytest.mark.parametrize("seed, bounds", [(0, BOUNDS[0]), (1, BOUNDS[1])])
def test_random_accumulators(bench, seed, bounds):
    samples = random_samples(60_000, np.random.default_rng(seed), max_left_shift=MOST_LEFT_SHIFT)
    check(bench, REQUANTISERS, samples, bounds, seed)


@pytest.mark.parametrize("offset", [-256, -128, 1, 127, 255])
def test_offset(bench, offset):
    """What lies beyond the values that an activation has comes back within the bounds, or stays beyond."""
    seed = offset
    samples = random_samples(20_000, np.random.default_rng(abs(seed)), max_left_shift=MOST_LEFT_SHIFT)
    for bounds in ((-256, 255), (-128, 127)):
        check(bench, REQUANTISERS, samples, bounds, seed, offset)
        check(bench, REQUANTISERS, corner_samples(max_left_shift=MOST_LEFT_SHIFT), bounds, seed, offset)


@pytest.mark.parametrize(
    "bounds, offset",
    [((-(1 << 16), (1 << 16) - 1), 0), ((-40_000, 0), 0), ((-(1 << 16), 65_000), -40_000), ((0, 60_000), 30_000)],
)
def test_wide_activations(bounds, offset):
    seed = 1
    config = CoreConfig(activation_bits=16, post_dsps=2)
    samples = random_samples(800, np.random.default_rng(seed), max_left_shift=config.max_left_shift)
    lower, upper = bounds
    expected = samples.requantised(lower, upper, offset)
    dut = Requantiser(config)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.offset, offset)
        ctx.set(dut.lower, lower)
        ctx.set(dut.upper, upper)
        for cycle in range(len(samples) + dut.latency):
            if cycle >= dut.latency:
                number = cycle - dut.latency
                assert ctx.get(dut.value) == expected[number], f"{samples[number]}, offset {offset}, seed {seed}"
            index = min(cycle, len(samples) - 1)
            ctx.set(dut.accumulator, int(samples.accumulator[index]))
            ctx.set(dut.parameters.as_value(), pack(MapParameters, samples.parameters(index)))
            await ctx.tick()

    simulate(dut, bench)
    assert len(set(expected)) > 100
