"""A host on the bus, and on a target alone, for the tests of the machine."""

from __future__ import annotations

from typing import Any

from hw.bus.host_bus import BusError
from sim.harness.amaranth_sim import stream_get, stream_put

LONGEST = 10_000
"""Cycles in which a target must have answered."""


async def request(ctx: Any, bus: Any, address: int, data: int | None = None) -> tuple[int, BusError]:
    """Write, or read if there is no `data`; the response's data and error."""
    await stream_put(ctx, bus.request, {"address": address, "write": data is not None, "data": data or 0})
    response = await stream_get(ctx, bus.response)
    return response["data"], response["error"]


async def write(ctx: Any, bus: Any, address: int, data: int) -> None:
    """Write a word, which must succeed."""
    _, error = await request(ctx, bus, address, data)
    assert error == BusError.OK, f"write to {address:#x}: {error}"


async def read(ctx: Any, bus: Any, address: int) -> int:
    """Read a word, which must succeed."""
    data, error = await request(ctx, bus, address)
    assert error == BusError.OK, f"read of {address:#x}: {error}"
    return data


async def ask_target(
    ctx: Any, target: Any, offset: int, data: int | None = None, *, patience: int = LONGEST
) -> tuple[int, BusError, int] | None:
    """As the bus decoder asks a target: answer, error and cycles that it took; None if it does not serve."""
    ctx.set(target.offset, offset)
    ctx.set(target.write, data is not None)
    ctx.set(target.data, data or 0)
    ctx.set(target.select, 1)
    response = None
    for cycle in range(1, patience + 1):
        _, _, done, answer, error = await ctx.tick().sample(target.done, target.answer, target.error)
        if done:
            response = answer, BusError(error), cycle
            break
    ctx.set(target.select, 0)
    return response
