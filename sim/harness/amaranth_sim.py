"""Streams on Amaranth's own simulator: nothing to compile, right for small units and short runs.

    sink = StreamSink(dut.o, count=len(expected), stalls="random", seed=seed)
    cycles = simulate(dut, stream_source(dut.i, values, stalls="bursty", seed=seed), sink, deadline=5_000)
    assert sink.beats == expected, f"seed {seed}"

Every stream of the component is watched (`stream_checker`) without being asked.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any

from amaranth.hdl import ClockDomain, Module, Value
from amaranth.lib import wiring
from amaranth.sim import Simulator

from sim.harness.payload import pack, unpack
from sim.harness.ports import streams_of
from sim.harness.stalls import Stalls, stall_profile, stream_seed

Process = Callable[[Any], Coroutine[Any, Any, None]]
"""An async function of the simulator's context, which Amaranth calls a testbench."""

_PERIOD = 1e-6  # of no consequence


async def stream_put(ctx: Any, interface: Any, value: Any) -> None:
    """Offer one beat to a stream that the component reads; returns in the cycle after it has been taken.

    One after another, they offer a beat in every cycle.
    """
    ctx.set(Value.cast(interface.payload), pack(interface.payload.shape(), value))
    ctx.set(interface.valid, 1)
    await _until(ctx, interface.ready)
    ctx.set(interface.valid, 0)


async def stream_get(ctx: Any, interface: Any) -> Any:
    """Take one beat from a stream that the component drives; returns its value in the cycle after.

    One after another, they take a beat in every cycle.
    """
    ctx.set(interface.ready, 1)
    (bits,) = await _until(ctx, interface.valid, Value.cast(interface.payload))
    ctx.set(interface.ready, 0)
    return unpack(interface.payload.shape(), bits)


async def _until(ctx: Any, condition: Any, *values: Any) -> tuple[int, ...]:
    """Wait for the clock edge at which the condition holds; returns the values at it.

    As `tick().until()`, which complains when a simulation that has failed is thrown away while it waits.
    """
    while True:
        _, _, holds, *sampled = await ctx.tick().sample(condition, *values)
        if holds:
            return tuple(sampled)


def stream_source(
    interface: Any, values: Iterable[Any], *, stalls: Stalls = "none", seed: int = 0, after: int = 0
) -> Process:
    """A process that offers values to a stream that the component reads, with stalls, until all are taken.

    Values are as for `payload.pack`. The first is offered `after` so many cycles.
    """

    async def process(ctx: Any) -> None:
        for _ in range(after):
            await ctx.tick()
        decisions = stall_profile(stalls).decisions(stream_seed(seed, _name(interface)))
        for value in values:
            while next(decisions):
                await ctx.tick()
            await stream_put(ctx, interface, value)

    return process


class StreamSink:
    """A process that takes beats from a stream that the component drives, with stalls.

    Parameters
    ----------
    interface
        The stream.
    count
        How many beats end it. It goes on for `drain_cycles` more, so that a beat too many is seen.
    stalls, seed
        Of the cycles in which it is not ready.

    Attributes
    ----------
    beats
        The values that have arrived, as `payload.unpack` gives them.
    """

    def __init__(
        self, interface: Any, *, count: int, stalls: Stalls = "none", seed: int = 0, drain_cycles: int = 16
    ) -> None:
        self._interface = interface
        self._count = count
        self._drain_cycles = drain_cycles
        self._decisions = stall_profile(stalls).decisions(stream_seed(seed, _name(interface)))
        self.beats: list[Any] = []

    async def __call__(self, ctx: Any) -> None:
        while len(self.beats) < self._count:
            await self._cycle(ctx, ready=not next(self._decisions))
        for _ in range(self._drain_cycles):
            await self._cycle(ctx, ready=True)
        ctx.set(self._interface.ready, 0)

    async def _cycle(self, ctx: Any, *, ready: bool) -> None:
        stream = self._interface
        if not stream.signature.always_ready:
            ctx.set(stream.ready, ready)
        _, _, valid, taken, bits = await ctx.tick().sample(stream.valid, stream.ready, Value.cast(stream.payload))
        if valid and taken:
            self.beats.append(unpack(stream.payload.shape(), bits))


def stream_checker(interface: Any, name: str) -> Process:
    """A process without end that raises `AssertionError` when a rule of streams is broken.

    The rules: valid, once raised, stays until ready; the payload does not change while it waits.
    """

    async def process(ctx: Any) -> None:
        waiting = None
        sampled = ctx.tick().sample(interface.valid, interface.ready, Value.cast(interface.payload))
        async for _, reset, valid, ready, bits in sampled:
            if reset:
                waiting = None
                continue
            if waiting is not None:
                assert valid, f"stream {name}: valid was withdrawn before ready"
                assert bits == waiting, f"stream {name}: payload changed while it waited, {waiting:#x} to {bits:#x}"
            waiting = bits if valid and not ready else None

    return process


def simulate(
    component: wiring.Component,
    *processes: Process,
    deadline: int = 100_000,
    waves: Path | None = None,
) -> int:
    """Run processes beside a component until all have ended.

    Parameters
    ----------
    component
        In the `sync` domain, or combinational. Each of its streams gets a `stream_checker`.
    processes
        Such as `stream_source` and `StreamSink`, or any of your own.
    deadline
        Fail after that many cycles.
    waves
        Record waves to this VCD file.

    Returns
    -------
    int
        Clock cycles that it took.

    Raises
    ------
    AssertionError
        A rule of a stream was broken, a process failed, or the deadline passed.
    """
    m = Module()
    m.domains.sync = ClockDomain()
    m.submodules.dut = component
    simulator = Simulator(m)
    simulator.add_clock(_PERIOD)
    cycles = 0

    async def count(ctx: Any) -> None:
        nonlocal cycles
        async for _ in ctx.tick():
            cycles += 1
            assert cycles < deadline, f"not over after {deadline} cycles"

    for process in processes:
        simulator.add_testbench(_function(process))
    for port in streams_of(component):
        simulator.add_testbench(stream_checker(port.interface, port.name), background=True)
    simulator.add_testbench(count, background=True)
    with simulator.write_vcd(str(waves)) if waves is not None else contextlib.nullcontext():
        simulator.run()
    return cycles


def _function(process: Process) -> Process:
    """The process as a function: Amaranth takes no other callable."""

    async def call(ctx: Any) -> None:
        await process(ctx)

    return call


def _name(interface: Any) -> str:
    """The name of a stream, for its seed: no two streams of a component have the same."""
    return str(getattr(Value.cast(interface.payload), "name", ""))
