import random
from typing import Any

import pytest

from hw.config import CoreConfig
from hw.dataflow.nullhop.axis import AxisCounter
from sim.harness.amaranth_sim import simulate

CONFIG = CoreConfig(groups=1, lanes=1, post_lanes=1, activation_depth=16, max_size=63, max_kernel=7)
WORDS_RANGE = 1 << (CONFIG.activation_address_bits + 1)


class AxisModel:
    """The position as a formula of the two indices; the counter has only sums."""

    def __init__(self, axis: dict[str, int], ring: int) -> None:
        self._axis = axis
        self._modulus = ring or WORDS_RANGE
        self.load(0, 0)

    def load(self, at: int, words: int) -> None:
        self._at, self._words = at, words
        self._tap = self._pool = 0

    def next_tap(self) -> None:
        self._tap = (self._tap + 1) % (self._axis["tap_last"] + 1)

    def next_pool(self) -> None:
        self._tap, self._pool = 0, (self._pool + 1) % (self._axis["pool_last"] + 1)

    def outputs(self) -> dict[str, int]:
        axis, tap, pool = self._axis, self._tap, self._pool
        words = self._words + pool * axis["pool_words"] + tap * axis["tap_words"]
        return {
            "here_at": self._at + pool * axis["pool_step"] + tap * axis["tap_step"],
            "here_words": words % self._modulus,
            "first_tap": int(tap == 0),
            "last_tap": int(tap == axis["tap_last"]),
            "first_pool": int(pool == 0),
            "last_pool": int(pool == axis["pool_last"]),
        }


def random_axis(rng: random.Random, ring: int) -> dict[str, int]:
    kernel, pool = rng.choice([1, 1, 2, 7]), rng.choice([1, 1, 2, 7])
    axis = {"tap_last": kernel - 1, "pool_last": pool - 1}
    for level in ("tap", "pool"):
        axis[f"{level}_step"] = rng.randrange(1, 6)
        axis[f"{level}_words"] = rng.randrange(ring or WORDS_RANGE)
    return axis


@pytest.mark.parametrize("ring", [0, 1, 2, 37, CONFIG.activation_words])
@pytest.mark.parametrize("seed", range(3))
def test_random_walks(seed, ring):
    rng = random.Random(f"{seed}/{ring}")
    axis = random_axis(rng, ring)
    counter, model = AxisCounter(CONFIG), AxisModel(axis, ring)

    async def bench(ctx: Any) -> None:
        ctx.set(counter.axis, axis)
        ctx.set(counter.ring, ring)
        for cycle in range(200):
            load = cycle == 0 or rng.random() < 0.05
            next_tap, next_pool = rng.random() < 0.6, rng.random() < 0.2
            at, words = rng.randrange(-20, 20), rng.randrange(ring or WORDS_RANGE)
            for signal, value in (
                (counter.load, load),
                (counter.next_tap, next_tap),
                (counter.next_pool, next_pool),
                (counter.at, at),
                (counter.words, words),
            ):
                ctx.set(signal, value)
            await ctx.tick()
            for move in (counter.load, counter.next_tap, counter.next_pool):
                ctx.set(move, 0)
            await ctx.tick()
            if load:
                model.load(at, words)
            elif next_pool:
                model.next_pool()
            elif next_tap:
                model.next_tap()
            expected = model.outputs()
            got = {name: ctx.get(getattr(counter, name)) for name in expected}
            assert got == expected, f"cycle {cycle}, seed {seed}, axis {axis}"

    simulate(counter, bench)
