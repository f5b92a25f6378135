import random
from typing import Any

import pytest
from amaranth.hdl import Value

from hw.config import CoreConfig
from hw.memory.weights import WeightMemory, weight_word
from sim.harness.amaranth_sim import simulate
from sim.harness.payload import pack


@pytest.mark.parametrize("lanes, depth", [(1, 2), (3, 8), (16, 16)])
def test_words_are_read_a_cycle_later_and_stay(lanes, depth):
    seed = lanes
    rng = random.Random(seed)
    config = CoreConfig(groups=1, lanes=lanes, post_lanes=1, weight_depth=depth, csc=False)
    memory = WeightMemory(config)
    shape = weight_word(config)
    words = [pack(shape, [rng.randrange(-128, 128) for _ in range(lanes)]) for _ in range(depth)]

    async def bench(ctx: Any) -> None:
        ctx.set(memory.write.enable, 1)
        for address, word in enumerate(words):
            ctx.set(memory.write.address, address)
            ctx.set(memory.write.data, word)
            await ctx.tick()
        ctx.set(memory.write.enable, 0)
        expected = None
        for cycle in range(100):
            address, enable = rng.randrange(depth), rng.random() < 0.6
            ctx.set(memory.read.address, address)
            ctx.set(memory.read.enable, enable)
            _, _, data = await ctx.tick().sample(Value.cast(memory.read.data))
            assert expected is None or data == expected, f"cycle {cycle}, seed {seed}"
            expected = words[address] if enable else expected

    simulate(memory, bench)
