import random
from typing import Any

import pytest

from hw.config import WORD_ELEMENTS
from hw.control.feature_store import FeatureStore
from hw.control.tests.layers import SMALL, LayerCase, make_case, random_case
from hw.memory.activation import read_latency
from hw.memory.tests.ports import ActivationReadPort
from sim.harness.amaranth_sim import StreamSink, simulate
from sim.random_layers import LayerShape


class Bench:
    """A store with an eager array, which fills a row of the ring as soon as it is free, and an encoder.

    Attributes
    ----------
    expected
        The words that must leave, in the passes run so far.
    """

    def __init__(self, case: LayerCase, stalls: str, seed: int) -> None:
        self.case, self.stalls, self.seed = case, stalls, seed
        self._rng = random.Random(seed)
        self.store = FeatureStore(case.config)
        self.expected: list[dict[str, Any]] = []
        self.words: list[dict[str, Any]] = []
        self.cycles_of_pass: list[int] = []
        self._memory = [[0] * WORD_ELEMENTS for _ in range(case.config.activation_words)]
        self._over = False

    def run(self, passes: list[bool]) -> None:
        """Run passes; of each, whether it is the last of its layer."""

        async def drive(ctx: Any) -> None:
            ctx.set(self.store.output, self.case.fields["output"])
            for final in passes:
                await self._pass(ctx, final)
            self._over = True

        memory = ActivationReadPort(
            self.case.config,
            self.store.request,
            self.store.response,
            self._memory,
            until=lambda: self._over,
            stalls=self.stalls,
            seed=self.seed,
        )
        sink = StreamSink(
            self.store.words,
            count=sum(self._count(final) for final in passes),
            stalls=self.stalls,
            seed=self.seed,
            drain_cycles=0,
        )
        self.words = sink.beats
        simulate(self.store, drive, memory, sink, deadline=20_000)

    def _count(self, final: bool) -> int:
        rows, columns = self.case.conv.output_size
        return rows * columns * len(self._counts(final))

    def _counts(self, final: bool) -> list[int]:
        """Valid elements of each word of a pixel."""
        conv, mapping = self.case.conv, self.case.mapping
        maps = conv.maps if mapping.merged else mapping.maps_of_pass(mapping.passes - 1 if final else 0, conv.maps)
        return [min(WORD_ELEMENTS, maps - first) for first in range(0, maps, WORD_ELEMENTS)]

    async def _pass(self, ctx: Any, final: bool) -> None:
        store, rows = self.store, self.case.conv.output_size[0]
        ctx.set(store.final, final)
        ctx.set(store.rows_finished, 0)
        ctx.set(store.start, 1)
        await ctx.tick()
        ctx.set(store.start, 0)
        left, cycles, finished, waiting = 0, 0, 0, 0
        while left < rows:
            cycles += 1
            packet_leaves = bool(waiting) and (self.stalls == "none" or self._rng.random() < 0.3)
            ctx.set(store.packet_left, packet_leaves)
            _, _, stored, busy, valid, ready, last = await ctx.tick().sample(
                store.rows_stored,
                store.busy,
                store.words.valid,
                store.words.ready,
                store.words.payload.last,
            )
            assert busy, f"packet {left}, seed {self.seed}"
            assert stored <= finished, f"seed {self.seed}"
            waiting += (valid & ready & last) - packet_leaves
            left += packet_leaves
            if finished < min(rows, stored + self.case.mapping.output_ring):
                self._fill_row(finished, final)
                finished += 1
                ctx.set(store.rows_finished, finished)
        ctx.set(store.packet_left, 0)
        assert not ctx.get(store.busy), f"seed {self.seed}"
        assert ctx.get(store.rows_stored) == rows, f"seed {self.seed}"
        self.cycles_of_pass.append(cycles)

    def _fill_row(self, row: int, final: bool) -> None:
        columns = self.case.conv.output_size[1]
        counts = self._counts(final)
        for column in range(columns):
            address = self.case.result_address((row, column))
            for word, count in enumerate(counts):
                density = self._rng.choice([0, 0.5, 1])
                data = [self._rng.randrange(256) if self._rng.random() < density else 0 for _ in range(WORD_ELEMENTS)]
                self._memory[address + word] = data
                last = column == columns - 1 and word == len(counts) - 1
                self.expected.append({"data": data, "count": count, "last": int(last), "sparse": 1})


@pytest.mark.parametrize("stalls", ["none", "random", "slow"])
@pytest.mark.parametrize("seed", range(8))
def test_rows_leave_in_order_and_whole(seed, stalls):
    case = random_case(seed)
    bench = Bench(case, stalls, seed)
    bench.run([case.mapping.passes == 1, True])
    assert bench.words == bench.expected, f"seed {seed}"


@pytest.mark.parametrize("stalls", ["none", "random", "slow"])
@pytest.mark.parametrize("maps", [1, 16, 17, 40])
@pytest.mark.parametrize("size", [(1, 1), (5, 1), (3, 2)])
def test_a_ring_of_one_row_is_not_overwritten_too_early(size, maps, stalls):
    """The place of a row is free only when its last word has been read."""
    seed = maps
    case = make_case(LayerShape(size, 1, maps), output_ring=1, merged=True)
    bench = Bench(case, stalls, seed)
    bench.run([True, True])
    assert bench.words == bench.expected, f"seed {seed}"


def test_a_word_a_cycle():
    case = make_case(LayerShape((6, 5), 1, 40), merged=True)
    bench = Bench(case, "none", 1)
    bench.run([True])
    # Before the first word: the first row is finished, one register, the memory, the reader's queue.
    # After the last: its packet leaves.
    latency = 1 + 1 + read_latency(SMALL) + 1
    assert bench.cycles_of_pass == [latency + 6 * 5 * 3 + 1]
