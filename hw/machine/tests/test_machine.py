"""The machine with a fake core: what a host sees when all is well."""

import random
from typing import Any

import pytest

from hw.bus.host_bus import BusError, Region
from hw.control.descriptor import Operation
from hw.machine import registers
from hw.machine.program import entry_words
from hw.machine.tests.configs import image, random_words, small_config
from hw.machine.tests.fake_core import FakeAccelerator
from hw.machine.tests.host import Host
from hw.machine.tests.playing import (
    CONFIG,
    EXPECTED,
    INPUT_A,
    INPUT_B,
    LAYER_A,
    LOAD_A,
    LOAD_B,
    PROGRAM,
    STORE,
    WEIGHTS,
    layer,
    load,
    play,
    program_of,
    ready,
    store,
    total,
)
from sim.harness.amaranth_sim import simulate


def test_load_run_read():
    async def bench(host: Host) -> None:
        await ready(host)
        for _ in range(2):
            await host.start(LOAD_A, STORE)
            assert (await host.get(registers.STATUS))["busy"]
            await host.give(INPUT_A + INPUT_B)
            await host.wait_for(has_output=1)
            assert await host.take(6) == EXPECTED
            status = await host.wait_for(busy=0)
            assert status["done"] and not status["failed"] and not status["has_output"]
        assert (await host.get(registers.ERROR))["code"] == 0

    play(bench)


def test_counters_tell_of_each_entry():
    async def bench(host: Host) -> None:
        await ready(host)
        assert set((await host.counters(LOAD_A)).values()) == {0}
        await host.start(LOAD_A, STORE)
        await host.give(INPUT_A + INPUT_B)
        await host.take(6)
        await host.wait_for(done=1)
        sums = [INPUT_A, INPUT_A + INPUT_B, INPUT_A + INPUT_B + WEIGHTS[:3], INPUT_A + INPUT_B + WEIGHTS]
        for index, moved in enumerate((6, 1, 3, 6, 6)):
            record = await host.counters(index)
            assert record["operations"] == moved
            assert record["cycles"] == total(sums[min(index, 3)])
        assert (await host.get(registers.CYCLES))["cycles"] > 22

    play(bench)


@pytest.mark.parametrize(("first", "last"), [(2, 2), (2, 3), (3, 3), (3, 4), (4, 4)])
def test_a_part_of_the_program(first, last):
    parts = [*[[]] * LAYER_A, WEIGHTS[:3], WEIGHTS[3:], []]
    words = [word for part in parts[first : last + 1] for word in part]

    async def bench(host: Host) -> None:
        await ready(host)
        await host.start(first, last)
        if last == STORE:
            assert await host.take(6) == [(total(words) + index) % 2**32 for index in range(6)]
        await host.wait_for(done=1)
        assert (await host.counters(last))["cycles"] == total(words)
        untouched = (await host.counters(first - 1))["operations"]
        assert untouched == 0

    play(bench)


def test_a_run_is_done_when_all_output_is_read():
    async def bench(host: Host) -> None:
        await ready(host)
        await host.start(STORE, STORE)
        await host.take(5)
        for _ in range(5):
            status = await host.get(registers.STATUS)
            assert status["busy"] and status["has_output"] and not status["done"]
        await host.take(1)
        assert (await host.wait_for(done=1))["done"]
        assert (await host.request(Region.OUTPUT.base))[1] == BusError.STATE

    play(bench)


def test_too_much_input_is_refused_and_too_little_waits():
    async def bench(host: Host) -> None:
        await ready(host)
        await host.start(LOAD_A, LOAD_B)
        await host.give(INPUT_A)
        await host.wait_for(waits_for_input=1)
        for _ in range(5):
            assert (await host.get(registers.STATUS))["busy"]
        await host.clear()
        status = await host.get(registers.STATUS)
        assert not (status["busy"] or status["waits_for_input"] or status["done"] or status["failed"])
        assert status["program_valid"]

        await host.start(LOAD_A, LOAD_B)
        await host.give(INPUT_A + INPUT_B)
        assert (await host.request(Region.INPUT.base, 1))[1] == BusError.STATE
        await host.wait_for(done=1)
        assert (await host.counters(LOAD_B))["cycles"] == total(INPUT_A + INPUT_B)

    play(bench)


def test_power_on_with_a_program():
    async def bench(host: Host) -> None:
        assert (await host.wait_for(program_valid=1))["program_valid"]
        assert (await host.get(registers.ENTRIES))["count"] == 5
        assert (await host.get(registers.PROGRAM_WORDS))["words"] * 4 == len(PROGRAM.data)
        assert (await host.get(registers.PROGRAM_CHECKSUM))["value"] == PROGRAM.checksum
        await host.start(LOAD_A, STORE)
        await host.give(INPUT_A + INPUT_B)
        assert await host.take(6) == EXPECTED

    play(bench, program=PROGRAM)


def test_power_on_without_a_program():
    async def bench(host: Host) -> None:
        for register in registers.REGISTERS:
            if register.access != registers.Access.WO and register.reset is not None:
                assert register.encode(**await host.get(register)) == register.reset, register.name

    play(bench)


def test_the_constants_are_those_of_the_configuration():
    config = small_config(16, stream_units=4)

    async def bench(host: Host) -> None:
        core = config.core
        for register, value in (
            (registers.IDENTITY, int.from_bytes(b"SKIP", "little")),
            (registers.FINGERPRINT, config.fingerprint),
            (registers.GROUPS, core.groups),
            (registers.LANES, 16),
            (registers.PROGRAM_DEPTH, config.program_depth),
            (registers.ACTIVATION_WORDS, core.activation_words),
            (registers.LINK_WORDS, config.link_words),
        ):
            assert list((await host.get(register)).values()) == [value], register.name
        assert await host.get(registers.VERSION) == {"major": 1, "minor": 0}

    play(bench, config)


@pytest.mark.parametrize("lanes", [8, 32])
def test_other_widths(lanes):
    config = small_config(lanes, stream_units=8)
    words = random_words(random.Random(lanes), config, 20)
    program = program_of(config, words)
    beats = [random.Random(index).getrandbits(64) for index in range(7)]

    async def bench(host: Host) -> None:
        await host.load(program, lanes)
        assert (await host.verify())["program_valid"]
        await host.start(LOAD_A, STORE)
        await host.give([beat >> shift & 0xFFFF_FFFF for beat in beats for shift in (0, 32)])
        expected = total(beats + words)
        assert await host.take(12) == [
            value for index in range(6) for value in ((expected + index) % 2**32, (expected + index) >> 32)
        ]

    play(bench, config)


@pytest.mark.parametrize("event", ["done", "input", "output", "failed"])
def test_interrupts(event):
    accelerator = FakeAccelerator(CONFIG)

    async def process(ctx: Any) -> None:
        host = Host(ctx, accelerator.bus)
        await ready(host)
        await host.set(registers.INTERRUPT_ENABLE, **{event: 1})
        await host.start(LOAD_A, LOAD_A if event != "output" else STORE)
        if event in ("done", "output"):
            assert not ctx.get(accelerator.interrupt)
            await host.give(INPUT_A + (INPUT_B if event == "output" else []))
        elif event == "failed":
            assert not ctx.get(accelerator.interrupt)
            await host.set(registers.CONTROL, start=1)
        await host.wait_for(**{"input": {"waits_for_input": 1}, "output": {"has_output": 1}}.get(event, {event: 1}))
        await ctx.tick().repeat(2)
        assert ctx.get(accelerator.interrupt)
        assert (await host.get(registers.INTERRUPT))[event]
        await host.set(registers.INTERRUPT, **{event: 1})
        await ctx.tick()
        assert not ctx.get(accelerator.interrupt)

    simulate(accelerator, process)


def random_entry(rng: random.Random, weights_at: int) -> dict:
    """A LOAD, a STORE, or a layer with some of the weights."""
    start = rng.randrange(len(WEIGHTS))
    return rng.choice(
        [
            load(packets=rng.randint(1, 3), beats=rng.randint(1, 4)),
            layer(weights_at + start, rng.randint(1, len(WEIGHTS) - start)),
            store(packets=rng.randint(1, 3), beats=rng.randint(1, 3)),
        ]
    )


async def follow(host: Host, fields: dict, weights_at: int, before: int, rng: random.Random) -> int:
    """Give a running entry what it asks for, and check what it gives; the fake core's sum after it."""
    inner = fields["layer"]
    if inner["operation"] == Operation.LOAD:
        words = random_words(rng, CONFIG, fields["packet_beats"] * (inner["input"]["rows_last"] + 1))
        await host.give(words)
        return before + sum(words)
    if inner["operation"] == Operation.CONVOLVE:
        start = fields["weights_start"] - weights_at
        return before + sum(WEIGHTS[start : start + fields["weights_words"]])
    count = (inner["output"]["rows_last"] + 1) * (inner["output"]["columns_last"] + 1)
    assert await host.take(count) == [(before + index) % 2**32 for index in range(count)]
    return before


@pytest.mark.parametrize("seed", range(6))
def test_random_programs(seed):
    """Any entries, and any range of them, again and again."""
    rng = random.Random(seed)
    weights_at = CONFIG.max_entries * entry_words(CONFIG.core, CONFIG.program_depth)
    entries = [random_entry(rng, weights_at) for _ in range(CONFIG.max_entries)]

    async def bench(host: Host) -> None:
        await host.load(image(CONFIG, entries, WEIGHTS), CONFIG.core.lanes)
        assert (await host.verify())["program_valid"]
        for _ in range(4):
            first = rng.randrange(len(entries))
            last = rng.randrange(first, len(entries))
            await host.start(first, last)
            reached = 0
            for fields in entries[first : last + 1]:
                reached = await follow(host, fields, weights_at, reached, rng)
            assert (await host.wait_for(done=1, failed=1))["done"]

    play(bench)
