import random
from typing import Any

import pytest
from amaranth.hdl import Value

from hw.config import WORD_ELEMENTS
from hw.control.feature_loader import FeatureLoader
from hw.control.tests.layers import EDGES, SMALL, LayerCase, make_case, random_case
from sim.harness.amaranth_sim import simulate, stream_get, stream_put
from sim.harness.payload import unpack
from sim.random_layers import LayerShape

Word = list[int]


class Bench:
    """A loader with a decoder before it, a memory behind it, and an array that uses the rows.

    The array looks at the rows under an output row when it finishes it: all must still be there.

    Parameters
    ----------
    case
        The layer.
    block_words
        Words of a channel block; 0 for one block.
    eager
        Probability, in each cycle, that a decoder, the memory or the array does something.
    """

    def __init__(self, case: LayerCase, block_words: int, eager: float, seed: int) -> None:
        self.case, self.seed = case, seed
        self._eager, self._rng = eager, random.Random(seed)
        self._pixel_words = case.mapping.input_pixel_words
        self._block_words = block_words or self._pixel_words
        self.loader = FeatureLoader(case.config)
        self.memory: list[Word] = [[0] * WORD_ELEMENTS for _ in range(case.config.activation_words)]
        # By row, column and word.
        self._features = [
            [[self._word() for _ in range(self._pixel_words)] for _ in range(case.conv.size[1])]
            for _ in case.geometry.rows
        ]
        self._over = False

    def _word(self) -> Word:
        return [self._rng.randrange(256) for _ in range(WORD_ELEMENTS)]

    def run(self, passes: int = 2) -> int:
        async def use(ctx: Any) -> None:
            ctx.set(self.loader.input, self._input())
            ctx.set(self.loader.window, self.case.fields["window"])
            for _ in range(passes):
                await self._use_rows(ctx)
            self._over = True

        async def decode(ctx: Any) -> None:
            for _ in range(passes):
                for row in self._features:
                    for first in range(0, self._pixel_words, self._block_words):
                        await self._decode_packet(ctx, row, first)

        # The memory first: what was written at a clock edge is there for those that look after it.
        return simulate(self.loader, self._write, use, decode, deadline=20_000)

    def _input(self) -> dict[str, int]:
        """The descriptor, with the channel blocks."""
        blocks = -(-self._pixel_words // self._block_words)
        channels = self._block_words * WORD_ELEMENTS
        return self.case.fields["input"] | {
            "blocks_last": blocks - 1,
            "block_words": self._block_words,
            "block_channels": channels,
            "final_block_channels": self.case.conv.channels - (blocks - 1) * channels,
        }

    async def _pause(self, ctx: Any) -> None:
        while self._rng.random() >= self._eager:
            await ctx.tick()

    async def _decode_packet(self, ctx: Any, row: list[list[Word]], first: int) -> None:
        """The words of one channel block of a row, some of them in parts."""
        loader, channels = self.loader, self._block_words * WORD_ELEMENTS
        await self._pause(ctx)
        segment = await stream_get(ctx, loader.segments)
        channels = min(channels, self.case.conv.channels - first * WORD_ELEMENTS)
        assert segment == {"pixels": len(row), "channels": channels, "sparse": 1}, f"seed {self.seed}"
        words = [word for pixel in row for word in pixel[first : first + self._block_words]]
        for number, word in enumerate(words):
            parts = self._parts()
            for part, enable in enumerate(parts):
                await self._pause(ctx)
                word_last = part == len(parts) - 1
                beat = {
                    "data": word,
                    "enable": enable,
                    "word_last": int(word_last),
                    "last": int(word_last and number == len(words) - 1),
                }
                await stream_put(ctx, loader.words, beat)

    def _parts(self) -> list[int]:
        if self._eager == 1 or self._rng.random() < 0.5:
            return [0xFFFF]
        split = self._rng.getrandbits(WORD_ELEMENTS)
        return [split, split ^ 0xFFFF]

    async def _write(self, ctx: Any) -> None:
        writes = self.loader.writes
        while not self._over:
            ctx.set(writes.ready, self._rng.random() < self._eager)
            _, _, valid, ready, bits = await ctx.tick().sample(writes.valid, writes.ready, Value.cast(writes.payload))
            if valid and ready:
                write = unpack(writes.payload.shape(), bits)
                word = self.memory[write["address"]]
                for i in range(WORD_ELEMENTS):
                    if write["enable"] >> i & 1:
                        word[i] = write["data"][i]

    async def _use_rows(self, ctx: Any) -> None:
        loader, rows = self.loader, len(self._features)
        ctx.set(loader.rows_finished, 0)
        ctx.set(loader.start, 1)
        await ctx.tick()
        ctx.set(loader.start, 0)
        for output_row in range(self.case.conv.output_size[0]):
            needed = self.case.rows_of(output_row)
            while ctx.get(loader.rows_loaded) <= max(needed, default=-1):
                await ctx.tick()
            await self._pause(ctx)
            for row in needed:
                self._check_row(row, f"output row {output_row}, seed {self.seed}")
            ctx.set(loader.rows_finished, output_row + 1)
        while ctx.get(loader.busy):
            await ctx.tick()
        assert ctx.get(loader.rows_loaded) == rows, f"seed {self.seed}"

    def _check_row(self, row: int, where: str) -> None:
        for column, pixel in enumerate(self._features[row]):
            for number, word in enumerate(pixel):
                assert self.memory[self.case.address((row, column), number)] == word, (
                    f"row {row}, column {column}, word {number}, {where}"
                )


@pytest.mark.parametrize("shape", EDGES.values(), ids=EDGES)
def test_edges_in_the_shortest_ring(shape):
    Bench(make_case(shape, input_ring=1), block_words=0, eager=0.6, seed=1).run()


@pytest.mark.parametrize("eager", [0.2, 0.7, 1])
@pytest.mark.parametrize("seed", range(8))
def test_random_layers(seed, eager):
    case = random_case(seed)
    Bench(case, block_words=random.Random(seed).choice([0, 1, 2]), eager=eager, seed=seed).run()


@pytest.mark.parametrize("channels, block_words", [(33, 1), (33, 2), (64, 1), (64, 2), (50, 3), (17, 1)])
@pytest.mark.parametrize("columns", [1, 4])
def test_channel_blocks(columns, channels, block_words):
    """Each row in several packets, the last of them narrower or not."""
    case = make_case(LayerShape((5, columns), channels, 1, kernel=(2, 1)), input_ring=1)
    Bench(case, block_words, eager=0.7, seed=channels).run()


def test_a_word_a_cycle():
    case = make_case(LayerShape((6, 5), 48, 1, kernel=(2, 1)))
    cycles = Bench(case, block_words=0, eager=1, seed=1).run(passes=1)
    # The start, and a cycle in which each row is asked for; this decoder does one packet at a time.
    assert cycles <= 1 + 6 * (5 * 3 + 1) + 2


@pytest.mark.parametrize("step, top, ring", [(1, 0, 3), (1, 2, 3), (2, 1, 3), (3, 0, 4), (4, 3, 3)])
def test_a_row_is_asked_for_as_soon_as_its_place_is_free(step, top, ring):
    rows = 14
    shape = LayerShape((rows, 2), 1, 1, kernel=(3, 1), stride=(step, 1), padding=((top, 0), (0, 0)))
    case = make_case(shape, input_ring=ring)
    loader = FeatureLoader(SMALL)
    asked = 0

    async def bench(ctx: Any) -> None:
        nonlocal asked
        ctx.set(loader.input, case.fields["input"])
        ctx.set(loader.window, case.fields["window"])
        ctx.set(loader.start, 1)
        await ctx.tick()
        ctx.set(loader.start, 0)
        ctx.set(loader.segments.ready, 1)
        for finished in range(case.conv.output_size[0] + 1):
            ctx.set(loader.rows_finished, finished)
            for _ in range(rows + 4):
                _, _, valid = await ctx.tick().sample(loader.segments.valid)
                asked += valid
            first_needed = finished * step - top
            assert asked == min(len(case.geometry.rows), ring + max(0, first_needed)), f"{finished} finished"

    simulate(loader, bench)
