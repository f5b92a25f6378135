"""Streams driven and checked from Python, cycle by cycle, in a cocotb test.

Simple and flexible, for benches of a unit; for long runs use `bench`, which keeps Python out of the cycle. A
stream `x` of shape S is in the Verilog `x__payload`, `x__valid` and `x__ready`:

    source = Source(dut, "x", shape=S, stalls="random", seed=seed)     # the bench drives x
    sink = Sink(dut, "y", shape=T, stalls="bursty", seed=seed)         # the design drives y
    await clock.start(dut)
    source.send(values)
    got = await sink.receive(len(expected), timeout_cycles=10_000)

Both watch the rules of their stream (`Monitor`); a broken rule fails the test. Start them while reset is
asserted.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import cocotb
from cocotb.triggers import Event, RisingEdge, SimTimeoutError, with_timeout

from sim.harness.clock import PERIOD_NS
from sim.harness.payload import pack, unpack
from sim.harness.stalls import Stalls, stall_profile, stream_seed


class _Stream:
    """The signals of a stream, and its values as the Amaranth shape has them."""

    def __init__(self, dut: Any, prefix: str, shape: Any) -> None:
        self.name = prefix
        self.shape = shape
        self.clock: Any = dut.clk
        self.reset = getattr(dut, "rst", None)
        self.payload = getattr(dut, f"{prefix}__payload")
        self.valid = getattr(dut, f"{prefix}__valid")
        self.ready = getattr(dut, f"{prefix}__ready")

    def pack(self, value: Any) -> int:
        return int(value) if self.shape is None else pack(self.shape, value)

    def unpack(self, bits: int) -> Any:
        return bits if self.shape is None else unpack(self.shape, bits)

    def in_reset(self) -> bool:
        return self.reset is not None and str(self.reset.value) != "0"


class Monitor:
    """Watches a stream: collects what passes and raises `AssertionError` when a rule of streams is broken.

    The rules: valid, once raised, stays until ready; the payload does not change while it waits; valid and
    ready are never unknown after reset, nor is any bit of a valid payload (that last one only shows in a
    four-state simulator).

    Parameters
    ----------
    dut
        The top, with a clock `clk` and, if it has one, a reset `rst`.
    prefix
        The stream's name.
    shape
        Amaranth shape of the payload; None for plain unsigned integers.
    """

    def __init__(self, dut: Any, prefix: str, *, shape: Any = None) -> None:
        self._stream = _Stream(dut, prefix, shape)
        self.beats: list[Any] = []
        self.arrived = Event()
        cocotb.start_soon(self._watch())

    async def _watch(self) -> None:
        stream = self._stream
        edge = RisingEdge(stream.clock)
        waiting: Any = None
        while True:
            await edge
            if stream.in_reset():
                waiting = None
                continue
            valid, ready = self._known("valid", stream.valid), self._known("ready", stream.ready)
            if waiting is not None:
                assert valid, f"stream {stream.name}: valid was withdrawn before ready"
                now = stream.payload.value
                assert now == waiting, f"stream {stream.name}: payload changed while it waited, {waiting} to {now}"
            if not valid:
                continue
            bits = self._known("payload", stream.payload)
            waiting = None if ready else stream.payload.value
            if ready:
                self.beats.append(stream.unpack(bits))
                self.arrived.set()

    def _known(self, part: str, handle: Any) -> int:
        value = handle.value
        assert value.is_resolvable, f"stream {self._stream.name}: {part} is {value} after reset"
        return int(value)


class Source:
    """Offers beats to a stream that the design reads.

    Parameters
    ----------
    dut, prefix, shape
        As for `Monitor`, which is at `.monitor`.
    stalls
        Profile of the cycles in which no new beat is offered.
    seed
        Of the stalls; mixed with the stream's name.
    """

    def __init__(self, dut: Any, prefix: str, *, shape: Any = None, stalls: Stalls = "none", seed: int = 0) -> None:
        self._stream = _Stream(dut, prefix, shape)
        self._stream.valid.value = 0
        self._queue: deque[int] = deque()
        self._empty = Event()
        self._empty.set()
        self._decisions = stall_profile(stalls).decisions(stream_seed(seed, prefix))
        self.monitor = Monitor(dut, prefix, shape=shape)
        cocotb.start_soon(self._drive())

    def send(self, values: Iterable[Any]) -> None:
        """Queue beats, to be offered in order. Raises `ValueError` when a value does not fit the shape."""
        self._queue.extend(self._stream.pack(value) for value in values)
        if self._queue:
            self._empty.clear()

    async def drained(self, *, timeout_cycles: int = 100_000) -> None:
        """Wait until the design has taken every beat sent so far; fails the test after that many cycles."""
        await _within(
            self._empty.wait(),
            timeout_cycles,
            lambda: f"stream {self._stream.name}: {len(self._queue)} beats not taken",
        )

    async def _drive(self) -> None:
        stream = self._stream
        edge = RisingEdge(stream.clock)
        offered = False
        while True:
            await edge
            if stream.in_reset():
                continue
            if offered and stream.ready.value:
                offered = False
                self._queue.popleft()
                if not self._queue:
                    self._empty.set()
            if not offered:
                offered = bool(self._queue) and not next(self._decisions)
                stream.valid.value = offered
                if offered:
                    stream.payload.value = self._queue[0]


class Sink:
    """Takes beats from a stream that the design drives.

    Parameters
    ----------
    dut, prefix, shape
        As for `Monitor`, which is at `.monitor`.
    stalls
        Profile of the cycles in which the sink is not ready.
    seed
        Of the stalls; mixed with the stream's name.
    """

    def __init__(self, dut: Any, prefix: str, *, shape: Any = None, stalls: Stalls = "none", seed: int = 0) -> None:
        self._stream = _Stream(dut, prefix, shape)
        self._stream.ready.value = 0
        self._taken = 0
        self._decisions = stall_profile(stalls).decisions(stream_seed(seed, prefix))
        self.monitor = Monitor(dut, prefix, shape=shape)
        cocotb.start_soon(self._drive())

    @property
    def beats(self) -> list[Any]:
        """All beats that have arrived."""
        return self.monitor.beats

    async def receive(self, count: int, *, timeout_cycles: int = 100_000) -> list[Any]:
        """The next beats; fails the test when they have not come after that many cycles."""
        last = self._taken + count
        await _within(
            self._arrival(last),
            timeout_cycles,
            lambda: f"stream {self._stream.name}: {len(self.beats)} beats came, {last} expected",
        )
        first, self._taken = self._taken, last
        return self.beats[first:last]

    async def _arrival(self, count: int) -> None:
        while len(self.beats) < count:
            self.monitor.arrived.clear()
            await self.monitor.arrived.wait()

    async def _drive(self) -> None:
        stream = self._stream
        edge = RisingEdge(stream.clock)
        while True:
            await edge
            stream.ready.value = not stream.in_reset() and not next(self._decisions)


async def _within(awaitable: Any, cycles: int, describe: Any) -> None:
    """Await it; fail the test with a description when it takes longer."""
    try:
        await with_timeout(awaitable, cycles * PERIOD_NS, "ns")
    except SimTimeoutError:
        raise AssertionError(f"{describe()} (after {cycles} cycles)") from None
