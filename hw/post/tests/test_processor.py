from typing import Any

import pytest

from hw.config import CoreConfig
from hw.post.processor import PostProcessor
from hw.post.tests.beats import DESTINATION_BITS, PostBench
from sim.harness.amaranth_sim import StreamSink, simulate, stream_put, stream_source

CONFIGS = {
    "smallest": CoreConfig(groups=1, lanes=1, post_lanes=1, post_dsps=4),
    "no registers": CoreConfig(groups=1, lanes=4, post_lanes=1, post_dsps=4, product_registers=False),
    "one slot": CoreConfig(groups=1, lanes=2, post_lanes=2, post_dsps=3),
    "many slots": CoreConfig(groups=3, lanes=4, post_lanes=2, post_dsps=3, max_left_shift=0),
    "wide activations": CoreConfig(groups=2, lanes=2, post_lanes=1, post_dsps=2, activation_bits=16),
    "narrow accumulators": CoreConfig(groups=1, lanes=4, post_lanes=1, post_dsps=0, accumulator_bits=20, vector=False),
}


def _processor(bench: PostBench) -> tuple[PostProcessor, Any]:
    """A processor, and a process that loads its parameters and bounds."""
    processor = PostProcessor(bench.config, DESTINATION_BITS)

    async def load(ctx: Any) -> None:
        ctx.set(processor.offset, bench.offset)
        ctx.set(processor.lower, bench.bounds[0])
        ctx.set(processor.upper, bench.bounds[1])
        for write in bench.parameter_writes():
            await stream_put(ctx, processor.parameters, write)

    return processor, load


@pytest.mark.parametrize(
    "source, sink", [("none", "none"), ("random", "random"), ("none", "slow"), ("bursty", "bursty")]
)
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS.keys())
def test_random_beats_give_what_the_model_gives(config, source, sink):
    seed = 3
    half = 1 << config.activation_bits
    bench = PostBench(config, 150, seed=seed, lower=-half, upper=half - 1)
    processor, load = _processor(bench)
    outputs = StreamSink(processor.outputs, count=len(bench.outputs), stalls=sink, seed=seed)
    beats = stream_source(processor.results, bench.beats, stalls=source, seed=seed)

    async def play(ctx: Any) -> None:
        await load(ctx)
        await beats(ctx)

    simulate(processor, play, outputs)
    assert outputs.beats == bench.outputs, f"seed {seed}"


@pytest.mark.parametrize("offset", [0, -128, 77])
@pytest.mark.parametrize("bounds", [(0, 0), (-128, 127), (0, 255), (-100, -20)])
def test_bounds_and_offset(bounds, offset):
    seed = 4
    bench = PostBench(CONFIGS["one slot"], 60, seed=seed, lower=bounds[0], upper=bounds[1], offset=offset)
    processor, load = _processor(bench)
    outputs = StreamSink(processor.outputs, count=len(bench.outputs))
    beats = stream_source(processor.results, bench.beats)

    async def play(ctx: Any) -> None:
        await load(ctx)
        await beats(ctx)

    simulate(processor, play, outputs)
    assert outputs.beats == bench.outputs, f"seed {seed}"


@pytest.mark.parametrize("dsps", range(5))
def test_latency_and_throughput(dsps):
    config = CoreConfig(groups=1, lanes=1, post_lanes=1, post_dsps=dsps)
    bench = PostBench(config, 100, seed=dsps, lower=-256, upper=255, pooling=False)
    processor, load = _processor(bench)
    arrivals: list[int] = []

    async def play(ctx: Any) -> None:
        await load(ctx)
        ctx.set(processor.outputs.ready, 1)
        offer = iter(bench.beats)
        for cycle in range(len(bench.beats) + processor.latency):
            if ctx.get(processor.outputs.valid):
                arrivals.append(cycle)
            beat = next(offer, None)
            if beat is None:
                ctx.set(processor.results.valid, 0)
                await ctx.tick()
            else:
                assert ctx.get(processor.results.ready)
                await stream_put(ctx, processor.results, beat)

    simulate(processor, play)
    # A beat offered in cycle n is accepted at its end; one a cycle from then on.
    assert arrivals == [cycle + processor.latency for cycle in range(len(bench.beats))]


def test_parameters_are_loaded_while_others_are_in_use():
    config = CoreConfig(groups=2, lanes=1, post_lanes=1, post_dsps=3)
    # Entries 0 and 1 serve the first beats; 2 and 3 are loaded meanwhile and serve the others.
    first = PostBench(config, 60, seed=5, lower=-256, upper=255, entries=range(0, 2))
    second = PostBench(config, 60, seed=6, lower=-256, upper=255, entries=range(2, 4))
    processor, load = _processor(first)
    expected = first.outputs + second.outputs
    outputs = StreamSink(processor.outputs, count=len(expected), stalls="random", seed=5)

    async def play_first(ctx: Any) -> None:
        await load(ctx)
        await stream_source(processor.results, first.beats)(ctx)

    async def play_second(ctx: Any) -> None:
        while not ctx.get(processor.results.valid):
            await ctx.tick()
        for write in second.parameter_writes():
            await stream_put(ctx, processor.parameters, write)
        while ctx.get(processor.results.valid):
            await ctx.tick()
        await stream_source(processor.results, second.beats)(ctx)

    simulate(processor, play_first, play_second, outputs)
    assert outputs.beats == expected
