"""The cocotb tests of the AXI interfaces: cocotbext-axi's masters, and a rule checker on what the accelerator drives.

`axi_run` gives them their orders.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge, with_timeout
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)

from hw.axi_accelerator import CONTROL, INPUT, OUTPUT
from hw.bus.host_bus import WORD_BYTES, Region
from hw.machine import registers
from hw.machine.register import Register
from sim.harness import exchange
from sim.harness.clock import PERIOD_NS

LIMIT_US = 100_000
"""Simulated time after which a run is taken for hung."""

DRIVEN = {
    f"{OUTPUT}_t": ("data", "last"),
    f"{CONTROL}_b": ("resp",),
    f"{CONTROL}_r": ("data", "resp"),
}
"""The channels that the accelerator drives: the beginnings of their names, and their payloads."""


def _pauses(generator: random.Random) -> Iterator[bool]:
    """Runs of pauses and of none, of random lengths."""
    while True:
        for pause in (False, True):
            yield from [pause] * generator.randrange(1, 8)


async def _check_rules(dut: Any, channel: str, parts: Sequence[str]) -> None:
    """What is offered stays, as it is, until it is taken."""
    valid, ready = getattr(dut, f"{channel}valid"), getattr(dut, f"{channel}ready")
    payload = [getattr(dut, f"{channel}{part}") for part in parts]
    offered: list[int] | None = None
    while True:
        await RisingEdge(dut.aclk)
        await ReadOnly()
        seen = [int(part.value) for part in payload] if valid.value else None
        assert offered is None or seen == offered, f"{channel}valid: what was offered changed before it was taken"
        offered = seen if valid.value and not ready.value else None


class _Host:
    """The masters on a device that has been reset."""

    def __init__(self, dut: Any, stalls: bool) -> None:
        reset = {"reset": dut.aresetn, "reset_active_level": False}
        self.dut = dut
        self.control = AxiLiteMaster(AxiLiteBus.from_prefix(dut, CONTROL), dut.aclk, **reset)
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, INPUT), dut.aclk, **reset)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, OUTPUT), dut.aclk, **reset)
        if stalls:
            self._stall(random.Random(exchange.seed()))

    def _stall(self, generator: random.Random) -> None:
        writes, reads = self.control.write_if, self.control.read_if
        for channel in (writes.aw_channel, writes.w_channel, writes.b_channel, reads.ar_channel, reads.r_channel):
            channel.set_pause_generator(_pauses(generator))
        for end in (self.source, self.sink):
            end.set_pause_generator(_pauses(generator))

    async def start(self) -> None:
        """Clock, reset, and the rule checkers."""
        dut = self.dut
        Clock(dut.aclk, PERIOD_NS, "ns").start()
        dut.aresetn.value = 0
        await ClockCycles(dut.aclk, 4)
        dut.aresetn.value = 1
        await ClockCycles(dut.aclk, 2)
        for channel, parts in DRIVEN.items():
            cocotb.start_soon(_check_rules(dut, channel, parts))

    async def get(self, register: Register) -> dict[str, int]:
        """The fields of a register."""
        answer = await self.control.read(register.address, WORD_BYTES)
        assert answer.resp == AxiResp.OKAY, f"{register.name}: {answer.resp.name}"
        return register.decode(int.from_bytes(answer.data, "little"))

    async def set(self, register: Register, **fields: int) -> None:
        """Write a register: these fields, all others 0."""
        await self.write(register.address, register.encode(**fields).to_bytes(WORD_BYTES, "little"))

    async def write(self, address: int, data: bytes) -> None:
        """Write words at ascending addresses."""
        answer = await self.control.write(address, data)
        assert answer.resp == AxiResp.OKAY, f"address {address:#x}: {answer.resp.name}"

    async def wait_until(self, *names: str) -> dict[str, int]:
        """The status once one of these bits of it is set."""
        while True:
            status = await self.get(registers.STATUS)
            if any(status[name] for name in names):
                return status


@cocotb.test()
async def network(dut: Any) -> None:
    """Load a program, unless it is there from power-on, and run it on every input."""
    plan = exchange.parameters()
    host = _Host(dut, plan["stalls"])
    await host.start()
    await with_timeout(_load(host, plan), LIMIT_US, "us")
    outputs = []
    for packets in plan["inputs"]:
        await with_timeout(_run(host, plan, bytes.fromhex(packets)), LIMIT_US, "us")
        maps = []
        for count in plan["stored"]:
            frame = await host.sink.recv()
            assert len(frame.tdata) == -(-count // WORD_BYTES) * WORD_BYTES, "tlast is not at the end of the map"
            maps.append(bytes(frame.tdata[:count]).hex())
        assert host.sink.empty(), "more came than the program stores"
        outputs.append(maps)
    exchange.report(outputs=outputs)


async def _load(host: _Host, plan: dict[str, Any]) -> None:
    if plan["image"]:
        await host.write(Region.PROGRAM.base, bytes.fromhex(plan["image"]))
        await host.set(registers.PROGRAM_WORDS, words=plan["program_words"])
        await host.set(registers.PROGRAM_CHECKSUM, value=plan["checksum"])
        await host.set(registers.ENTRIES, count=plan["entries"])
        await host.set(registers.CONTROL, verify=1)
    status = await host.wait_until("program_valid", "failed")
    assert not status["failed"], "the program was not verified"


async def _run(host: _Host, plan: dict[str, Any], packets: bytes) -> None:
    """One run, whose end the interrupt tells."""
    dut = host.dut
    await host.set(registers.FIRST, entry=0)
    await host.set(registers.LAST, entry=plan["last"])
    await host.set(registers.INTERRUPT, done=1, failed=1)
    await host.set(registers.INTERRUPT_ENABLE, done=1, failed=1)
    await host.set(registers.CONTROL, start=1)
    await host.source.send(AxiStreamFrame(packets))
    if not dut.irq.value:
        await RisingEdge(dut.irq)
    status = await host.get(registers.STATUS)
    assert status["done"] and not status["failed"], f"the run failed: {await host.get(registers.ERROR)}"


@cocotb.test()
async def refusals(dut: Any) -> None:
    """What the address map does not serve is answered with an error, and changes nothing."""
    host = _Host(dut, True)
    await host.start()
    control = host.control
    for address, count, response in (
        (Region.INPUT.base, WORD_BYTES, AxiResp.SLVERR),
        (registers.IDENTITY.address, WORD_BYTES, AxiResp.SLVERR),
        (registers.FIRST.address, 2, AxiResp.SLVERR),
        (registers.INTERRUPT_ENABLE.address + WORD_BYTES, WORD_BYTES, AxiResp.DECERR),
    ):
        answer = await control.write(address, bytes(range(1, 1 + count)))
        assert answer.resp == response, f"write of {count} bytes to {address:#x}: {answer.resp.name}"
    for address, response in (
        (Region.OUTPUT.base, AxiResp.SLVERR),
        (Region.PROGRAM.base, AxiResp.SLVERR),
        (registers.CONTROL.address, AxiResp.SLVERR),
        (len(Region) << (Region.PROGRAM.base.bit_length() - 1), AxiResp.DECERR),
    ):
        answer = await control.read(address, WORD_BYTES)
        assert answer.resp == response, f"read of {address:#x}: {answer.resp.name}"
    assert (await host.get(registers.FIRST))["entry"] == 0
    identity = await host.get(registers.IDENTITY)
    assert identity["value"] == registers.IDENTITY_VALUE
