"""Streams on Amaranth's own simulator: order kept under all profiles, faults found, cycles counted."""

from __future__ import annotations

import random

import pytest

from sim.harness.amaranth_sim import StreamSink, simulate, stream_get, stream_put, stream_source
from sim.tests.harness.components import PIXEL, Broken, Fault, Fifo, Narrow


@pytest.mark.parametrize("stalls", ["none", "random", "bursty", "slow"])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_queue_keeps_every_beat_in_order(stalls, seed):
    values = [random.Random(seed).randrange(256) for _ in range(100)]
    dut = Fifo()
    sink = StreamSink(dut.o, count=100, stalls=stalls, seed=seed)
    cycles = simulate(dut, stream_source(dut.i, values, stalls=stalls, seed=seed), sink, deadline=3_000)
    assert sink.beats == values, f"seed {seed}"
    if stalls == "none":
        assert cycles <= 100 + 4 + 16


def test_structured_payloads():
    values = [{"value": [n, 255 - n, 2 * n], "offset": n % 32, "last": int(n == 19)} for n in range(20)]
    dut = Fifo(PIXEL)
    sink = StreamSink(dut.o, count=20, stalls="random", seed=3)
    simulate(dut, stream_source(dut.i, values, stalls="random", seed=3), sink)
    assert sink.beats == values


def test_put_and_get_one_beat():
    dut = Narrow(width=16, ratio=2)
    got = []

    async def get(ctx):
        got.append(await stream_get(ctx, dut.o))
        got.append(await stream_get(ctx, dut.o))

    async def put(ctx):
        await stream_put(ctx, dut.i, 0xBBAA)

    cycles = simulate(dut, put, get, deadline=20)
    assert got == [0xAA, 0xBB]
    assert cycles == 2


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault.WITHDRAWS, "stream o: valid was withdrawn"),
        (Fault.CHANGES, "stream o: payload changed"),
        (Fault.LOSES, "not over after 1000 cycles"),
        (Fault.STOPS, "not over after 1000 cycles"),
    ],
)
def test_faults_are_found(fault, message):
    dut = Broken()

    async def set_fault(ctx):
        ctx.set(dut.fault, fault)

    sink = StreamSink(dut.o, count=64, stalls="random", seed=4)
    with pytest.raises(AssertionError, match=message):
        simulate(dut, set_fault, stream_source(dut.i, range(64)), sink, deadline=1_000)


def test_a_beat_too_many_is_seen():
    dut = Fifo()
    sink = StreamSink(dut.o, count=9)
    simulate(dut, stream_source(dut.i, range(10)), sink)
    assert sink.beats == list(range(10))


def test_waves_are_written_when_asked(tmp_path):
    dut = Fifo()
    simulate(dut, stream_source(dut.i, range(4)), waves=tmp_path / "fifo.vcd")
    assert "payload" in (tmp_path / "fifo.vcd").read_text()
