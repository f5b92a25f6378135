import random

import pytest

from hw.config import WORD_ELEMENTS
from hw.control.descriptor import Operation
from hw.memory.activation import read_latency
from hw.vector.tests.bench import UnitBench
from hw.vector.tests.cases import ADD, MAXIMUM, OPERATIONS, SUM, Axis, Case, Source, core, random_case, random_memory
from hw.vector.unit import VectorUnit

CONFIGS = {
    "default lanes": core(),
    "one lane": core(post_lanes=1, groups=1),
    "a whole word": core(post_lanes=16, groups=3),
    "wide activations": core(activation_bits=16, post_lanes=4),
    "one bank": core(activation_banks=1, fetch_depth=1),
    "addresses wider than coordinates": core(activation_depth=1024),
}


def predicted_cycles(unit: VectorUnit, case: Case) -> int:
    """The formula of `VectorUnit`."""
    costs = case.word_costs
    between = sum(max(needed, beats) for (needed, _), (_, beats) in zip(costs[1:], costs, strict=False))
    adding = unit.add_latency if case.operation == ADD else 0
    return unit.latency + adding + costs[0][0] + between + costs[-1][1]


STALLS = {
    "none": ("none", "none", "none"),
    "all": ("random", "random", "random"),
    "memory": ("bursty", "none", "none"),
    "beats": ("none", "slow", "none"),
    "numbers": ("none", "random", "slow"),
}


@pytest.mark.parametrize("stalls", STALLS)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_random_layers(config, stalls):
    seed = 1
    rng = random.Random(seed)
    cases = [random_case(rng, config, rng.choice(OPERATIONS)) for _ in range(9)]
    unit = VectorUnit(config)
    bench = UnitBench(unit, random_memory(config, seed), STALLS[stalls], seed)
    bench.run(cases)
    if stalls == "none":
        assert bench.cycles == [predicted_cycles(unit, case) for case in cases], f"seed {seed}"


def edge(rows: Axis, columns: Axis, channels: int, operation: Operation = SUM, by_count: bool = False) -> Case:
    """A layer on maps that lie at the beginning and in the middle of the memory, row after row."""
    config = core(groups=9)
    words = -(-channels // WORD_ELEMENTS)
    sources = tuple(Source(base, words, columns.size * words) for base in (0, config.activation_words // 2))
    output = {"base": 200, "pixel_words": words, "row_words": columns.outputs * words, "first_channel": 0}
    return Case(config, operation, rows, columns, channels, sources, output, by_count)


ONE = Axis(1, 1)
EDGES = {
    "one pixel, one channel": [edge(ONE, ONE, 1, operation) for operation in OPERATIONS],
    "one row": [edge(ONE, Axis(31, 31), 16, operation) for operation in OPERATIONS],
    "one column": [edge(Axis(31, 31), ONE, 17, operation) for operation in OPERATIONS],
    "the whole map": [edge(Axis(9, 1, 9), Axis(7, 1, 7), 64, operation) for operation in (SUM, MAXIMUM)],
    "the longest windows": [edge(Axis(31, 1, 31), Axis(8, 1, 8), 1), edge(ONE, Axis(31, 31, 31, start=-30), 1)],
    "padding on all sides": [edge(Axis(2, 4, 3, start=-2), Axis(3, 5, 3, start=-2), 33, MAXIMUM)],
    "positions counted": [edge(Axis(2, 4, 3, start=-2), Axis(3, 5, 3, start=-2), 17, by_count=True)],
    "gaps between windows": [edge(Axis(31, 5, 2, 7), Axis(5, 1), 8), edge(Axis(8, 2, 1, 7), Axis(29, 2, 1, 28), 1)],
    "the first positions left out": [edge(Axis(9, 3, 2, 2, 3), Axis(5, 2, 1, 1, 3), 40)],
}


@pytest.mark.parametrize("cases", EDGES.values(), ids=EDGES)
def test_edges(cases):
    config = cases[0].config
    unit = VectorUnit(config)
    bench = UnitBench(unit, random_memory(config, 0))
    bench.run(cases)
    assert bench.cycles == [predicted_cycles(unit, case) for case in cases]


def test_the_formula_in_numbers():
    """What the compiler's model is made of: a start, a word a position, an addition's pipeline."""
    config = core()
    unit = VectorUnit(config)
    assert unit.latency == 8 + 7 + read_latency(config), "bits of a coordinate, registers, memory"
    assert unit.add_latency == 6
    assert predicted_cycles(unit, edge(ONE, ONE, 1)) == unit.latency + 2
    # 8 beats of two words a pixel, of which the first is gathered while the last ones leave.
    four_words = [edge(Axis(5, 5), Axis(5, 5), 64, operation) for operation in OPERATIONS]
    for case, latency in zip(four_words, (0, 0, unit.add_latency), strict=True):
        first = 2 if case.operation == ADD else 1
        assert predicted_cycles(unit, case) == unit.latency + latency + first + 25 * 8
