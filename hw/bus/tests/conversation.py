"""A conversation with a host link in a bench: requests in, responses out, and a memory behind its bus."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

from host.framing import FrameDecoder, Response, encode_frame, request_content
from hw.bus.host_bus import WORD_BYTES, BusError
from hw.bus.link import HostLink
from hw.bus.protocol import FLAG, Command, Status
from sim.harness.amaranth_sim import simulate, stream_get, stream_put
from sim.harness.stalls import Stalls, stall_profile

SILENT_CYCLES = 1000
"""After so many cycles a link that has not begun to answer will not."""


def request(sequence: int, command: int, address: int = 0, words: Iterable[int] = (), count: int = 0) -> bytes:
    """A request as it is on the line; `count` words are read, `words` are written."""
    payload = b"".join(word.to_bytes(WORD_BYTES, "little") for word in words)
    return encode_frame(request_content(sequence, command, address, count or len(payload) // WORD_BYTES, payload))


def sync(sequence: int) -> bytes:
    return request(sequence, Command.SYNC)


def write(sequence: int, address: int, *words: int) -> bytes:
    return request(sequence, Command.WRITE, address, words)


def read(sequence: int, address: int, count: int) -> bytes:
    return request(sequence, Command.READ, address, count=count)


class Target:
    """The other end of the bus: a process that serves requests from a memory until `over` is set.

    Parameters
    ----------
    bus
        Of the link.
    errors
        Addresses that are answered with an error.
    cycles
        From the taking of a request to that of its response, at least 1, without stalls.
    stalls, seed
        Of further cycles before a request is taken and before it is answered.

    Attributes
    ----------
    served : list
        All requests: (address, word written or None).
    """

    def __init__(
        self,
        bus: Any,
        errors: dict[int, BusError] | None = None,
        cycles: int = 1,
        stalls: Stalls = "none",
        seed: int = 0,
    ) -> None:
        self._bus = bus
        self._errors = errors or {}
        self._cycles = cycles
        self._decisions = stall_profile(stalls).decisions(seed)
        self.memory: dict[int, int] = {}
        self.served: list[tuple[int, int | None]] = []
        self.over = False

    async def __call__(self, ctx: Any) -> None:
        while not self.over:
            while next(self._decisions):
                await ctx.tick()
            wanted = await self._request(ctx)
            if wanted is None:
                continue
            for _ in range(self._cycles - 1):
                await ctx.tick()
            while next(self._decisions):
                await ctx.tick()
            await stream_put(ctx, self._bus.response, self._serve(wanted))

    async def _request(self, ctx: Any) -> Any:
        """The request that is taken in this cycle, if there is one."""
        stream = self._bus.request
        ctx.set(stream.ready, 1)
        _, _, valid, payload = await ctx.tick().sample(stream.valid, stream.payload)
        ctx.set(stream.ready, 0)
        return payload if valid else None

    def _serve(self, wanted: Any) -> dict[str, Any]:
        self.served.append((wanted.address, wanted.data if wanted.write else None))
        error = self._errors.get(wanted.address, BusError.OK)
        if error == BusError.OK and wanted.write:
            self.memory[wanted.address] = wanted.data
        data = 0 if wanted.write or error != BusError.OK else self.memory.get(wanted.address, 0)
        return {"data": data, "error": error}


class Conversation:
    """A process that sends pieces of a line to a link, and waits after each for a response or for silence.

    Attributes
    ----------
    responses : list
        For each piece the response, or None.
    answer_cycles : list
        For each piece the cycles from its last byte to the first byte of the response.
    """

    def __init__(self, dut: HostLink, pieces: Iterable[bytes], target: Target, stalls: Stalls, seed: int) -> None:
        self._dut = dut
        self._pieces = list(pieces)
        self._target = target
        self._decisions = stall_profile(stalls).decisions(random.Random(seed).getrandbits(32))
        self.responses: list[Response | None] = []
        self.answer_cycles: list[int | None] = []

    @property
    def statuses(self) -> list[Status | None]:
        """The statuses of the responses."""
        return [None if response is None else response.status for response in self.responses]

    async def __call__(self, ctx: Any) -> None:
        for piece in self._pieces:
            for byte in piece:
                while next(self._decisions):
                    await ctx.tick()
                await stream_put(ctx, self._dut.bytes_in, byte)
            await self._listen(ctx)
        self._target.over = True

    async def _listen(self, ctx: Any) -> None:
        cycles = 0
        while not ctx.get(self._dut.bytes_out.valid) and cycles < SILENT_CYCLES:
            await ctx.tick()
            cycles += 1
        if not ctx.get(self._dut.bytes_out.valid):
            self.responses.append(None)
            self.answer_cycles.append(None)
            return
        line = bytearray()
        while line.count(FLAG) < 2:
            while next(self._decisions):
                await ctx.tick()
            line.append(await stream_get(ctx, self._dut.bytes_out))
        (content,) = FrameDecoder().feed(bytes(line))
        self.responses.append(Response.parse(content))
        self.answer_cycles.append(cycles + 1)


def converse(
    pieces: Iterable[bytes],
    *,
    link_words: int = 8,
    errors: dict[int, BusError] | None = None,
    cycles: int = 1,
    memory: dict[int, int] | None = None,
    stalls: Stalls = "none",
    seed: int = 0,
) -> tuple[Conversation, Target]:
    """Send pieces to a link of so many words a frame; see `Conversation` and `Target`."""
    dut = HostLink(link_words)
    target = Target(dut.bus, errors, cycles, stalls, seed)
    target.memory.update(memory or {})
    conversation = Conversation(dut, pieces, target, stalls, seed)
    simulate(dut, conversation, target)
    return conversation, target
