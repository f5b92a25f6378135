"""A host at the byte streams of an accelerator, in Amaranth's simulator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from host.framing import FrameDecoder, Response
from hw.bus.host_bus import WORD_BYTES
from hw.bus.protocol import FLAG, Status
from hw.bus.tests.conversation import read, sync, write
from hw.machine import registers
from hw.machine.register import Register
from sim.harness.amaranth_sim import stream_get, stream_put


def to_words(packets: bytes) -> list[int]:
    """Bytes as words of the bus."""
    return [
        int.from_bytes(packets[place : place + WORD_BYTES], "little") for place in range(0, len(packets), WORD_BYTES)
    ]


class LinkHost:
    """Sends a request, waits for its response; nothing is ever lost.

    Parameters
    ----------
    ctx
        Of the process that it lives in.
    bytes_in, bytes_out
        Of the accelerator.
    link_words
        Words of a frame.
    """

    def __init__(self, ctx: Any, bytes_in: Any, bytes_out: Any, link_words: int) -> None:
        self._ctx, self._in, self._out, self._words = ctx, bytes_in, bytes_out, link_words
        self._sequence = 0

    async def _ask(self, line: bytes) -> Response:
        for byte in line:
            await stream_put(self._ctx, self._in, byte)
        answer = bytearray()
        while answer.count(FLAG) < 2:
            answer.append(await stream_get(self._ctx, self._out))
        (content,) = FrameDecoder().feed(bytes(answer))
        response = Response.parse(content)
        assert response is not None and response.status == Status.OK, response
        return response

    async def connect(self) -> None:
        """Agree on sequence numbers."""
        await self._ask(sync(self._sequence))

    def _next(self) -> int:
        self._sequence = (self._sequence + 1) % 256
        return self._sequence

    async def write(self, address: int, words: Sequence[int]) -> None:
        """Write words to ascending addresses."""
        for place in range(0, len(words), self._words):
            piece = words[place : place + self._words]
            await self._ask(write(self._next(), address + WORD_BYTES * place, *piece))

    async def read(self, address: int, count: int) -> bytes:
        """Read words from ascending addresses."""
        parts = []
        for place in range(0, count, self._words):
            piece = min(self._words, count - place)
            parts.append((await self._ask(read(self._next(), address + WORD_BYTES * place, piece))).words)
        return b"".join(parts)

    async def set(self, register: Register, **fields: int) -> None:
        """Write a register."""
        await self.write(register.address, [register.encode(**fields)])

    async def get(self, register: Register) -> dict[str, int]:
        """Read a register."""
        return register.decode(int.from_bytes(await self.read(register.address, 1), "little"))

    async def start(self, first: int, last: int) -> None:
        """Start a run."""
        await self.set(registers.FIRST, entry=first)
        await self.set(registers.LAST, entry=last)
        await self.set(registers.CONTROL, start=1)

    async def wait_for(self, *names: str) -> dict[str, int]:
        """Read the status until one of these bits is 1."""
        while True:
            status = await self.get(registers.STATUS)
            if any(status[name] for name in names):
                return status
