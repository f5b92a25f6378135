import random
from typing import Any

import pytest

from hw.config import WORD_ELEMENTS, CoreConfig
from hw.control.writer import ResultWriter
from sim.harness.amaranth_sim import StreamSink, simulate, stream_source


def random_output(config: CoreConfig, rng: random.Random, slice_: int) -> dict[str, Any]:
    return {
        "data": [rng.getrandbits(config.activation_bits) for _ in range(config.post_lanes)],
        "destination": {
            "address": rng.randrange(config.activation_words),
            "slice": slice_,
            "complete": rng.getrandbits(1),
            "sequence": rng.randrange(16),
        },
    }


@pytest.mark.parametrize("stalls", ["none", "random"])
@pytest.mark.parametrize("post_lanes, bits", [(1, 8), (2, 16), (8, 8), (16, 8)])
def test_elements_go_to_their_slice(post_lanes, bits, stalls):
    seed = post_lanes
    rng = random.Random(seed)
    config = CoreConfig(groups=1, lanes=16, post_lanes=post_lanes, activation_bits=bits)
    slices = WORD_ELEMENTS // post_lanes
    outputs = [random_output(config, rng, n % slices) for n in range(3 * slices + 20)]
    writer = ResultWriter(config)
    writes = StreamSink(writer.writes, count=len(outputs), stalls=stalls, seed=seed, drain_cycles=0)
    completed: list[int] = []

    async def complete(ctx: Any) -> None:
        while len(writes.beats) < len(outputs):
            _, _, valid, sequence = await ctx.tick().sample(writer.complete.valid, writer.complete.payload)
            completed.extend([sequence] * valid)

    source = stream_source(writer.outputs, outputs, stalls=stalls, seed=seed)
    simulate(writer, source, complete, writes)
    for output, write in zip(outputs, writes.beats, strict=True):
        destination = output["destination"]
        first = destination["slice"] * post_lanes
        assert write["address"] == destination["address"], f"seed {seed}"
        assert write["enable"] == ((1 << post_lanes) - 1) << first, f"seed {seed}"
        assert write["data"][first : first + post_lanes] == output["data"], f"seed {seed}"
    destinations = [output["destination"] for output in outputs]
    assert completed == [d["sequence"] for d in destinations if d["complete"]], f"seed {seed}"


def test_latency_is_0():
    """A unit is complete in the cycle in which its last elements are written, not before."""
    config = CoreConfig(groups=1, lanes=16, post_lanes=16)
    writer = ResultWriter(config)

    async def bench(ctx: Any) -> None:
        ctx.set(writer.outputs.payload, {"destination": {"complete": 1, "sequence": 9}})
        for offered, ready in ((0, 0), (0, 1), (1, 0), (1, 1)):
            ctx.set(writer.outputs.valid, offered)
            ctx.set(writer.writes.ready, ready)
            _, _, valid, taken, complete, sequence = await ctx.tick().sample(
                writer.writes.valid, writer.outputs.ready, writer.complete.valid, writer.complete.payload
            )
            assert (valid, taken, complete, sequence) == (offered, ready, offered & ready, 9)
            if offered and ready:
                ctx.set(writer.outputs.valid, 0)

    simulate(writer, bench)
