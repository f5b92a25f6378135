import random
from typing import Any

import pytest

from hw.config import WORD_ELEMENTS, CoreConfig
from hw.dataflow.nullhop.map_decoder import MapDecoder
from sim.harness.amaranth_sim import StreamSink, simulate, stream_get, stream_source

FULL = (1 << WORD_ELEMENTS) - 1


def core(bits: int = 8) -> CoreConfig:
    return CoreConfig(groups=1, lanes=1, post_lanes=1, activation_bits=bits)


def word(elements: list[int], *, weights: int = 0, last: bool = False, sequence: int = 0) -> dict[str, Any]:
    elements = elements + [0] * (WORD_ELEMENTS - len(elements))
    occupied = sum(1 << i for i, element in enumerate(elements) if element)
    tag = {
        "sequence": sequence % 16,
        "address": sequence,
        "pool_first": sequence % 2,
        "pool_last": sequence % 3 == 0,
        "block": 0,
    }
    return {"data": elements, "map": occupied, "meta": {"weights": weights, "last": int(last), "tag": tag}}


def signed_value(stored: int, threshold: int, bits: int) -> int:
    """What a stored activation stands for: q - zero point, where q is an int of `bits` bits."""
    half = 1 << (bits - 1)
    zero_point = half - 1 - threshold
    quantised = (stored + zero_point + half) % (2 * half) - half
    return quantised - zero_point


def operations_of(words: list[dict[str, Any]], config: CoreConfig, threshold: int) -> list[dict[str, Any]]:
    operations = []
    first = 1
    for item in words:
        meta = item["meta"]
        occupied = [i for i, element in enumerate(item["data"]) if element]
        places: list[int | None] = [*occupied] or [None]
        for place in places:
            null = place is None
            last = int(meta["last"] and place == places[-1])
            operations.append(
                {
                    "activation": 0 if null else signed_value(item["data"][place], threshold, config.activation_bits),
                    "weights": (meta["weights"] + (place or 0)) % config.weight_depth,
                    "null": int(null),
                    "first": first,
                    "last": last,
                    "tag": meta["tag"],
                }
            )
            first = last
    return operations


def random_words(count: int, bits: int, rng: random.Random) -> list[dict[str, Any]]:
    """Words from empty to full; an empty one only where it closes a result."""
    words = []
    for number in range(count):
        density = rng.choice([0, 0.1, 0.5, 1])
        elements = [rng.randrange(1, 1 << bits) if rng.random() < density else 0 for _ in range(WORD_ELEMENTS)]
        last = not any(elements) or rng.random() < 0.4
        words.append(word(elements, weights=rng.randrange(1024), last=last, sequence=number))
    return words


def decode(
    config: CoreConfig,
    words: list[dict[str, Any]],
    threshold: int,
    *,
    stalls: tuple[str, str] = ("none", "none"),
    seed: int = 0,
) -> tuple[int, list[dict[str, Any]]]:
    decoder = MapDecoder(config)
    count = len(operations_of(words, config, threshold))
    drain_cycles = 0 if stalls == ("none", "none") else 16
    sink = StreamSink(decoder.operations, count=count, stalls=stalls[1], seed=seed, drain_cycles=drain_cycles)

    async def set_up(ctx: Any) -> None:
        ctx.set(decoder.threshold, threshold)

    source = stream_source(decoder.words, words, stalls=stalls[0], seed=seed)
    return simulate(decoder, set_up, source, sink), sink.beats


@pytest.mark.parametrize("stalls", [("none", "none"), ("random", "random"), ("bursty", "none"), ("none", "slow")])
@pytest.mark.parametrize("bits", [8, 16])
def test_random_words(bits, stalls):
    seed = bits
    rng = random.Random(seed)
    config, threshold = core(bits), rng.getrandbits(bits)
    words = random_words(50, bits, rng)
    expected = operations_of(words, config, threshold)
    cycles, got = decode(config, words, threshold, stalls=stalls, seed=seed)
    assert got == expected, f"seed {seed}"
    if stalls == ("none", "none"):
        # An operation a cycle, without a gap, after a latency of 1.
        assert cycles == len(expected)


@pytest.mark.parametrize(
    "elements, cycles", [([], 1), ([7], 1), ([0] * 15 + [7], 1), ([1] * 16, 16), ([0, 3, 0, 5], 2)]
)
def test_cycles_of_a_word(elements, cycles):
    count = 10
    words = [word(elements, last=True, sequence=n) for n in range(count)]
    assert decode(core(), words, 127)[0] == count * cycles


@pytest.mark.parametrize("bits", [8, 16])
def test_every_zero_point(bits):
    """Each threshold with the stored values next to it and at both ends."""
    config = core(bits)
    largest = (1 << bits) - 1
    rng = random.Random(bits)
    thresholds = range(256) if bits == 8 else [0, 1, largest - 1, largest, *(rng.getrandbits(bits) for _ in range(60))]
    decoder = MapDecoder(config)

    async def bench(ctx: Any) -> None:
        for threshold in thresholds:
            ctx.set(decoder.threshold, threshold)
            near = {1, 2, threshold - 1, threshold, threshold + 1, largest - 1, largest}
            elements = [value for value in sorted(near) if 0 < value <= largest]
            ctx.set(decoder.words.payload, word(elements, last=True))
            ctx.set(decoder.words.valid, 1)
            values = [(await stream_get(ctx, decoder.operations))["activation"] for _ in elements]
            ctx.set(decoder.words.valid, 0)
            assert values == [signed_value(element, threshold, bits) for element in elements], threshold

    simulate(decoder, bench)


def test_weights_follow_the_elements_around_the_end_of_the_ring():
    config = core()
    words = [word([1] * 16, weights=config.weight_depth - 3, last=True)]
    _, operations = decode(config, words, 127)
    assert [op["weights"] for op in operations][:5] == [1021, 1022, 1023, 0, 1]
