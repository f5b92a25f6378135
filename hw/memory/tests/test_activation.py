import random
from collections import deque
from functools import partial
from typing import Any

import pytest
from amaranth.hdl import Value

from hw.config import WORD_ELEMENTS, CoreConfig
from hw.memory.activation import ActivationMemory, read_latency
from sim.harness.amaranth_sim import simulate, stream_put, stream_source
from sim.harness.payload import unpack


def core(banks: int, depth: int, bits: int = 8) -> CoreConfig:
    return CoreConfig(
        groups=1, lanes=1, post_lanes=1, activation_bits=bits, activation_banks=banks, activation_depth=depth
    )


def random_write(config: CoreConfig, rng: random.Random) -> dict[str, Any]:
    return {
        "address": rng.randrange(config.activation_words),
        "data": [rng.getrandbits(config.activation_bits) for _ in range(WORD_ELEMENTS)],
        "enable": rng.choice([0, (1 << WORD_ELEMENTS) - 1, rng.getrandbits(WORD_ELEMENTS)]),
    }


class Watch:
    """A process that holds a memory against its contract in every cycle, until all requests are answered.

    Attributes
    ----------
    longest_wait
        Cycles that any read request had to wait.
    answered
        Responses of each reader.
    """

    def __init__(self, memory: ActivationMemory, counts: list[int], writes: int, seed: int) -> None:
        self._memory = memory
        self._counts, self._writes, self._seed = counts, writes, seed
        self._banks = memory.config.activation_banks
        self._words = [[0] * WORD_ELEMENTS for _ in range(memory.config.activation_words)]
        # For each reader, what is due: None for nothing, else the word, or an empty one where it collided.
        self._due: list[deque[list[int] | None]] = [deque([None] * read_latency(memory.config)) for _ in counts]
        self._waits = [0] * len(counts)
        self.longest_wait = 0
        self.answered = [0] * len(counts)

    async def __call__(self, ctx: Any) -> None:
        memory = self._memory
        streams = [*memory.requests, *memory.writes]
        signals = [signal for s in streams for signal in (s.valid, s.ready, Value.cast(s.payload))]
        responses = [signal for r in memory.responses for signal in (r.valid, Value.cast(r.data))]
        cycle, written = 0, 0
        while self.answered != self._counts or written < self._writes:
            _, _, collision, *values = await ctx.tick().sample(memory.collision, *signals, *responses)
            triples = [tuple(values[3 * i : 3 * i + 3]) for i in range(len(streams))]
            pairs = [tuple(values[3 * len(streams) + 2 * i :][:2]) for i in range(memory.readers)]
            where = f"cycle {cycle}, seed {self._seed}"
            self._check_responses(pairs, where)
            writes = self._check_writes(triples[memory.readers :], where)
            reads = self._check_requests(triples[: memory.readers], writes, where)
            hit = {write["address"] for write in writes if write["enable"]} & set(reads.values())
            assert collision == bool(hit), where
            self._step(reads, writes, hit)
            written += len(writes)
            cycle += 1

    def _check_responses(self, pairs: list[tuple[int, ...]], where: str) -> None:
        shape = self._memory.responses[0].data.shape()
        for reader, (valid, bits) in enumerate(pairs):
            expected = self._due[reader].popleft()
            assert valid == (expected is not None), f"reader {reader}, {where}"
            if expected:
                assert unpack(shape, bits) == expected, f"reader {reader}, {where}"
            self.answered[reader] += valid

    def _check_requests(
        self, triples: list[tuple[int, ...]], writes: list[dict[str, Any]], where: str
    ) -> dict[int, int]:
        """Each bank that is asked, and may be read, serves one reader; returns the addresses read, by reader."""
        asked = {address % self._banks for valid, _, address in triples if valid}
        if self._memory.config.single_port:
            asked -= {write["address"] % self._banks for write in writes}
        reads = {i: address for i, (valid, ready, address) in enumerate(triples) if valid and ready}
        assert sorted(address % self._banks for address in reads.values()) == sorted(asked), where
        for reader, (valid, ready, _) in enumerate(triples):
            self._waits[reader] = self._waits[reader] + 1 if valid and not ready else 0
        self.longest_wait = max(self.longest_wait, *self._waits)
        return reads

    def _check_writes(self, triples: list[tuple[int, ...]], where: str) -> list[dict[str, Any]]:
        """The first writer never waits, the second only for it in the same bank; returns the writes done."""
        shape = self._memory.writes[0].payload.shape()
        first, second = (unpack(shape, bits) for _, _, bits in triples)
        (first_valid, first_ready, _), (second_valid, second_ready, _) = triples
        conflict = first_valid and first["address"] % self._banks == second["address"] % self._banks
        assert (first_ready, second_ready) == (1, not conflict), where
        return [first] * first_valid + [second] * (second_valid & second_ready)

    def _step(self, reads: dict[int, int], writes: list[dict[str, Any]], hit: set[int]) -> None:
        for reader, due in enumerate(self._due):
            address = reads.get(reader)
            due.append(None if address is None else [] if address in hit else list(self._words[address]))
        for write in writes:
            word = self._words[write["address"]]
            for i, element in enumerate(write["data"]):
                if write["enable"] >> i & 1:
                    word[i] = element


@pytest.mark.parametrize("single_port", [False, True])
@pytest.mark.parametrize("stalls", ["none", "random", "bursty"])
@pytest.mark.parametrize(
    "banks, depth, readers, bits", [(1, 4, 1, 8), (1, 16, 3, 8), (2, 2, 4, 8), (4, 4, 3, 16), (8, 1, 5, 8)]
)
def test_reads_and_writes(banks, depth, readers, bits, stalls, single_port):
    seed = banks * 100 + readers
    rng = random.Random(seed)
    config = core(banks, depth, bits).with_changes(single_port=single_port)
    memory = ActivationMemory(config, readers)
    counts = [150] * readers
    reads = [[rng.randrange(config.activation_words) for _ in range(count)] for count in counts]
    writes = [[random_write(config, rng) for _ in range(100)] for _ in range(2)]
    watch = Watch(memory, counts, writes=200, seed=seed)
    simulate(
        memory,
        *(stream_source(p, r, stalls=stalls, seed=seed) for p, r in zip(memory.requests, reads, strict=True)),
        *(stream_source(p, w, stalls=stalls, seed=seed) for p, w in zip(memory.writes, writes, strict=True)),
        watch,
        deadline=5_000,
    )
    # Nobody is passed over twice by the same reader, but by any number of writes to a single port.
    assert single_port or watch.longest_wait <= readers - 1, f"seed {seed}"


@pytest.mark.parametrize("readers", [1, 2, 3, 9])
def test_readers_of_one_bank_share_it_evenly(readers):
    config = core(4, 16)
    memory = ActivationMemory(config, readers)
    count = 20
    watch = Watch(memory, [count] * readers, writes=0, seed=0)
    cycles = simulate(memory, *(stream_source(p, [4] * count) for p in memory.requests), watch)
    assert cycles == count * readers + read_latency(config)
    assert watch.longest_wait == readers - 1


def test_runs_of_words_in_step_use_all_banks():
    """Readers that start in different banks never meet."""
    config = core(4, 16)
    memory = ActivationMemory(config, 4)
    watch = Watch(memory, [64] * 4, writes=0, seed=0)
    runs = [[(first + i) % 64 for i in range(64)] for first in (0, 5, 2, 7)]
    sources = (stream_source(p, run) for p, run in zip(memory.requests, runs, strict=True))
    assert simulate(memory, *sources, watch) == 64 + read_latency(config)
    assert watch.longest_wait == 0


@pytest.mark.parametrize("banks", [1, 2])
def test_the_second_writer_waits_only_for_the_first_in_its_bank(banks):
    memory = ActivationMemory(core(banks, 8), 1)
    word = {"data": [7] * WORD_ELEMENTS, "enable": 0xFFFF}
    done: list[str] = []

    async def put(ctx: Any, index: int, addresses: list[int]) -> None:
        for address in addresses:
            await stream_put(ctx, memory.writes[index], {"address": address, **word})
        done.append(f"writer {index}")

    async def first(ctx: Any) -> None:
        await put(ctx, 0, [0, 2, 4])

    async def second(ctx: Any) -> None:
        await put(ctx, 1, [1])

    simulate(memory, first, second)
    assert done == (["writer 0", "writer 1"] if banks == 1 else ["writer 1", "writer 0"])


@pytest.mark.parametrize("banks, latency", [(1, 1), (2, 2)])
def test_a_word_is_read_as_soon_as_it_is_written(banks, latency):
    config = core(banks, 8)
    assert read_latency(config) == latency
    memory = ActivationMemory(config, 1)
    watch = Watch(memory, [2], writes=1, seed=0)

    async def bench(ctx: Any) -> None:
        write = {"address": 3, "data": list(range(1, 17)), "enable": 0xFF00}
        await stream_put(ctx, memory.writes[0], write)
        for address in (3, 2):
            await stream_put(ctx, memory.requests[0], address)

    assert simulate(memory, bench, watch) == 1 + 2 + latency


@pytest.mark.parametrize("stalls", ["none", "random", "bursty"])
@pytest.mark.parametrize("banks", [1, 4])
def test_in_a_large_core_answers_come_in_order_however_long_they_wait(banks, stalls):
    seed, count = banks, 100
    config = core(banks, 16).with_changes(groups=2)
    rng = random.Random(seed)
    memory = ActivationMemory(config, readers=3)
    words = [[rng.getrandbits(8) for _ in range(WORD_ELEMENTS)] for _ in range(config.activation_words)]
    writes = [{"address": a, "data": word, "enable": 0xFFFF} for a, word in enumerate(words)]
    reads = [[rng.randrange(config.activation_words) for _ in range(count)] for _ in memory.requests]
    got: list[list[list[int]]] = [[] for _ in reads]

    async def ask(ctx: Any) -> None:
        """All readers at once, when the words have been written; the last to be answered ends it."""
        await stream_source(memory.writes[0], writes)(ctx)
        await ctx.tick()
        signals = [signal for port in memory.responses for signal in (port.valid, Value.cast(port.data))]
        sources = [stream_source(p, r, stalls=stalls, seed=seed) for p, r in zip(memory.requests, reads, strict=True)]
        asking.extend(sources)
        while any(len(answers) < count for answers in got):
            _, _, *seen = await ctx.tick().sample(*signals)
            for answers, valid, bits in zip(got, seen[::2], seen[1::2], strict=True):
                if valid:
                    answers.append(unpack(memory.responses[0].data.shape(), bits))

    asking: list[Any] = []

    async def reader(ctx: Any, index: int) -> None:
        while len(asking) <= index:
            await ctx.tick()
        await asking[index](ctx)

    simulate(memory, *(partial(reader, index=i) for i in range(len(reads))), ask, deadline=5_000)
    assert got == [[words[address] for address in wanted] for wanted in reads], f"seed {seed}"
