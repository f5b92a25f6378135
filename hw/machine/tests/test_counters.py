import random
from typing import Any

import pytest

from hw.bus.host_bus import BusError
from hw.machine.counters import RECORD_WORDS, Counters, counter_fields
from hw.machine.tests.bus import ask_target
from hw.machine.tests.configs import small_config
from sim.harness.amaranth_sim import simulate, stream_put

CONFIG = small_config()
FIELDS = counter_fields()


def random_report(rng: random.Random) -> dict[str, int]:
    return {name: rng.getrandbits(32) for name in FIELDS}


async def read_record(ctx: Any, counters: Counters, entry: int) -> list[int]:
    words = []
    for field in range(RECORD_WORDS):
        response = await ask_target(ctx, counters.bus, RECORD_WORDS * entry + field)
        assert response is not None and response[1] == BusError.OK
        words.append(response[0])
    return words


def test_records_are_kept_by_entry():
    rng = random.Random(1)
    counters = Counters(CONFIG)
    reports = {entry: random_report(rng) for entry in (2, 0, CONFIG.max_entries - 1)}

    async def bench(ctx: Any) -> None:
        for entry, report in reports.items():
            ctx.set(counters.entry, entry)
            await stream_put(ctx, counters.reports, report)
        for entry in range(CONFIG.max_entries):
            report = reports.get(entry, dict.fromkeys(FIELDS, 0))
            padding = [0] * (RECORD_WORDS - len(FIELDS))
            assert await read_record(ctx, counters, entry) == [*report.values(), *padding]

    simulate(counters, bench)


def test_a_record_takes_a_cycle_a_field():
    counters = Counters(CONFIG)
    ready: list[int] = []

    async def bench(ctx: Any) -> None:
        ctx.set(counters.reports.valid, 1)
        for _ in range(2 * len(FIELDS)):
            _, _, sample = await ctx.tick().sample(counters.reports.ready)
            ready.append(sample)

    simulate(counters, bench)
    assert ready == ([0] * (len(FIELDS) - 1) + [1]) * 2


def test_a_report_that_a_reset_takes_away_leaves_no_trace():
    rng = random.Random(2)
    counters = Counters(CONFIG)
    report = random_report(rng)

    async def bench(ctx: Any) -> None:
        ctx.set(counters.reports.payload, random_report(rng))
        ctx.set(counters.reports.valid, 1)
        await ctx.tick()
        ctx.set(counters.reports.valid, 0)
        await ctx.tick()
        await stream_put(ctx, counters.reports, report)
        assert (await read_record(ctx, counters, 0))[: len(FIELDS)] == list(report.values())

    # The stream's own rule is what a reset breaks.
    with pytest.raises(AssertionError, match="valid was withdrawn"):
        simulate(counters, bench)


def test_a_read_waits_while_a_record_is_written():
    counters = Counters(CONFIG)
    report = random_report(random.Random(3))

    async def write(ctx: Any) -> None:
        await stream_put(ctx, counters.reports, report)

    async def read(ctx: Any) -> None:
        answer = await ask_target(ctx, counters.bus, 0)
        assert answer == (report[FIELDS[0]], BusError.OK, len(FIELDS) + 2)

    simulate(counters, write, read)


def test_counters_are_read_only_and_end():
    counters = Counters(CONFIG)

    async def bench(ctx: Any) -> None:
        assert (await ask_target(ctx, counters.bus, 0, 1) or (0, 0))[1] == BusError.DIRECTION
        beyond = await ask_target(ctx, counters.bus, RECORD_WORDS * CONFIG.max_entries)
        assert (beyond or (0, 0))[1] == BusError.ADDRESS

    simulate(counters, bench)
