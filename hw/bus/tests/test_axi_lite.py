"""AXI4-Lite onto the host bus: one transfer at a time, in turns, with the responses of the specification."""

from itertools import pairwise
from typing import Any

import pytest

from hw.bus.axi_lite import AxiLiteBridge, AxiResponse
from hw.bus.host_bus import BusError
from sim.harness.amaranth_sim import simulate

SETTLED = 12
"""Cycles after which nothing more happens to one transfer, if the bus takes one for each."""


class Memory:
    """What stands behind the bridge: the requests that came, each answered in the cycle after."""

    def __init__(self, dut: AxiLiteBridge, error: Any = BusError.OK) -> None:
        self._bus, self._error = dut.bus, error
        self.requests: list[tuple[int, int, int]] = []

    async def __call__(self, ctx: Any) -> None:
        bus = self._bus
        ctx.set(bus.request.ready, 1)
        for _ in range(20 * SETTLED):
            _, _, asked, payload = await ctx.tick().sample(bus.request.valid, bus.request.payload)
            taken = asked and ctx.get(bus.request.ready)
            if taken:
                self.requests.append((payload.address, payload.write, payload.data))
                ctx.set(bus.response.payload, {"data": payload.address ^ 0xABCD, "error": self._error})
            ctx.set(bus.request.ready, not taken)
            ctx.set(bus.response.valid, taken)


async def write(ctx: Any, dut: AxiLiteBridge, address: int, data: int, strobes: int = 15, late: int = 0) -> AxiResponse:
    """A write whose data come `late` cycles after its address."""
    axi = dut.axi
    for name, value in {"awaddr": address, "awvalid": 1, "bready": 1, "wdata": data, "wstrb": strobes}.items():
        ctx.set(getattr(axi, name), value)
    for _ in range(late):
        await ctx.tick()
        assert not ctx.get(axi.awready)
    ctx.set(axi.wvalid, 1)
    await ctx.tick().until(axi.awready & axi.wready)
    ctx.set(axi.awvalid, 0)
    ctx.set(axi.wvalid, 0)
    (response,) = await ctx.tick().sample(axi.bresp).until(axi.bvalid)
    return response


async def read(ctx: Any, dut: AxiLiteBridge, address: int) -> tuple[int, AxiResponse]:
    axi = dut.axi
    for name, value in {"araddr": address, "arvalid": 1, "rready": 1}.items():
        ctx.set(getattr(axi, name), value)
    await ctx.tick().until(axi.arready)
    ctx.set(axi.arvalid, 0)
    data, response = await ctx.tick().sample(axi.rdata, axi.rresp).until(axi.rvalid)
    return data, response


def test_writes_and_reads_reach_the_bus():
    dut = AxiLiteBridge()
    memory = Memory(dut)

    async def host(ctx: Any) -> None:
        assert await write(ctx, dut, 0x123454, 0xDEADBEEF) == AxiResponse.OKAY
        assert await write(ctx, dut, 0x10, 5, late=3) == AxiResponse.OKAY
        assert await read(ctx, dut, 0x20) == (0x20 ^ 0xABCD, AxiResponse.OKAY)

    simulate(dut, host, memory)
    assert memory.requests == [(0x123454, 1, 0xDEADBEEF), (0x10, 1, 5), (0x20, 0, 5)]


@pytest.mark.parametrize(
    ("error", "response"),
    [
        (BusError.ADDRESS, AxiResponse.DECERR),
        (BusError.DIRECTION, AxiResponse.SLVERR),
        (BusError.TIMEOUT, AxiResponse.SLVERR),
        (BusError.STATE, AxiResponse.SLVERR),
    ],
)
def test_errors_of_the_bus_have_a_response(error, response):
    dut = AxiLiteBridge()

    async def host(ctx: Any) -> None:
        assert await write(ctx, dut, 4, 1) == response
        assert (await read(ctx, dut, 4))[1] == response

    simulate(dut, host, Memory(dut, error))


@pytest.mark.parametrize(
    ("strobes", "response"), [(0, AxiResponse.OKAY), (1, AxiResponse.SLVERR), (7, AxiResponse.SLVERR)]
)
def test_a_write_of_less_than_a_word_changes_nothing(strobes, response):
    dut = AxiLiteBridge()
    memory = Memory(dut)

    async def host(ctx: Any) -> None:
        assert await write(ctx, dut, 8, 1, strobes=strobes) == response
        await ctx.tick().repeat(SETTLED)

    simulate(dut, host, memory)
    assert memory.requests == []


def test_writes_and_reads_that_never_end_take_turns():
    dut = AxiLiteBridge()
    memory = Memory(dut)

    async def host(ctx: Any) -> None:
        for name in ("awvalid", "wvalid", "arvalid", "bready", "rready"):
            ctx.set(getattr(dut.axi, name), 1)
        ctx.set(dut.axi.wstrb, 15)
        await ctx.tick().repeat(10 * SETTLED)

    simulate(dut, host, memory)
    kinds = [write for _, write, _ in memory.requests]
    assert len(kinds) > 8 and all(first != second for first, second in pairwise(kinds))
