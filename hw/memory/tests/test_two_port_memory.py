import random
from typing import Any

import pytest

from hw.memory.single_port_memory import SinglePortMemory
from hw.memory.two_port_memory import TwoPortMemory
from sim.harness.amaranth_sim import simulate


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("kind", [TwoPortMemory, SinglePortMemory])
def test_random_reads_and_writes(kind, parts):
    """A word is read that is not being written, of a single port where none is written; the last one read stays."""
    seed = parts
    rng = random.Random(seed)
    width, depth = 12, 5
    memory = kind(width, depth, parts=parts)
    part_bits = width // parts
    words = [0] * depth

    async def bench(ctx: Any) -> None:
        expected = 0
        for cycle in range(500):
            read, write, data = rng.randrange(depth), rng.randrange(depth), rng.getrandbits(width)
            read_enable, write_enable = rng.random() < 0.7, rng.choice([0, rng.getrandbits(parts)])
            if kind is TwoPortMemory and read_enable and read == write:
                write_enable = 0
            ctx.set(memory.read.address, read)
            ctx.set(memory.read.enable, read_enable)
            ctx.set(memory.write.address, write)
            ctx.set(memory.write.enable, write_enable)
            ctx.set(memory.write.data, data)
            await ctx.tick()
            if read_enable and not (kind is SinglePortMemory and write_enable):
                expected = words[read]
            mask = sum(((1 << part_bits) - 1) << part * part_bits for part in range(parts) if write_enable >> part & 1)
            words[write] = words[write] & ~mask | data & mask
            assert ctx.get(memory.read.data) == expected, f"cycle {cycle}, seed {seed}"

    simulate(memory, bench)
