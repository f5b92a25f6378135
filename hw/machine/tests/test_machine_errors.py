"""The machine with a fake core: what stops it, and how it comes back."""

from typing import Any

import pytest

from hw.bus.host_bus import BusError, Region
from hw.control.descriptor import Operation
from hw.machine import registers
from hw.machine.registers import CONTROL, RunError
from hw.machine.tests.configs import entry, image
from hw.machine.tests.fake_core import COLLISION_FAULT, HANG, PACKET_FAULT
from hw.machine.tests.host import Host
from hw.machine.tests.playing import (
    CONFIG,
    EXPECTED,
    INPUT_A,
    INPUT_B,
    LOAD_A,
    LOAD_B,
    PROGRAM,
    STORE,
    layer,
    play,
    ready,
)

LANES = CONFIG.core.lanes


async def run_well(host: Host) -> None:
    """The whole program runs, and gives what it must."""
    await host.start(LOAD_A, STORE)
    await host.give(INPUT_A + INPUT_B)
    assert await host.take(6) == EXPECTED
    assert (await host.wait_for(done=1, failed=1))["done"]


async def recover(host: Host) -> None:
    """After an error: idle, with nothing left of it; then all is as it was."""
    await host.clear()
    status = await host.get(registers.STATUS)
    assert not any(status[name] for name in ("busy", "done", "failed", "waits_for_input", "has_output"))
    assert (await host.get(registers.ERROR))["code"] == 0
    if not status["program_valid"]:
        await ready(host)
    await run_well(host)


def test_start_while_busy():
    async def bench(host: Host) -> None:
        await ready(host)
        await host.start(LOAD_A, STORE)
        await host.give(INPUT_A)
        await host.wait_for(waits_for_input=1)
        await host.set(CONTROL, start=1)
        assert await host.failure() == (RunError.START_WHILE_BUSY, LOAD_B)
        # What a host does in ignorance of the error is refused, not waited for.
        assert (await host.request(Region.INPUT.base, 1))[1] == BusError.STATE
        assert (await host.request(Region.OUTPUT.base))[1] == BusError.STATE
        await recover(host)

    play(bench)


def test_verify_while_busy():
    async def bench(host: Host) -> None:
        await ready(host)
        await host.start(LOAD_A, STORE)
        await host.set(CONTROL, verify=1)
        assert await host.failure() == (RunError.START_WHILE_BUSY, LOAD_A)
        assert (await host.get(registers.STATUS))["program_valid"]
        await recover(host)

    play(bench)


def test_start_without_a_program():
    async def bench(host: Host) -> None:
        await host.set(registers.ENTRIES, count=5)
        await host.start(0, 0)
        assert (await host.failure())[0] == RunError.NO_PROGRAM
        await recover(host)

    play(bench)


def test_start_before_verification_ends():
    async def bench(host: Host) -> None:
        await host.load(PROGRAM, LANES)
        await host.set(registers.LAST, entry=STORE)
        await host.set(CONTROL, verify=1)
        await host.set(CONTROL, start=1)
        assert (await host.failure())[0] == RunError.NO_PROGRAM
        await host.wait_for(verifying=0)
        await recover(host)

    play(bench)


@pytest.mark.parametrize("change", ["program", "length", "checksum"])
def test_what_has_changed_since_verification_does_not_run(change):
    async def bench(host: Host) -> None:
        await ready(host)
        if change == "program":
            await host.request(Region.PROGRAM.base + 4 * CONFIG.program_depth - 4, 1)
        elif change == "length":
            await host.set(registers.PROGRAM_WORDS, words=len(PROGRAM.data) // LANES)
        else:
            await host.set(registers.PROGRAM_CHECKSUM, value=PROGRAM.checksum)
        assert not (await host.get(registers.STATUS))["program_valid"]
        await host.start(LOAD_A, STORE)
        assert (await host.failure())[0] == RunError.NO_PROGRAM
        await recover(host)

    play(bench)


def test_a_wrong_checksum():
    async def bench(host: Host) -> None:
        await host.load(PROGRAM, LANES, checksum=PROGRAM.checksum ^ 1)
        assert not (await host.verify())["program_valid"]
        assert (await host.failure())[0] == RunError.CHECKSUM
        await host.set(CONTROL, start=1)  # not heeded before the error is cleared
        assert (await host.failure())[0] == RunError.CHECKSUM
        await recover(host)

    play(bench)


@pytest.mark.parametrize("place", [0, len(PROGRAM.data) // 8 * 4, len(PROGRAM.data) - 4])
def test_a_damaged_program(place):
    async def bench(host: Host) -> None:
        await host.load(PROGRAM, LANES)
        word = int.from_bytes(PROGRAM.data[place : place + 4], "little")
        await host.request(Region.PROGRAM.base + place, word ^ 0x0100_0000)
        assert not (await host.verify())["program_valid"]
        assert (await host.failure())[0] == RunError.CHECKSUM
        await recover(host)

    play(bench)


@pytest.mark.parametrize("words", [0, CONFIG.program_depth + 1, 2**19 - 1])
def test_a_program_of_impossible_length(words):
    async def bench(host: Host) -> None:
        await host.load(PROGRAM, LANES)
        await host.set(registers.PROGRAM_WORDS, words=words)
        assert not (await host.verify())["program_valid"]
        assert (await host.failure())[0] == RunError.RANGE
        await recover(host)

    play(bench)


def bad_entry(**changes: Any) -> dict:
    return entry(Operation.STORE, output={"rows_last": 0}) | changes


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        (bad_entry(mark=0), RunError.BAD_ENTRY),
        (bad_entry(layer={"operation": 7}), RunError.BAD_ENTRY),
        (entry(Operation.LOAD), RunError.BAD_ENTRY),
        (entry(Operation.CONVOLVE, input={"base": 63, "ring_words": 2}), RunError.RANGE),
        (entry(Operation.CONVOLVE, output={"base": 1, "words": 64}), RunError.RANGE),
        (entry(Operation.CONVOLVE, weights=(255, 2)), RunError.RANGE),
        (entry(Operation.CONVOLVE, weights=(0, 256)), RunError.RANGE),
    ],
)
def test_a_bad_entry(fields, error):
    """It is found when it is fetched, while the entries before it may still run."""
    good = [entry(Operation.LOAD, packet_beats=1), layer(0, 3)]
    program = image(CONFIG, [*good, fields], [])

    async def bench(host: Host) -> None:
        await host.load(program, LANES)
        assert (await host.verify())["program_valid"]
        await host.start(0, 1)  # it is not in the way of those before it
        await host.give([1])
        assert (await host.wait_for(done=1, failed=1))["done"]
        await host.start(0, 2)
        await host.request(Region.INPUT.base, 1)
        assert await host.failure() == (error, 2)
        await host.load(PROGRAM, LANES)
        await recover(host)

    play(bench)


@pytest.mark.parametrize(
    ("first", "last", "entries"),
    [(1, 0, 5), (0, 5, 5), (5, 5, 5), (0, 0, 0), (2**16 - 1, 2**16 - 1, 2**16 - 1), (0, 0, CONFIG.max_entries + 1)],
)
def test_a_run_out_of_range(first, last, entries):
    async def bench(host: Host) -> None:
        await ready(host)
        await host.set(registers.ENTRIES, count=entries)
        await host.start(first, last)
        # What is too large for the register is kept as the largest value.
        assert await host.failure() == (RunError.RANGE, min(first, 2**CONFIG.entry_bits - 1))
        await host.set(registers.ENTRIES, count=PROGRAM.entries)
        await recover(host)

    play(bench)


def test_a_truncated_program():
    """A program that is valid, but shorter than its entries."""
    cut = image(CONFIG, [layer(0, 3), layer(0, 3)], [])
    short = type(cut)(cut.data[: -2 * LANES], 2)

    async def bench(host: Host) -> None:
        await host.load(short, LANES)
        assert (await host.verify())["program_valid"]
        await host.start(0, 0)
        assert (await host.wait_for(done=1, failed=1))["done"]
        await host.start(0, 1)
        assert await host.failure() == (RunError.RANGE, 1)
        await host.load(PROGRAM, LANES)
        await recover(host)

    play(bench)


@pytest.mark.parametrize(("fault", "error"), [(PACKET_FAULT, RunError.PACKET), (COLLISION_FAULT, RunError.INTERNAL)])
def test_errors_of_the_core(fault, error):
    program = image(CONFIG, [layer(0, 3), layer(0, 3, passes_last=fault), layer(0, 3)], [])

    async def bench(host: Host) -> None:
        await host.load(program, LANES)
        await host.verify()
        await host.start(0, 2)
        assert await host.failure() == (error, 1)
        await host.load(PROGRAM, LANES)
        await recover(host)

    play(bench)


@pytest.mark.parametrize("cycles", range(0, 40, 3))
def test_clear_at_any_time(cycles):
    """In the middle of a run, wherever that is, leaves nothing behind."""

    async def bench(host: Host) -> None:
        await ready(host)
        await host.start(LOAD_A, STORE)
        await host.give((INPUT_A + INPUT_B)[: cycles // 3])
        if cycles >= 21:
            await host.wait_for(has_output=1)
            await host.take(min(cycles // 3 - 6, 5))
        await recover(host)

    play(bench)


def test_a_layer_that_never_ends_can_be_cleared():
    program = image(CONFIG, [layer(0, 3, passes_last=HANG)], [])

    async def bench(host: Host) -> None:
        await host.load(program, LANES)
        await host.verify()
        await host.start(0, 0)
        before = (await host.get(registers.CYCLES))["cycles"]
        assert (await host.get(registers.CYCLES))["cycles"] > before
        await host.clear()
        await host.load(PROGRAM, LANES)
        await recover(host)

    play(bench)


def test_what_is_locked_during_a_run():
    async def bench(host: Host) -> None:
        await ready(host)
        await host.start(LOAD_A, STORE)
        for register in registers.REGISTERS:
            if register.locked:
                assert (await host.request(register.address, 0))[1] == BusError.STATE
        assert (await host.request(Region.PROGRAM.base, 0))[1] == BusError.STATE
        await host.set(registers.INTERRUPT_ENABLE, done=1)
        await host.give(INPUT_A + INPUT_B)
        assert await host.take(6) == EXPECTED
        await host.wait_for(done=1)
        await run_well(host)

    play(bench)


def test_what_is_locked_during_a_verification():
    async def bench(host: Host) -> None:
        await host.load(PROGRAM, LANES)
        await host.set(CONTROL, verify=1)
        assert (await host.request(Region.PROGRAM.base, 0))[1] == BusError.STATE
        assert (await host.request(registers.PROGRAM_WORDS.address, 1))[1] == BusError.STATE
        assert (await host.get(registers.STATUS))["verifying"]
        await host.set(CONTROL, verify=1)  # of no effect
        assert (await host.wait_for(verifying=0))["program_valid"]
        await run_well(host)

    play(bench)


def test_several_bits_of_control_at_once():
    async def bench(host: Host) -> None:
        await ready(host)
        await host.set(registers.LAST, entry=STORE)
        await host.set(CONTROL, start=1, clear=1, verify=1)
        status = await host.get(registers.STATUS)
        assert not (status["busy"] or status["verifying"] or status["failed"])
        await host.set(CONTROL, start=1, verify=1)
        status = await host.get(registers.STATUS)
        assert status["verifying"] and not status["busy"]
        await host.wait_for(verifying=0)
        await run_well(host)

    play(bench)


@pytest.mark.parametrize(
    ("address", "data", "error"),
    [
        (Region.PROGRAM.base, None, BusError.DIRECTION),
        (Region.PROGRAM.base + 4 * CONFIG.program_depth, 1, BusError.ADDRESS),
        (Region.INPUT.base, None, BusError.DIRECTION),
        (Region.INPUT.base, 1, BusError.STATE),
        (Region.OUTPUT.base, 1, BusError.DIRECTION),
        (Region.OUTPUT.base, None, BusError.STATE),
        (Region.COUNTERS.base, 1, BusError.DIRECTION),
        (Region.COUNTERS.base + 32 * CONFIG.max_entries, None, BusError.ADDRESS),
        (0x50_0000, None, BusError.ADDRESS),
        (registers.STATUS.address, 1, BusError.DIRECTION),
        (registers.CONTROL.address, None, BusError.DIRECTION),
        (4 * len(registers.REGISTERS), None, BusError.ADDRESS),
    ],
)
def test_requests_that_are_refused(address, data, error):
    async def bench(host: Host) -> None:
        await ready(host)
        assert (await host.request(address, data))[1] == error
        await recover(host)

    play(bench)
