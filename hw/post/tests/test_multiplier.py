import random
from typing import Any

import pytest
from amaranth import signed, unsigned

from hw.post.fabric_multiplier import FabricMultiplier
from hw.post.multiplier import DspMultiplier, WideMultiplier
from sim.harness.amaranth_sim import simulate


def _extreme(low: int, high: int, rng: random.Random) -> int:
    """A number of low <= number < high, often at an end."""
    return rng.choice([low, high - 1, max(low, 0), rng.randrange(low, high), rng.randrange(low, high)])


def _pipeline_bench(
    inputs: list[list[tuple[Any, int]]], output: Any, expected: list[int], latency: int, seed: int
) -> Any:
    """One set of inputs a cycle; each result is expected `latency` cycles later."""

    async def bench(ctx: Any) -> None:
        for cycle in range(len(inputs) + latency):
            if cycle >= latency:
                assert ctx.get(output) == expected[cycle - latency], f"sample {cycle - latency}, seed {seed}"
            for signal, value in inputs[min(cycle, len(inputs) - 1)]:
                ctx.set(signal, value)
            await ctx.tick()

    return bench


@pytest.mark.parametrize("multiplier", [FabricMultiplier, DspMultiplier])
@pytest.mark.parametrize(
    "a_shape, b_bits",
    [
        (signed(18), 17),
        (unsigned(16), 16),
        (signed(16), 15),
        (signed(1), 1),
        (unsigned(3), 2),
        (signed(5), 1),
    ],
)
def test_small_multipliers(multiplier, a_shape, b_bits):
    seed = b_bits
    rng = random.Random(seed)
    dut = multiplier(a_shape, b_bits)
    low = -(1 << a_shape.width - 1) if a_shape.signed else 0
    pairs = [(_extreme(low, low + (1 << a_shape.width), rng), _extreme(0, 1 << b_bits, rng)) for _ in range(400)]
    inputs = [[(dut.a, a), (dut.b, b)] for a, b in pairs]
    simulate(dut, _pipeline_bench(inputs, dut.product, [a * b for a, b in pairs], dut.latency, seed))


@pytest.mark.parametrize("dsps, registered", [*((dsps, True) for dsps in range(5)), (4, False)])
def test_wide_multiplier(dsps, registered):
    seed = dsps
    rng = random.Random(seed)
    dut = WideMultiplier(dsps, registered=registered)
    inputs, expected = [], []
    for _ in range(400):
        x, factor, nudge = _extreme(-(1 << 31), 1 << 31, rng), _extreme(0, 1 << 31, rng), rng.getrandbits(1)
        inputs.append([(dut.x, x), (dut.factor, factor), (dut.nudge, nudge)])
        expected.append(x * factor + nudge * (-(1 << 30) if x < 0 else 1 << 30))
    simulate(dut, _pipeline_bench(inputs, dut.product, expected, dut.latency, seed))
