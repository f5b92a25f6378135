import random
from typing import Any

import pytest
from amaranth import signed

from hw.mac.accumulator_file import AccumulatorFile
from sim.harness.amaranth_sim import simulate


@pytest.mark.parametrize("depth", [1, 2, 3, 16])
def test_accumulator_file_reads_modifies_and_writes_every_cycle(depth):
    seed = depth
    rng = random.Random(seed)
    file = AccumulatorFile(signed(20), depth)
    values = [0] * depth

    async def bench(ctx: Any) -> None:
        index, start, write = 0, False, False  # of the operation in the modify stage
        for cycle in range(600):
            advance, addend = rng.random() < 0.7, rng.randrange(-100, 100)
            held = 0 if start else values[index]
            if write:
                assert ctx.get(file.value) == held, f"cycle {cycle}, seed {seed}"
            next_index, next_valid = rng.randrange(depth), rng.random() < 0.8
            next_start = next_valid and rng.random() < 0.2
            ctx.set(file.advance, advance)
            ctx.set(file.read_index, next_index)
            ctx.set(file.start, next_start)
            ctx.set(file.write, write)
            ctx.set(file.updated, held + addend)
            await ctx.tick()
            if advance:
                if write:
                    values[index] = held + addend
                index, start, write = next_index, next_start, next_valid

    simulate(file, bench)
