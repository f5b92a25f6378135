import random
import zlib
from typing import Any

import pytest

from hw.config import AcceleratorConfig
from hw.machine.program_memory import ProgramRead
from hw.machine.registers import RunError
from hw.machine.tests.configs import random_words, small_config
from hw.machine.verifier import Verifier
from sim.harness.amaranth_sim import simulate


class Bench:
    """A verifier, and the memory that it reads."""

    def __init__(self, config: AcceleratorConfig, words: list[int], step_bits: int = 32) -> None:
        self.verifier = Verifier(config, step_bits)
        self._words = words
        self.errors: list[RunError] = []
        self.busy_cycles = 0

    async def cycle(self, ctx: Any) -> bool:
        """One cycle; whether it was busy."""
        read: ProgramRead = self.verifier.read
        _, _, address, enable, busy, error = await ctx.tick().sample(
            read.address, read.enable, self.verifier.busy, self.verifier.error
        )
        if enable:
            ctx.set(read.data, self._words[address])
        if RunError(error) != RunError.NONE:
            self.errors.append(RunError(error))
        self.busy_cycles += busy
        return busy

    async def verify(self, ctx: Any, words: int, checksum: int) -> int:
        """Run a verification; the program is then valid or not."""
        ctx.set(self.verifier.words, words)
        ctx.set(self.verifier.checksum, checksum)
        ctx.set(self.verifier.start, 1)
        await self.cycle(ctx)
        ctx.set(self.verifier.start, 0)
        while await self.cycle(ctx):
            pass
        return ctx.get(self.verifier.valid)


def checksum_of(words: list[int], lanes: int) -> int:
    return zlib.crc32(b"".join(word.to_bytes(lanes, "little") for word in words))


@pytest.mark.parametrize(("lanes", "step_bits"), [(4, 8), (4, 32), (8, 32), (16, 16), (16, 32)])
def test_the_checksum_is_that_of_zlib(lanes, step_bits):
    config = small_config(lanes, program_depth=32)
    words = random_words(random.Random(lanes), config, 32)
    bench = Bench(config, words, step_bits)
    parts = 8 * lanes // step_bits

    async def process(ctx: Any) -> None:
        for count in (1, 2, 7, 32):
            right, bench.busy_cycles = checksum_of(words[:count], lanes), 0
            assert await bench.verify(ctx, count, right) == 1
            assert bench.busy_cycles == 4 + count * parts + (parts > 1 and config.core.large)
            assert await bench.verify(ctx, count, right ^ 1 << 31) == 0
            assert await bench.verify(ctx, count, right) == 1
        assert bench.errors == [RunError.CHECKSUM] * 4

    simulate(bench.verifier, process)


@pytest.mark.parametrize("count", [0, 33, 2**19 - 1])
def test_no_words_or_too_many_are_out_of_range(count):
    bench = Bench(small_config(program_depth=32), [0] * 32)

    async def process(ctx: Any) -> None:
        assert await bench.verify(ctx, count, 0) == 0
        assert bench.errors == [RunError.RANGE]

    simulate(bench.verifier, process)


def test_a_changed_program_is_not_valid_any_more():
    config = small_config(program_depth=32)
    words = random_words(random.Random(1), config, 32)
    bench = Bench(config, words)

    async def process(ctx: Any) -> None:
        assert await bench.verify(ctx, 5, checksum_of(words[:5], 4)) == 1
        ctx.set(bench.verifier.forget, 1)
        await bench.cycle(ctx)
        assert not ctx.get(bench.verifier.valid)

    simulate(bench.verifier, process)
