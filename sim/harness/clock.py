"""The clock and the reset of every bench."""

from __future__ import annotations

from typing import Any

from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, Timer

PERIOD_NS = 10
"""Period of the clock."""


async def start(dut: Any, *, reset_cycles: int = 2) -> None:
    """Start the clock `clk` and reset the design; returns when reset falls, between two rising edges."""
    has_reset = hasattr(dut, "rst")
    if has_reset:
        dut.rst.value = 1
    dut.clk.value = 0
    # The first rising edge must not come before reset is known.
    await Timer(PERIOD_NS, "ns")
    Clock(dut.clk, PERIOD_NS, "ns", impl="gpi").start()
    if has_reset:
        await ClockCycles(dut.clk, reset_cycles)
        await FallingEdge(dut.clk)
        dut.rst.value = 0
