import random
from collections.abc import Callable
from typing import Any

import pytest
from amaranth.hdl import Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.memory.arbiter import RotatingArbiter, any_of, lowest_one, one_hot_mux
from sim.harness.amaranth_sim import simulate


class Function(wiring.Component):
    """A function of one value, as a circuit."""

    def __init__(self, width: int, result_width: int, function: Callable[[Value], Value]) -> None:
        self._function = function
        super().__init__({"value": In(width), "result": Out(result_width)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.result.eq(self._function(self.value))
        return m


def table(function: Callable[[Value], Value], width: int, result_width: int) -> list[int]:
    """What the function gives for each value."""
    dut = Function(width, result_width, function)
    results: list[int] = []

    async def bench(ctx: Any) -> None:
        for value in range(1 << width):
            ctx.set(dut.value, value)
            results.append(ctx.get(dut.result))

    simulate(dut, bench)
    return results


@pytest.mark.parametrize("width", [1, 2, 3, 6])
def test_lowest_one(width):
    assert table(lowest_one, width, width + 2) == [value & -value for value in range(1 << width)]


@pytest.mark.parametrize("width", [1, 2, 3, 6])
def test_any_of(width):
    assert table(lambda value: any_of(list(value)), width, 2) == [0] + [1] * ((1 << width) - 1)


@pytest.mark.parametrize("count", [1, 2, 3, 6])
def test_one_hot_mux(count):
    constants = [Value.cast(10 + index) for index in range(count)]
    selected = table(lambda select: one_hot_mux(select, constants), count, 8)
    assert selected[0] == 0
    assert [selected[1 << index] for index in range(count)] == [10 + index for index in range(count)]


def next_grant(requests: int, last: int, count: int) -> int:
    """The first requester after the one granted last, one-hot."""
    for distance in range(1, count + 1):
        candidate = (last + distance) % count
        if requests >> candidate & 1:
            return 1 << candidate
    return 0


@pytest.mark.parametrize("count", [1, 2, 3, 6, 8])
def test_the_grant_rotates(count):
    seed = count
    rng = random.Random(seed)
    arbiter = RotatingArbiter(count)

    async def bench(ctx: Any) -> None:
        last = count - 1
        for cycle in range(400):
            requests = rng.getrandbits(count) & rng.choice([-1, rng.getrandbits(count)])
            accept = rng.random() < 0.7
            ctx.set(arbiter.requests, requests)
            ctx.set(arbiter.accept, accept)
            _, _, grant = await ctx.tick().sample(arbiter.grant)
            assert grant == next_grant(requests, last, count), f"cycle {cycle}, seed {seed}"
            if grant and accept:
                last = grant.bit_length() - 1

    simulate(arbiter, bench)


@pytest.mark.parametrize("count", [2, 3, 6])
@pytest.mark.parametrize("patient", [0, -1])
def test_nobody_waits_for_more_than_each_other_once(count, patient):
    seed = count
    rng = random.Random(seed)
    arbiter = RotatingArbiter(count)
    mine = 1 << (patient % count)
    longest = 0

    async def bench(ctx: Any) -> None:
        nonlocal longest
        waited = 0
        ctx.set(arbiter.accept, 1)
        for _ in range(300):
            ctx.set(arbiter.requests, mine | rng.getrandbits(count) | rng.getrandbits(count))
            _, _, grant = await ctx.tick().sample(arbiter.grant)
            waited = 0 if grant == mine else waited + 1
            longest = max(longest, waited)

    simulate(arbiter, bench)
    assert longest == count - 1, f"seed {seed}"
