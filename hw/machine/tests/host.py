"""What a driver does, register by register, for the tests of the machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hw.bus.host_bus import WORD_BYTES, BusError, Region
from hw.config import COUNTER_RECORD_BYTES
from hw.machine import registers
from hw.machine.counters import counter_fields
from hw.machine.program import ProgramImage
from hw.machine.register import Register
from hw.machine.registers import CONTROL, RunError
from hw.machine.tests import bus as host_bus

PATIENCE = 400
"""Times that a status is read before it is given up."""


class Host:
    """A host of a machine at `bus`; lives in one process of a simulation."""

    def __init__(self, ctx: Any, bus: Any) -> None:
        self._ctx, self._bus = ctx, bus

    async def set(self, register: Register, **fields: int) -> None:
        """Write a register, which must succeed."""
        await host_bus.write(self._ctx, self._bus, register.address, register.encode(**fields))

    async def get(self, register: Register) -> dict[str, int]:
        """Read a register."""
        return register.decode(await host_bus.read(self._ctx, self._bus, register.address))

    async def request(self, address: int, data: int | None = None) -> tuple[int, BusError]:
        """Any request."""
        return await host_bus.request(self._ctx, self._bus, address, data)

    async def wait_for(self, **wanted: int) -> dict[str, int]:
        """Read the status until it has one of these values."""
        status: dict[str, int] = {}
        for _ in range(PATIENCE):
            status = await self.get(registers.STATUS)
            if any(status[name] == value for name, value in wanted.items()):
                return status
        raise AssertionError(f"{wanted} has not come; the status is {status}")

    async def load(self, program: ProgramImage, lanes: int, *, checksum: int | None = None) -> None:
        """Write a program and its registers."""
        for place in range(0, len(program.data), WORD_BYTES):
            word = int.from_bytes(program.data[place : place + WORD_BYTES], "little")
            await host_bus.write(self._ctx, self._bus, Region.PROGRAM.base + place, word)
        await self.set(registers.PROGRAM_WORDS, words=len(program.data) // lanes)
        await self.set(registers.PROGRAM_CHECKSUM, value=program.checksum if checksum is None else checksum)
        await self.set(registers.ENTRIES, count=program.entries)

    async def verify(self) -> dict[str, int]:
        """Verify the program; the status afterwards."""
        await self.set(CONTROL, verify=1)
        return await self.wait_for(verifying=0)

    async def start(self, first: int, last: int) -> None:
        """Start a run."""
        await self.set(registers.FIRST, entry=first)
        await self.set(registers.LAST, entry=last)
        await self.set(CONTROL, start=1)

    async def clear(self) -> None:
        """Soft reset."""
        await self.set(CONTROL, clear=1)

    async def give(self, words: Sequence[int]) -> None:
        """Write input words."""
        for word in words:
            await host_bus.write(self._ctx, self._bus, Region.INPUT.base, word)

    async def take(self, count: int) -> list[int]:
        """Read output words."""
        return [await host_bus.read(self._ctx, self._bus, Region.OUTPUT.base) for _ in range(count)]

    async def failure(self) -> tuple[RunError, int]:
        """Wait until the machine has stopped; why and where."""
        status = await self.wait_for(failed=1, done=1)
        assert status["failed"] and not status["busy"] and not status["done"]
        error = RunError((await self.get(registers.ERROR))["code"])
        return error, (await self.get(registers.FAILED_ENTRY))["entry"]

    async def counters(self, entry: int) -> dict[str, int]:
        """The record of an entry."""
        base = Region.COUNTERS.base + COUNTER_RECORD_BYTES * entry
        return {
            name: await host_bus.read(self._ctx, self._bus, base + WORD_BYTES * index)
            for index, name in enumerate(counter_fields())
        }
