import random
from typing import Any

import pytest

from hw.stream.register import SkidBuffer, StreamRegister
from sim.harness.amaranth_sim import StreamSink, simulate, stream_put, stream_source

BITS = 9
CAPACITY = {StreamRegister: 1, SkidBuffer: 2}
both = pytest.mark.parametrize("component", CAPACITY)


@both
@pytest.mark.parametrize("source, sink", [("none", "none"), ("random", "random"), ("none", "bursty"), ("slow", "none")])
def test_nothing_is_lost_or_repeated(component, source, sink):
    seed = 1
    values = [random.Random(seed).getrandbits(BITS) for _ in range(200)]
    dut = component(BITS)
    taken = StreamSink(dut.o, count=len(values), stalls=sink, seed=seed)
    simulate(dut, stream_source(dut.i, values, stalls=source, seed=seed), taken)
    assert taken.beats == values, f"seed {seed}"


@both
def test_latency_and_throughput_are_one(component):
    dut = component(BITS)
    taken = StreamSink(dut.o, count=50, drain_cycles=0)
    cycles = simulate(dut, stream_source(dut.i, range(50)), taken)
    assert cycles == 50 + 1


@both
def test_capacity(component):
    dut = component(BITS)
    held = 0

    async def fill(ctx: Any) -> None:
        nonlocal held
        while ctx.get(dut.i.ready):
            await stream_put(ctx, dut.i, held)
            held += 1

    simulate(dut, fill, deadline=20)
    assert held == CAPACITY[component]


@both
def test_combinational_paths(component):
    """Of the register only `o.ready` reaches the other side in the same cycle, of the skid buffer nothing."""
    dut = component(BITS)
    seen: set[tuple[int, int]] = set()

    async def bench(ctx: Any) -> None:
        await stream_put(ctx, dut.i, 5)
        for offered in (0, 1):
            for ready in (0, 1):
                ctx.set(dut.i.valid, offered)
                ctx.set(dut.i.payload, 6)
                ctx.set(dut.o.ready, ready)
                assert (ctx.get(dut.o.valid), ctx.get(dut.o.payload)) == (1, 5)
                seen.add((ready, ctx.get(dut.i.ready)))
        # The wires go back before the clock edge, as if nothing had been tried.
        ctx.set(dut.i.valid, 0)
        ctx.set(dut.o.ready, 0)

    simulate(dut, bench)
    assert seen == ({(0, 0), (1, 1)} if component is StreamRegister else {(0, 1), (1, 1)})
