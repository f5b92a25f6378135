import random

import pytest

from hw.control.descriptor import Operation
from hw.memory.activation import read_latency
from hw.vector.tests.bench import UnitBench
from hw.vector.tests.cases import Axis, Case, Source, core, random_case, random_memory
from hw.vector.unit import VectorUnit

OPERATIONS = (Operation.SUM, Operation.MAXIMUM, Operation.ADD)
CONFIGS = {
    "default lanes": core(),
    "one lane": core(post_lanes=1, groups=1),
    "a whole word": core(post_lanes=16, groups=3),
    "wide activations": core(activation_bits=16, post_lanes=4),
    "one bank": core(activation_banks=1, fetch_depth=1),
}


def predicted_cycles(unit: VectorUnit, case: Case) -> int:
    """The formula of `VectorUnit`."""
    costs = case.word_costs
    between = sum(max(needed, beats) for (needed, _), (_, beats) in zip(costs[1:], costs, strict=False))
    adding = unit.add_latency if case.operation == Operation.ADD else 0
    return unit.latency + adding + costs[0][0] + between + costs[-1][1]


@pytest.mark.parametrize("stalls", [("none",) * 3, ("random",) * 3, ("bursty", "none", "none"), ("none", "slow", "none"), ("none", "random", "slow")], ids="-".join)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_random_layers(config, stalls):
    seed = 1
    rng = random.Random(seed)
    cases = [random_case(rng, config, rng.choice(OPERATIONS)) for _ in range(9)]
    unit = VectorUnit(config)
    bench = UnitBench(unit, random_memory(config, seed), stalls, seed)
    bench.run(cases)
    if stalls == ("none",) * 3:
        assert bench.cycles == [predicted_cycles(unit, case) for case in cases], f"seed {seed}"
