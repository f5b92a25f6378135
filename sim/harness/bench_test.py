"""The cocotb test of every bench: starts it, sleeps until something that matters happens, reads the answer.

It takes its orders from `bench_run`. The per-cycle work is all in the Verilog player, recorder and checker.
"""

from __future__ import annotations

import json
from typing import Any

import cocotb
from cocotb.triggers import (
    ClockCycles,
    ReadOnly,
    RisingEdge,
    SimTimeoutError,
    ValueChange,
    gather,
    select,
    with_timeout,
)
from cocotb.utils import get_sim_time

from sim.harness import exchange
from sim.harness.clock import PERIOD_NS, start


@cocotb.test()
async def bench(dut: Any) -> None:
    """Run the bench until it is over, or fail with the state of every stream."""
    plan = exchange.parameters()
    for name, value in plan["settings"].items():
        getattr(dut, name).value = value
    samples: list[dict[str, Any]] = []
    await start(dut)
    begin = get_sim_time("ns")
    for name, others in plan["watch"].items():
        cocotb.start_soon(_watch(dut, name, others, begin, samples))
    try:
        await with_timeout(_over(dut, plan), plan["timeout_cycles"] * PERIOD_NS, "ns")
    except SimTimeoutError:
        raise AssertionError(f"not over after {plan['timeout_cycles']} cycles: {_state(dut, plan)}") from None
    cycles = _cycles_since(begin)
    if not _fault(dut):
        await ClockCycles(dut.clk, plan["drain_cycles"])
    if _fault(dut):
        raise AssertionError(f"a rule of a stream was broken, see the log: {_state(dut, plan)}")
    for name, expected in plan["expected"].items():
        count = _count(dut, name)
        if expected not in (None, count):
            raise AssertionError(f"stream {name}: {count} beats came, {expected} expected")
    exchange.report(
        cycles=cycles,
        samples=samples,
        status={name: int(getattr(dut, name).value) for name in plan["status"]},
        taken={name: _count(dut, name) for name in plan["offered"]},
    )


async def _over(dut: Any, plan: dict[str, Any]) -> None:
    """Wait for all that ends the run, or for a fault, which ends it at once."""
    if _fault(dut):
        return
    await select(RisingEdge(dut.bench_fault), _all_come_true(dut, plan))


async def _all_come_true(dut: Any, plan: dict[str, Any]) -> None:
    events = [_rises(getattr(dut, name), times) for name, times in plan["events"]]
    events += [_equals(getattr(dut, f"{name}__done"), 1) for name in plan["complete"]]
    if events:
        await gather(*events)
    for name, value in plan["levels"]:
        await _equals(getattr(dut, name), value)


async def _rises(signal: Any, times: int) -> None:
    edge = RisingEdge(signal)
    for _ in range(times):
        await edge


async def _equals(signal: Any, value: int) -> None:
    change = ValueChange(signal)
    while not signal.value.is_resolvable or int(signal.value) != value:
        await change


async def _watch(dut: Any, name: str, others: list[str], begin: float, samples: list[dict[str, Any]]) -> None:
    """Sample at each change of a signal to other than 0, when the clock edge that made it has settled."""
    signal = getattr(dut, name)
    change = ValueChange(signal)
    settled = ReadOnly()
    while True:
        await change
        await settled
        value = int(signal.value)
        if value:
            sample = {"signal": name, "value": value, "cycle": _cycles_since(begin)}
            sample |= {other: int(getattr(dut, other).value) for other in others}
            samples.append(sample)
            exchange.progress(json.dumps(sample))


def _cycles_since(begin: float) -> int:
    """Rising edges of the clock between `begin`, which lies at a falling one, and now."""
    return int(get_sim_time("ns") - begin + PERIOD_NS // 2) // PERIOD_NS


def _fault(dut: Any) -> bool:
    return str(dut.bench_fault.value) != "0"


def _count(dut: Any, stream: str) -> int:
    return int(getattr(dut, f"{stream}__count").value)


def _state(dut: Any, plan: dict[str, Any]) -> str:
    """Where the run stands, for a failure's message."""
    parts = [f"{name} took {_count(dut, name)} of {offered}" for name, offered in plan["offered"].items()]
    for name, expected in plan["expected"].items():
        wanted = "" if expected is None else f" of {expected}"
        parts.append(f"{name} gave {_count(dut, name)}{wanted}")
    waited = [name for name, _ in [*plan["events"], *plan["levels"]]]
    signals = dict.fromkeys([*waited, *plan["status"], *plan["watch"]])
    return ", ".join([*parts, *(f"{name}={getattr(dut, name).value}" for name in signals)])
