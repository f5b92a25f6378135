from typing import Any

from hw.bus.host_bus import BusError
from hw.machine.register import Access, Field, Register
from hw.machine.register_bank import RegisterBank
from hw.machine.tests.bus import ask_target
from sim.harness.amaranth_sim import simulate

LEVEL = Register("LEVEL", 0x00, Access.RO, "", (Field("low", 2, 4, ""), Field("high", 28, 4, "")))
PLACE = Register("PLACE", 0x04, Access.RW, "", (Field("x", 0, 8, ""), Field("y", 16, 8, "")), 0x00_07_00_03)
KEY = Register("KEY", 0x08, Access.RW, "", (Field("value", 0, 32, ""),), locked=True)
PUSH = Register("PUSH", 0x0C, Access.WO, "", (Field("a", 0, 1, ""), Field("b", 5, 1, "")))
EVENT = Register("EVENT", 0x10, Access.W1C, "", (Field("a", 0, 1, ""), Field("b", 1, 1, "")))
ALL = (LEVEL, PLACE, KEY, PUSH, EVENT)


async def ask(ctx: Any, bank: RegisterBank, register: Register, data: int | None = None) -> tuple[int, BusError]:
    response = await ask_target(ctx, bank.bus, register.address // 4, data)
    assert response is not None
    answer, error, cycles = response
    assert cycles == 2
    return answer, error


def check(bench: Any, resets: dict[Register, int] | None = None) -> None:
    bank = RegisterBank(ALL, resets)

    async def process(ctx: Any) -> None:
        await bench(ctx, bank)

    simulate(bank, process)


def test_read_only():
    async def bench(ctx, bank):
        ctx.set(bank.level.low, 0xA)
        ctx.set(bank.level.high, 0x5)
        assert await ask(ctx, bank, LEVEL) == (0x5000_0028, BusError.OK)
        assert (await ask(ctx, bank, LEVEL, 1))[1] == BusError.DIRECTION

    check(bench)


def test_read_and_write():
    async def bench(ctx, bank):
        assert await ask(ctx, bank, PLACE) == (PLACE.reset, BusError.OK)
        assert (await ask(ctx, bank, PLACE, 0xFFAB_FFCD))[1] == BusError.OK
        assert await ask(ctx, bank, PLACE) == (0x00AB_00CD, BusError.OK)
        assert (ctx.get(bank.place.x), ctx.get(bank.place.y)) == (0xCD, 0xAB)

    check(bench)


def test_other_resets():
    async def bench(ctx, bank):
        assert await ask(ctx, bank, PLACE) == (0x00FF_0001, BusError.OK)
        assert await ask(ctx, bank, KEY) == (0, BusError.OK)

    check(bench, {PLACE: 0x00FF_0001})


def test_a_locked_register_can_only_be_read():
    async def bench(ctx, bank):
        await ask(ctx, bank, KEY, 0x1234)
        ctx.set(bank.locked, 1)
        assert (await ask(ctx, bank, KEY, 0x5678))[1] == BusError.STATE
        assert (await ask(ctx, bank, PLACE, 0))[1] == BusError.OK
        assert await ask(ctx, bank, KEY) == (0x1234, BusError.OK)

    check(bench)


def test_written_is_a_pulse_with_the_new_value():
    async def bench(ctx, bank):
        seen: list[tuple[int, ...]] = []
        ctx.set(bank.bus.offset, PLACE.address // 4)
        ctx.set(bank.bus.write, 1)
        ctx.set(bank.bus.data, 0x9)
        for select in (1, 1, 0, 0):
            ctx.set(bank.bus.select, select)
            _, _, *sample = await ctx.tick().sample(bank.written.place, bank.written.key, bank.place.x)
            seen.append(tuple(sample))
        assert seen == [(0, 0, 3), (1, 0, 9), (0, 0, 9), (0, 0, 9)]

    check(bench)


def test_write_only_bits_are_pulses():
    async def bench(ctx, bank):
        assert (await ask(ctx, bank, PUSH))[1] == BusError.DIRECTION
        pulses = {"a": 0, "b": 0}
        ctx.set(bank.bus.offset, PUSH.address // 4)
        ctx.set(bank.bus.write, 1)
        ctx.set(bank.bus.data, PUSH.encode(b=1))
        for select in (1, 1, 0, 0, 0):
            ctx.set(bank.bus.select, select)
            _, _, a, b = await ctx.tick().sample(bank.push.a, bank.push.b)
            pulses["a"] += a
            pulses["b"] += b
        assert pulses == {"a": 0, "b": 1}

    check(bench)


def test_events_stay_until_they_are_cleared():
    async def bench(ctx, bank):
        ctx.set(bank.event_set, {"a": 1, "b": 1})
        await ctx.tick()
        ctx.set(bank.event_set, {"a": 0, "b": 0})
        assert await ask(ctx, bank, EVENT) == (3, BusError.OK)
        await ask(ctx, bank, EVENT, EVENT.encode(b=1))
        assert await ask(ctx, bank, EVENT) == (1, BusError.OK)
        await ask(ctx, bank, EVENT, EVENT.encode(a=1))
        assert await ask(ctx, bank, EVENT) == (0, BusError.OK)

    check(bench)


def test_an_event_that_comes_while_it_is_cleared_stays():
    async def bench(ctx, bank):
        ctx.set(bank.bus.offset, EVENT.address // 4)
        ctx.set(bank.bus.write, 1)
        ctx.set(bank.bus.data, EVENT.encode(a=1, b=1))
        ctx.set(bank.bus.select, 1)
        ctx.set(bank.event_set, {"a": 1, "b": 0})
        await ctx.tick()
        ctx.set(bank.event_set, {"a": 0, "b": 0})
        await ctx.tick()
        ctx.set(bank.bus.select, 0)
        await ctx.tick()
        assert await ask(ctx, bank, EVENT) == (1, BusError.OK)

    check(bench)


def test_there_is_nothing_behind_the_last_register():
    async def bench(ctx, bank):
        for data in (None, 1):
            response = await ask_target(ctx, bank.bus, len(ALL), data)
            assert response is not None and response[1] == BusError.ADDRESS

    check(bench)
