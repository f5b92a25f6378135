import random
from typing import Any

import pytest

from hw.config import CoreConfig
from hw.mac.array import MacArray
from hw.mac.fused_group import FusedMacGroup
from hw.mac.group import MacGroup
from hw.mac.model import GroupModel
from hw.mac.tests.operations import TAG_BITS, constant_operation, random_operations
from sim.harness.amaranth_sim import StreamSink, simulate, stream_put, stream_source

SMALL = CoreConfig(groups=1, lanes=2, post_lanes=1)

CONFIGS = {
    "one lane": CoreConfig(groups=1, lanes=1, post_lanes=1),
    "one accumulator": CoreConfig(groups=1, lanes=3, post_lanes=1, csc=False),
    "two accumulators": CoreConfig(groups=1, lanes=2, post_lanes=1, accumulators=2),
    "five accumulators": CoreConfig(groups=1, lanes=3, post_lanes=1, csc=False, accumulators=5),
    "wide activations": CoreConfig(groups=1, lanes=2, post_lanes=1, accumulators=4, activation_bits=16),
    "sums that wrap": CoreConfig(groups=1, lanes=2, post_lanes=1, accumulators=2, accumulator_bits=18),
}


FUSED = {
    "of any dataflow": CoreConfig(groups=1, lanes=3, post_lanes=1, post_dsps=4, csc=False, rsnn=True, accumulators=1),
    "of one lane": CoreConfig(groups=1, lanes=1, post_lanes=1, post_dsps=4),
    "with sums that wrap": CoreConfig(groups=1, lanes=2, post_lanes=1, post_dsps=4, accumulator_bits=18),
}

GROUPS = [pytest.param(MacGroup, config, id=name) for name, config in CONFIGS.items()]
GROUPS += [
    pytest.param(FusedMacGroup, config.with_changes(product_registers=False), id=f"fused, {name}")
    for name, config in FUSED.items()
]


@pytest.mark.parametrize(
    "source, sink", [("none", "none"), ("random", "random"), ("none", "slow"), ("bursty", "bursty")]
)
@pytest.mark.parametrize("kind, config", GROUPS)
def test_random_operations_give_what_the_model_gives(kind, config, source, sink):
    seed = 1
    operations = list(random_operations(config, 250, random.Random(seed)))
    expected = GroupModel(config).results(operations)
    group = kind(config, TAG_BITS)
    results = StreamSink(group.results, count=len(expected), stalls=sink, seed=seed)
    simulate(group, stream_source(group.operands, operations, stalls=source, seed=seed), results)
    assert results.beats == expected, f"seed {seed}"


def test_fused_lanes_take_a_cycle_more_than_the_operations_of_a_window():
    config, window = SMALL.with_changes(post_dsps=4, product_registers=False), 5
    group = FusedMacGroup(config, TAG_BITS)
    operations = [
        constant_operation(config, first=i % window == 0, last=i % window == window - 1) for i in range(20 * window)
    ]
    results = StreamSink(group.results, count=20, drain_cycles=0)
    cycles = simulate(group, stream_source(group.operands, operations), results)
    assert [beat["accumulators"][0] for beat in results.beats] == [window] * 20
    assert cycles == 20 * (window + 1) + group.latency


@pytest.mark.parametrize("activation_bits", [8, 16])
@pytest.mark.parametrize("weight_bits", [2, 4, 8, 16])
def test_every_width_at_its_corners(weight_bits, activation_bits):
    """Sums of products of the largest and smallest values, and of random ones; those of 16 bits wrap."""
    config = SMALL.with_changes(weight_bits=weight_bits, activation_bits=activation_bits)
    operations = list(random_operations(config, 60, random.Random(weight_bits)))
    expected = GroupModel(config).results(operations)
    group = MacGroup(config, TAG_BITS)
    results = StreamSink(group.results, count=len(expected))
    simulate(group, stream_source(group.operands, operations), results)
    assert results.beats == expected


@pytest.mark.parametrize("accumulators", [1, 4])
def test_a_first_operation_clears_masked_lanes_too(accumulators):
    config = SMALL.with_changes(accumulators=accumulators)
    full = constant_operation(config, first=True)
    half = constant_operation(config, first=True, last=True) | {"mask": 0b01}
    group = MacGroup(config, TAG_BITS)
    results = StreamSink(group.results, count=1)
    simulate(group, stream_source(group.operands, [full, half]), results)
    assert results.beats[0]["accumulators"] == [1, 0]


@pytest.mark.parametrize("accumulators", [1, 4])
def test_latency(accumulators):
    config = SMALL.with_changes(accumulators=accumulators)
    group = MacGroup(config, TAG_BITS)
    valid: list[int] = []

    async def bench(ctx: Any) -> None:
        await stream_put(ctx, group.operands, constant_operation(config, first=True, last=True))
        for _ in range(group.latency):
            valid.append(ctx.get(group.results.valid))
            await ctx.tick()

    simulate(group, bench)
    # The first look is in the cycle after the acceptance, which is cycle 1 of the latency.
    assert valid == [0] * (group.latency - 1) + [1]


@pytest.mark.parametrize("accumulators", [1, 4])
@pytest.mark.parametrize("window", [2, 3, 7])
def test_an_operation_is_accepted_every_cycle(accumulators, window):
    config = SMALL.with_changes(accumulators=accumulators)
    group = MacGroup(config, TAG_BITS)
    count = 20 * window
    operations = [
        constant_operation(config, first=i % window == 0, last=i % window == window - 1) for i in range(count)
    ]
    results = StreamSink(group.results, count=20, drain_cycles=0)
    cycles = simulate(group, stream_source(group.operands, operations), results)
    assert [beat["accumulators"][0] for beat in results.beats] == [window] * 20
    assert cycles == count + group.latency


def test_windows_of_one_operation_give_a_result_every_second_cycle():
    group = MacGroup(SMALL, TAG_BITS)
    operations = [constant_operation(SMALL, first=True, last=True) for _ in range(20)]
    results = StreamSink(group.results, count=20, drain_cycles=0)
    cycles = simulate(group, stream_source(group.operands, operations), results)
    assert [beat["accumulators"][0] for beat in results.beats] == [1] * 20
    assert cycles == 2 * 20 - 1 + group.latency


def test_a_waiting_result_stops_the_group_only_when_the_next_is_finished():
    window = 5
    group = MacGroup(SMALL, TAG_BITS)
    operations = [
        constant_operation(SMALL, first=i % window == 0, last=i % window == window - 1, tag=i // window)
        for i in range(3 * window)
    ]
    accepted = 0

    async def count_accepted(ctx: Any) -> None:
        nonlocal accepted
        for _ in range(40):
            _, _, valid, ready = await ctx.tick().sample(group.operands.valid, group.operands.ready)
            accepted += valid & ready

    results = StreamSink(group.results, count=3)

    async def take_late(ctx: Any) -> None:
        await ctx.tick().repeat(40)
        # Two windows and the operation at the multiplier.
        assert accepted == 2 * window + 1
        await results(ctx)

    simulate(group, stream_source(group.operands, operations), count_accepted, take_late)
    assert [(beat["accumulators"][0], beat["tag"]) for beat in results.beats] == [(window, n) for n in range(3)]


def test_ready_does_not_depend_on_valid():
    group = MacGroup(SMALL, TAG_BITS)
    seen: set[int] = set()

    async def bench(ctx: Any) -> None:
        for _ in range(2):
            await stream_put(ctx, group.operands, constant_operation(SMALL, first=True, last=True))
        for _ in range(group.latency + 2):
            ready = ctx.get(group.operands.ready)
            seen.add(ready)
            ctx.set(group.operands.valid, 1)
            assert ctx.get(group.operands.ready) == ready
            ctx.set(group.operands.valid, 0)
            await ctx.tick()

    simulate(group, bench)
    assert seen == {0, 1}


@pytest.mark.parametrize("groups", [1, 3])
def test_groups_of_an_array_are_independent(groups):
    seed = 2
    rng = random.Random(seed)
    config = CoreConfig(groups=groups, lanes=1, post_lanes=1, accumulators=2)
    array = MacArray(config, TAG_BITS)
    operations = [list(random_operations(config, 60, rng)) for _ in range(groups)]
    expected = [GroupModel(config).results(sequence) for sequence in operations]
    sources = [
        stream_source(port, sequence, stalls="random", seed=seed)
        for port, sequence in zip(array.operands, operations, strict=True)
    ]
    sinks = [
        StreamSink(port, count=len(wanted), stalls="bursty", seed=seed)
        for port, wanted in zip(array.results, expected, strict=True)
    ]
    simulate(array, *sources, *sinks)
    assert [sink.beats for sink in sinks] == expected, f"seed {seed}"
