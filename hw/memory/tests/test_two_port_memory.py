import random
from typing import Any

import pytest

from hw.memory.single_port_memory import SinglePortMemory
from hw.memory.two_port_memory import TwoPortMemory
from sim.harness.amaranth_sim import simulate


@pytest.mark.parametrize("parts", [1, 3])
def test_two_port_memory(parts):
    seed = parts
    rng = random.Random(seed)
    width, depth = 12, 5
    memory = TwoPortMemory(width, depth, parts=parts)
    part_bits = width // parts
    words = [0] * depth

    async def bench(ctx: Any) -> None:
        expected = 0
        for cycle in range(500):
            read, write = rng.randrange(depth), rng.randrange(depth)
            read_enable = rng.random() < 0.7
            write_enable = 0 if read_enable and read == write else rng.getrandbits(parts)
            data = rng.getrandbits(width)
            ctx.set(memory.read.address, read)
            ctx.set(memory.read.enable, read_enable)
            ctx.set(memory.write.address, write)
            ctx.set(memory.write.enable, write_enable)
            ctx.set(memory.write.data, data)
            await ctx.tick()
            if read_enable:
                expected = words[read]
            mask = sum(((1 << part_bits) - 1) << part * part_bits for part in range(parts) if write_enable >> part & 1)
            words[write] = words[write] & ~mask | data & mask
            assert ctx.get(memory.read.data) == expected, f"cycle {cycle}, seed {seed}"

    simulate(memory, bench)


@pytest.mark.parametrize("parts", [1, 3])
def test_single_port_memory(parts):
    """Where a word is written none is read, and the last one read stays."""
    seed = 10 + parts
    rng = random.Random(seed)
    width, depth = 12, 5
    memory = SinglePortMemory(width, depth, parts=parts)
    part_bits = width // parts
    words = [0] * depth

    async def bench(ctx: Any) -> None:
        expected = 0
        for cycle in range(500):
            read, write, data = rng.randrange(depth), rng.randrange(depth), rng.getrandbits(width)
            read_enable, write_enable = rng.random() < 0.7, rng.choice([0, rng.getrandbits(parts)])
            ctx.set(memory.read.address, read)
            ctx.set(memory.read.enable, read_enable)
            ctx.set(memory.write.address, write)
            ctx.set(memory.write.enable, write_enable)
            ctx.set(memory.write.data, data)
            await ctx.tick()
            if read_enable and not write_enable:
                expected = words[read]
            mask = sum(((1 << part_bits) - 1) << part * part_bits for part in range(parts) if write_enable >> part & 1)
            words[write] = words[write] & ~mask | data & mask
            assert ctx.get(memory.read.data) == expected, f"cycle {cycle}, seed {seed}"

    simulate(memory, bench)
