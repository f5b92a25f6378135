import random
from typing import Any

import pytest

from hw.bus.host_bus import BusError, Region
from hw.machine.bus_decoder import BusDecoder
from hw.machine.tests.bus import request
from sim.harness.amaranth_sim import simulate

TIMEOUT = 16


class Target:
    """A process: a target that answers with what it was asked, after some cycles, or not at all."""

    def __init__(self, port: Any, delay: int, error: Any = BusError.OK) -> None:
        self._port, self._delay, self._error = port, delay, error
        self.seen: list[tuple[int, ...]] = []
        self.over = False

    async def __call__(self, ctx: Any) -> None:
        port, waited = self._port, 0
        ctx.set(port.error, self._error)
        while not self.over:
            ctx.set(port.done, waited == self._delay)
            ctx.set(port.answer, 0x1000 * waited + ctx.get(port.offset))
            _, _, select, offset, write, data = await ctx.tick().sample(port.select, port.offset, port.write, port.data)
            if select and waited == self._delay:
                self.seen.append((offset, write, data))
            waited = waited + 1 if select and waited < self._delay else 0


def run(bench: Any, delays: dict[Region, int], error: Any = BusError.OK) -> dict[Region, Target]:
    """Run a process that is given the bus, with a target in each region, which answers after so many cycles."""
    decoder = BusDecoder(TIMEOUT)
    targets = {region: Target(getattr(decoder, region.name.lower()), delay, error) for region, delay in delays.items()}

    async def process(ctx: Any) -> None:
        await bench(ctx, decoder.bus)
        for target in targets.values():
            target.over = True

    simulate(decoder, process, *targets.values())
    return targets


@pytest.mark.parametrize("seed", range(3))
def test_requests_reach_their_targets_and_answers_come_back(seed):
    rng = random.Random(seed)
    delays = {region: rng.randrange(TIMEOUT) for region in Region}
    expected: dict[Region, list[tuple[int, ...]]] = {region: [] for region in Region}

    async def bench(ctx: Any, bus: Any) -> None:
        for _ in range(100):
            region, offset = rng.choice(list(Region)), rng.choice([0, 1, 2**18 - 1, rng.randrange(2**18)])
            data = rng.choice([None, rng.getrandbits(32)])
            answer, error = await request(ctx, bus, region.base + 4 * offset, data)
            assert error == BusError.OK, f"seed {seed}"
            assert answer == 0x1000 * delays[region] + offset & 0xFFFF_FFFF, f"seed {seed}"
            expected[region].append((offset, data is not None, data or 0))

    targets = run(bench, delays)
    assert {region: target.seen for region, target in targets.items()} == expected, f"seed {seed}"


def test_what_is_no_word_of_a_region_is_refused():
    async def bench(ctx: Any, bus: Any) -> None:
        for address in (0x000001, 0x000002, 0x000003, 0x40_0003, 0x50_0000, 0xFF_FFFC):
            for data in (None, 1):
                _, error = await request(ctx, bus, address, data)
                assert error == BusError.ADDRESS, f"{address:#x}"

    targets = run(bench, dict.fromkeys(Region, 0))
    assert not any(target.seen for target in targets.values())


def test_the_errors_of_a_target_come_back():
    async def bench(ctx: Any, bus: Any) -> None:
        assert (await request(ctx, bus, Region.INPUT.base, 1))[1] == BusError.STATE

    run(bench, {Region.INPUT: 3}, BusError.STATE)


def test_a_target_has_until_the_time_out_to_answer():
    async def bench(ctx: Any, bus: Any) -> None:
        assert (await request(ctx, bus, Region.INPUT.base, 1))[1] == BusError.OK
        assert (await request(ctx, bus, Region.OUTPUT.base))[1] == BusError.TIMEOUT
        assert (await request(ctx, bus, Region.INPUT.base, 2))[1] == BusError.OK

    targets = run(bench, {Region.INPUT: TIMEOUT - 1, Region.OUTPUT: TIMEOUT})
    assert [data for _, _, data in targets[Region.INPUT].seen] == [1, 2]
    assert not targets[Region.OUTPUT].seen


def test_a_response_waits_until_it_is_taken():
    async def bench(ctx: Any, bus: Any) -> None:
        ctx.set(bus.request.payload, {"address": Region.COUNTERS.base + 4, "write": 0, "data": 0})
        ctx.set(bus.request.valid, 1)
        await ctx.tick().repeat(2)  # looked at, and taken
        ctx.set(bus.request.payload, {"address": 0, "write": 0, "data": 0})
        await ctx.tick().repeat(20)
        assert ctx.get(bus.response.valid) and ctx.get(bus.response.payload.data) == 1
        assert not ctx.get(bus.request.ready)

    run(bench, {Region.COUNTERS: 0, Region.REGISTERS: 0})
