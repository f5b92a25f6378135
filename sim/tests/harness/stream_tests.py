"""cocotb tests that run inside the simulator; test_runner.py and test_streams.py start them."""

from __future__ import annotations

import cocotb
from cocotb.triggers import ClockCycles

from sim.harness import exchange
from sim.harness.clock import start
from sim.harness.streams import Sink, Source
from sim.tests.harness.components import PIXEL

SHAPES = {"plain": None, "pixel": PIXEL}


@cocotb.test()
async def passes_all_beats(dut):
    wanted = exchange.parameters()
    shape = SHAPES[wanted["shape"]]
    source = Source(dut, "i", shape=shape, stalls=wanted["stalls"], seed=exchange.seed())
    sink = Sink(dut, "o", shape=shape, stalls=wanted["stalls"], seed=exchange.seed())
    for name, value in wanted["settings"].items():
        getattr(dut, name).value = value
    await start(dut)
    source.send(wanted["beats"])
    got = await sink.receive(len(wanted["expected"]), timeout_cycles=5_000)
    await source.drained(timeout_cycles=100)
    exchange.report(got=got, taken=len(source.monitor.beats))
    assert got == wanted["expected"]


@cocotb.test()
async def reports_progress(dut):
    for step in range(exchange.parameters()["steps"]):
        exchange.progress(f"step {step}")
    exchange.report(seed=exchange.seed())


@cocotb.test()
async def reads_internals(dut):
    exchange.report(width=len(dut.queue.w_data))


@cocotb.test()
async def reads_before_and_after_a_step(dut):
    dut.step.value = 0
    await start(dut)
    before = str(dut.o.value)
    dut.step.value = 1
    await ClockCycles(dut.clk, 2)
    exchange.report(before=before, after=str(dut.o.value))


@cocotb.test()
async def takes_a_beat(dut):
    sink = Sink(dut, "o")
    await start(dut)
    await sink.receive(1, timeout_cycles=20)
