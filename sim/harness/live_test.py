"""The cocotb test of every live bench: carries bytes between a socket and the core, and minds the clock.

It takes its orders from `live_run`. While the core has something to do, the clock runs in stretches of `STRETCH`
cycles, or until there are bytes to carry. When the core has nothing to do, it waits for bytes: for a moment whenever it
has answered, and without end when nothing has moved for `QUIET` cycles. So nothing is spent on a core that idles.
"""

from __future__ import annotations

import contextlib
import select as files
import signal
import socket
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, FallingEdge, RisingEdge, Timer, select

from sim.harness import exchange
from sim.harness.chunks import CHUNK_BYTES
from sim.harness.clock import PERIOD_NS, start
from sim.harness.live_protocol import Command, Reader

STRETCH = 1024
"""Cycles between two looks at the socket while the core is busy."""

SETTLED = 4 * STRETCH
"""Cycles without a byte after which a core that says that it is not busy has most likely nothing to say."""

QUIET = 1 << 18
"""Cycles without a byte after which it has certainly nothing to say: more than any time-out inside it."""

LINGER_SECONDS = 0.02
"""For how long the clock stands while the answer to what has just been said may come."""


@cocotb.test()
async def live(dut: Any) -> None:
    """Serve the socket until its other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt at the terminal reaches us too: the asker ends us
    for name in ("bytes_in__chunk", "bytes_in__length", "bytes_in__turn", "bytes_out__turn"):
        getattr(dut, name).value = 0
    await start(dut)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(exchange.parameters()["socket"])
        except OSError as error:
            raise AssertionError(
                f"nobody to talk to ({error}): only what started a live bench can repeat it"
            ) from error
        with contextlib.suppress(ConnectionError):  # the asker has closed
            await _Session(dut, connection).serve()


class _Session:
    """The two streams of bytes and the socket."""

    def __init__(self, dut: Any, connection: socket.socket) -> None:
        self._dut = dut
        self._connection = connection
        self._reader = Reader()
        self._pending = bytearray()
        self._turns = {"bytes_in": 0, "bytes_out": 0}
        self._moved = False

    async def serve(self) -> None:
        """Carry bytes until the socket's other end closes."""
        quiet = 0
        answered = False
        while await self._listen(self._patience(quiet, answered)):
            self._moved = False
            self._give()
            answered = self._take()
            if self._moved:
                await ClockCycles(self._dut.clk, 2)  # from then on `empty` and `waiting` are those of the next chunk
            quiet = 0 if self._moved else quiet + STRETCH
            await self._advance()
            assert not int(self._dut.bench_fault.value), "a rule of a stream was broken, see the log"

    def _patience(self, quiet: int, answered: bool) -> float | None:
        """Seconds for which to wait for the asker with the clock standing; None is for ever."""
        if self._pending or not self._empty or self._waiting or int(self._dut.busy.value):
            return 0.0
        if quiet >= QUIET:
            return None
        return LINGER_SECONDS if answered or quiet >= SETTLED else 0.0

    @property
    def _empty(self) -> bool:
        return bool(int(self._dut.bytes_in__empty.value))

    @property
    def _waiting(self) -> bool:
        return bool(int(self._dut.bytes_out__waiting.value))

    async def _listen(self, patience: float | None) -> bool:
        """Do what the asker says; False when it has closed."""
        if not files.select([self._connection], [], [], patience)[0]:
            return True
        received = self._connection.recv(1 << 16)
        for command, data in self._reader.read(received):
            if command is Command.BYTES:
                self._pending += data
            else:
                self._pending.clear()
                await self._reset()
        return bool(received)

    async def _reset(self) -> None:
        dut = self._dut
        dut.rst.value = 1
        await ClockCycles(dut.clk, 2)
        await FallingEdge(dut.clk)
        dut.rst.value = 0

    def _give(self) -> None:
        """The next chunk for the core, if it has taken the one before."""
        if self._pending and self._empty:
            chunk = bytes(self._pending[:CHUNK_BYTES])
            del self._pending[: len(chunk)]
            self._dut.bytes_in__chunk.value = int.from_bytes(chunk, "little")
            self._dut.bytes_in__length.value = len(chunk)
            self._flip("bytes_in")

    def _take(self) -> bool:
        """Pass a chunk from the core on; whether there was one."""
        if not self._waiting:
            return False
        length = int(self._dut.bytes_out__length.value)
        chunk = int(self._dut.bytes_out__chunk.value)
        self._flip("bytes_out")
        self._connection.sendall(chunk.to_bytes(CHUNK_BYTES, "little")[:length])
        return True

    def _flip(self, stream: str) -> None:
        self._turns[stream] ^= 1
        getattr(self._dut, f"{stream}__turn").value = self._turns[stream]
        self._moved = True

    async def _advance(self) -> None:
        """Run the clock for a stretch, or until there is something to carry."""
        if self._waiting:
            return
        dut = self._dut
        events = [RisingEdge(dut.bytes_out__waiting), Timer(STRETCH * PERIOD_NS, "ns")]
        if not self._empty:
            events.append(RisingEdge(dut.bytes_in__empty))
        await select(*events)
