import random
from typing import Any

import pytest

from hw.bus.tests.lines import PinReader, drive, levels
from hw.bus.uart import FRAME_BITS, Uart, UartReceiver, UartTransmitter
from hw.stream.tests.timing import TransferTimes
from sim.harness.amaranth_sim import StreamSink, simulate, stream_get, stream_source

DIVISORS = [4, 5, 18]
EDGES = [0x00, 0xFF, 0x55, 0xAA, 0x01, 0x80]

divisors = pytest.mark.parametrize("divisor", DIVISORS)


def some_bytes(seed, count):
    return EDGES + random.Random(seed).choices(range(256), k=count)


def receive(line, divisor, count, stalls="none"):
    """The bytes that a receiver finds on a line, and how often it lost one."""
    dut = UartReceiver(divisor)
    sink = StreamSink(dut.bytes, count=count, stalls=stalls, seed=divisor)
    lost = []

    async def watch(ctx: Any) -> None:
        async for _, _, overrun in ctx.tick().sample(dut.overrun):
            lost.append(overrun)
            if len(lost) == len(line):
                break

    simulate(dut, drive(dut.rx, line), sink, watch, deadline=len(line) + 200)
    return sink.beats, sum(lost)


@divisors
def test_the_receiver_takes_bytes_without_a_gap(divisor):
    values = some_bytes(seed=divisor, count=8)
    assert receive(levels(values, divisor), divisor, len(values)) == (values, 0)


@divisors
@pytest.mark.parametrize("percent", [-2, -1, 1, 2])
@pytest.mark.parametrize("phase", [0.0, 0.3, 0.7])
def test_the_sender_may_be_two_per_cent_off(divisor, percent, phase):
    values = some_bytes(seed=divisor, count=2)
    bit_cycles = divisor * (1 + percent / 100)
    line = levels(values, bit_cycles, phase=phase)
    assert receive(line, divisor, len(values)) == (values, 0)


@divisors
def test_a_glitch_is_no_start_bit(divisor):
    values = some_bytes(seed=divisor, count=3)
    glitch = [1] * 3 + [0] * (divisor // 2 - 1) + [1] * 20 * divisor
    assert receive(glitch + levels(values, divisor), divisor, len(values)) == (values, 0)


@divisors
@pytest.mark.parametrize("fault", ["no stop bit", "break"])
def test_a_byte_without_a_stop_bit_is_dropped(divisor, fault):
    values = some_bytes(seed=divisor, count=3)
    bad = levels([0x0F], divisor, stop=0) if fault == "no stop bit" else [0] * 35 * divisor + [1] * divisor
    assert receive(bad + levels(values, divisor), divisor, len(values)) == (values, 0)


def test_bytes_are_held_as_long_as_the_next_one_takes():
    values = some_bytes(seed=1, count=10)
    line = levels(values, 16)
    assert receive(line, 16, len(values), stalls="slow") == (values, 0)


def test_a_byte_that_finds_no_room_is_lost_and_told():
    """Nothing is taken while three bytes arrive: the first is held, the others are lost; then all is well again."""
    dut = UartReceiver(4)
    taken, overruns = [], []
    early, late = levels([1, 2, 3], 4), levels([4, 5], 4)

    async def take(ctx: Any) -> None:
        await ctx.tick().repeat(len(early))
        for _ in range(3):
            taken.append(await stream_get(ctx, dut.bytes))

    async def watch(ctx: Any) -> None:
        for _ in range(len(early + late)):
            _, _, overrun = await ctx.tick().sample(dut.overrun)
            overruns.append(overrun)

    simulate(dut, drive(dut.rx, early + late), take, watch)
    assert taken == [1, 4, 5]
    assert sum(overruns) == 2


@divisors
@pytest.mark.parametrize("stalls", ["none", "bursty"])
def test_the_transmitter_sends_what_it_is_given(divisor, stalls):
    values = some_bytes(seed=divisor, count=8)
    dut = UartTransmitter(divisor)
    reader = PinReader(dut.tx, divisor, cycles=(len(values) * 2 + 1) * FRAME_BITS * divisor)
    simulate(dut, stream_source(dut.bytes, values, stalls=stalls, seed=divisor), reader)
    assert reader.values == values


@divisors
def test_the_transmitter_leaves_no_gap(divisor):
    dut = UartTransmitter(divisor)
    times = TransferTimes(dut.bytes, 4)
    reader = PinReader(dut.tx, divisor, cycles=5 * FRAME_BITS * divisor)
    simulate(dut, stream_source(dut.bytes, [0, 255, 3, 4]), times, reader)
    assert [cycle - times.cycles[0] for cycle in reader.starts] == [1 + FRAME_BITS * divisor * i for i in range(4)]


@divisors
def test_latency_of_the_receiver(divisor):
    dut = UartReceiver(divisor)
    times = TransferTimes(dut.bytes, 1)
    line = levels([0xA5], divisor)
    simulate(dut, drive(dut.rx, line), times, StreamSink(dut.bytes, count=1))
    start = line.index(0)
    assert times.cycles[0] - start == (FRAME_BITS - 1) * divisor + divisor // 2 + UartReceiver.latency


def test_both_directions_at_once():
    divisor, there, back = 4, some_bytes(seed=1, count=8), some_bytes(seed=2, count=8)
    dut = Uart(divisor)
    sink = StreamSink(dut.received, count=len(there))
    reader = PinReader(dut.tx, divisor, cycles=(len(back) + 1) * FRAME_BITS * divisor)
    simulate(
        dut, drive(dut.rx, levels(there, divisor)), stream_source(dut.to_send, back), sink, reader, deadline=20_000
    )
    assert (sink.beats, reader.values) == (there, back)


@pytest.mark.parametrize("part", [Uart, UartReceiver, UartTransmitter])
def test_a_faster_uart_is_refused(part):
    with pytest.raises(ValueError, match="3 clock cycles a bit: give at least 4"):
        part(3)
