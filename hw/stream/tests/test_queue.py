import random
from typing import Any

import pytest

from hw.stream.queue import StreamQueue
from sim.harness.amaranth_sim import StreamSink, simulate, stream_put, stream_source

BITS = 7


@pytest.mark.parametrize("depth", [2, 4, 16])
@pytest.mark.parametrize("source, sink", [("none", "none"), ("random", "random"), ("none", "slow"), ("slow", "none")])
def test_nothing_is_lost_or_repeated(depth, source, sink):
    seed = depth
    values = [random.Random(seed).getrandbits(BITS) for _ in range(200)]
    queue = StreamQueue(BITS, depth)
    taken = StreamSink(queue.o, count=len(values), stalls=sink, seed=seed)
    simulate(queue, stream_source(queue.i, values, stalls=source, seed=seed), taken)
    assert taken.beats == values, f"seed {seed}"


def test_latency_and_throughput():
    queue = StreamQueue(BITS, 4)
    values = list(range(100))
    taken = StreamSink(queue.o, count=len(values), drain_cycles=0)
    cycles = simulate(queue, stream_source(queue.i, values), taken)
    assert cycles == len(values) + queue.latency


def test_it_holds_its_depth_and_one_more():
    queue = StreamQueue(BITS, 4)
    held = 0

    async def fill(ctx: Any) -> None:
        nonlocal held
        while True:
            await stream_put(ctx, queue.i, held)
            held += 1
            for _ in range(queue.latency):
                await ctx.tick()
            if not ctx.get(queue.i.ready):
                return

    simulate(queue, fill)
    assert held == 5


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_other_depths_are_refused(depth):
    with pytest.raises(ValueError, match=f"depth of a queue is {depth}"):
        StreamQueue(BITS, depth)
