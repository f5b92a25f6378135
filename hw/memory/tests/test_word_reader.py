import random
from typing import Any

import pytest

from hw.config import WORD_ELEMENTS, CoreConfig
from hw.memory.activation import read_latency
from hw.memory.tests.ports import ActivationReadPort
from hw.memory.word_reader import WordReader
from sim.harness.amaranth_sim import StreamSink, simulate, stream_source

META_BITS = 6
ZERO = 0
"""Address of a word that is all zero."""


def core(depth: int, bits: int = 8, banks: int = 4) -> CoreConfig:
    return CoreConfig(
        groups=1,
        lanes=1,
        post_lanes=1,
        activation_bits=bits,
        activation_banks=banks,
        activation_depth=8,
        fetch_depth=depth,
    )


def full_rate_depth(config: CoreConfig) -> int:
    """Words that must be under way to take one a cycle: a place is free a cycle, or two, after its word has left."""
    return read_latency(config) + 2 + config.large


def random_words(config: CoreConfig, rng: random.Random) -> list[list[int]]:
    """Contents of the memory: words from empty to full, word `ZERO` empty."""
    words = []
    for address in range(config.activation_words):
        density = 0 if address == ZERO else rng.choice([0, 0.1, 0.5, 1])
        words.append(
            [
                rng.randrange(1, 1 << config.activation_bits) if rng.random() < density else 0
                for _ in range(WORD_ELEMENTS)
            ]
        )
    return words


def request(address: int, *, read: bool = True, keep: bool = False, meta: int = 0) -> dict[str, int]:
    return {"address": address, "read": int(read), "keep": int(keep), "meta": meta}


def expected_words(requests: list[dict[str, int]], words: list[list[int]]) -> list[dict[str, Any]]:
    results = []
    for wanted in requests:
        data = words[wanted["address"]] if wanted["read"] else []
        occupied = sum(1 << i for i, element in enumerate(data) if element)
        if occupied or wanted["keep"]:
            results.append({"data": data if occupied else None, "map": occupied, "meta": wanted["meta"]})
    return results


def run(
    reader: WordReader,
    requests: list[dict[str, int]],
    words: list[list[int]],
    *,
    stalls: tuple[str, str, str] = ("none", "none", "none"),
    seed: int = 0,
    drain_cycles: int = 0,
) -> tuple[int, list[Any]]:
    """Cycles, and words without the data of empty ones; stalls of the requests, the memory and the words."""
    done = False
    sink = StreamSink(
        reader.words,
        count=len(expected_words(requests, words)),
        stalls=stalls[2],
        seed=seed,
        drain_cycles=drain_cycles,
    )

    async def take(ctx: Any) -> None:
        nonlocal done
        await sink(ctx)
        done = True

    memory = ActivationReadPort(
        reader.config,
        reader.request,
        reader.response,
        words,
        until=lambda: done,
        stalls=stalls[1],
        seed=seed,
    )
    source = stream_source(reader.requests, requests, stalls=stalls[0], seed=seed)
    cycles = simulate(reader, source, take, memory, deadline=20_000)
    return cycles, [beat | ({} if beat["map"] else {"data": None}) for beat in sink.beats]


@pytest.mark.parametrize(
    "stalls",
    [
        ("none", "none", "none"),
        ("random", "random", "random"),
        ("none", "bursty", "random"),
        ("none", "none", "slow"),
    ],
)
@pytest.mark.parametrize("depth, bits, banks", [(1, 8, 4), (2, 8, 1), (4, 8, 4), (4, 16, 2), (5, 8, 1)])
def test_words_come_in_order_without_unwanted_zeros(depth, bits, banks, stalls):
    seed = 10 * depth + bits
    rng = random.Random(seed)
    config = core(depth, bits, banks)
    words = random_words(config, rng)
    requests = [
        request(
            rng.randrange(config.activation_words),
            read=rng.random() < 0.8,
            keep=rng.random() < 0.3,
            meta=rng.getrandbits(META_BITS),
        )
        for _ in range(120)
    ]
    _, got = run(WordReader(config, META_BITS), requests, words, stalls=stalls, seed=seed, drain_cycles=16)
    assert got == expected_words(requests, words), f"seed {seed}"


@pytest.mark.parametrize("banks", [1, 2])
@pytest.mark.parametrize("read", [True, False])
def test_latency(read, banks):
    config = core(4, banks=banks)
    words = [[1] * WORD_ELEMENTS] * config.activation_words
    cycles, _ = run(WordReader(config, 1), [request(1, read=read, keep=True)], words)
    # The word is taken in the cycle in which it comes.
    assert cycles == read_latency(config) + 1 + 1


@pytest.mark.parametrize("banks", [1, 2])
@pytest.mark.parametrize("depth", range(1, 6))
def test_throughput_follows_the_depth(depth, banks):
    config = core(depth, banks=banks)
    words = [[1] * WORD_ELEMENTS] * config.activation_words
    rounds = 12
    cycles, _ = run(WordReader(config, 1), [request(1)] * rounds * depth, words)
    period = max(depth, full_rate_depth(config))
    assert cycles == (rounds - 1) * period + depth + read_latency(config) + 1


def test_the_default_depth_gives_a_word_a_cycle():
    assert CoreConfig().fetch_depth >= full_rate_depth(CoreConfig())


def test_zero_words_are_dropped_at_one_a_cycle():
    config = core(4)
    words = [[0] * WORD_ELEMENTS] * config.activation_words
    requests = [request(ZERO)] * 50 + [request(ZERO, keep=True, meta=1)]
    cycles, got = run(WordReader(config, 1), requests, words)
    assert got == [{"data": None, "map": 0, "meta": 1}]
    assert cycles == 51 + read_latency(config) + 1


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_no_more_words_are_asked_for_than_can_be_held(depth):
    config = core(depth)
    reader = WordReader(config, 1)
    words = [[1] * WORD_ELEMENTS] * config.activation_words
    asked = 0
    stop = False

    async def count(ctx: Any) -> None:
        """Nobody takes a word."""
        nonlocal asked, stop
        ctx.set(reader.requests.valid, 1)
        ctx.set(reader.requests.payload, {"address": 1, "read": 1})
        for _ in range(40):
            _, _, valid, ready = await ctx.tick().sample(reader.request.valid, reader.request.ready)
            asked += valid & ready
        stop = True

    memory = ActivationReadPort(
        config, reader.request, reader.response, words, until=lambda: stop, stalls="random", seed=depth
    )
    simulate(reader, count, memory)
    assert asked == depth


def test_dropped_words_pass_those_that_wait():
    """As long as one place is left, zero words need no room."""
    config = core(2)
    reader = WordReader(config, 1)
    words = [[int(address != ZERO)] * WORD_ELEMENTS for address in range(config.activation_words)]
    requests = [request(1), *[request(ZERO)] * 20]
    taken = False

    async def put(ctx: Any) -> None:
        nonlocal taken
        await stream_source(reader.requests, requests)(ctx)
        taken = True

    memory = ActivationReadPort(config, reader.request, reader.response, words, until=lambda: taken)
    simulate(reader, put, memory, deadline=200)
    assert taken
