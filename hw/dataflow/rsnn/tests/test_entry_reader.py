import random
from typing import Any

import pytest

from hw.config import CoreConfig
from hw.dataflow.rsnn.entry_reader import EntryReader
from hw.dataflow.rsnn.layouts import (
    GroupHeader,
    WeightEntry,
    entries_per_word,
    header_words,
    word_bits,
    words_per_entry,
)
from hw.memory.tests.ports import WeightReadPort
from sim.harness.amaranth_sim import simulate
from sim.harness.payload import pack, unpack


def core(lanes: int, **changes: Any) -> CoreConfig:
    fields = {"groups": 2, "weight_depth": 64, "accumulators": 2, "post_lanes": 1, **changes}
    return CoreConfig(lanes=lanes, nullhop=False, csc=False, rsnn=True, **fields)


CASES = {
    "two words an entry": (core(1, accumulators=1), False),
    "an entry a word": (core(2), False),
    "several entries a word": (core(8), False),
    "with weights of their own": (core(16), True),
}


class Group:
    """A header, entries, and the words that hold them, from a random place of the ring on."""

    def __init__(self, config: CoreConfig, shared: bool, count: int, seed: int) -> None:
        self.config, self.shared = config, shared
        rng = random.Random(seed)
        layout = WeightEntry(config)
        self.entries = [
            {
                "value": rng.randrange(-128, 128),
                "delta": rng.randrange(1 << config.delta_bits),
                "rotate": rng.randrange(config.window_banks),
                "end": rng.getrandbits(1),
            }
            for _ in range(count)
        ]
        self.weights = [rng.getrandbits(word_bits(config)) for _ in range(count)]
        per_word, body = entries_per_word(config), []
        for at in range(0, count, per_word or 1):
            chunk = self.entries[at : at + (per_word or 1)]
            bits = sum(pack(layout, entry) << number * layout.size for number, entry in enumerate(chunk))
            body += [
                bits >> word_bits(config) * n & (1 << word_bits(config)) - 1 for n in range(words_per_entry(config))
            ]
            if shared:
                body += self.weights[at : at + per_word]
        self.header = {"words_last": len(body) - 1, "maps": [rng.randrange(2) for _ in range(config.accumulators)]}
        front = pack(GroupHeader(config), self.header)
        words = [front >> word_bits(config) * n & (1 << word_bits(config)) - 1 for n in range(header_words(config))]
        self.base = rng.randrange(config.weight_depth)
        self.memory = [[rng.randrange(-128, 128) for _ in range(config.lanes)] for _ in range(config.weight_depth)]
        for number, bits in enumerate(words + body):
            at = (self.base + number) % config.weight_depth
            lanes = [bits >> 8 * lane & 255 for lane in range(config.lanes)]
            self.memory[at] = [byte - 256 * (byte > 127) for byte in lanes]

    def read(self, segments: int, willing: float, seed: int) -> int:
        """Take the entries of so many segments; returns the cycles from the first to the last."""
        reader = EntryReader(self.config)
        over, cycles, rng = False, 0, random.Random(seed)

        async def drive(ctx: Any) -> None:
            nonlocal over, cycles
            ctx.set(reader.weights_base, self.base)
            ctx.set(reader.shared, self.shared)
            ctx.set(reader.start, 1)
            await ctx.tick()
            ctx.set(reader.start, 0)
            for number in range(segments * len(self.entries)):
                place = number % len(self.entries)
                ctx.set(reader.rewind, place == len(self.entries) - 1)
                taken = False
                while not taken:
                    ctx.set(reader.entries.ready, rng.random() < willing)
                    cycles += number > 0
                    values = (reader.entries.valid, reader.entries.ready, reader.entries.payload.as_value())
                    _, _, valid, ready, bits, own, header = await ctx.tick().sample(
                        *values, reader.lane_weights.as_value(), reader.header.as_value()
                    )
                    taken = valid and ready
                assert unpack(WeightEntry(self.config), bits) == self.entries[place], (seed, number)
                assert unpack(GroupHeader(self.config), header) == self.header, (seed, number)
                assert not self.shared or own == self.weights[place], (seed, number)
            over = True

        port = WeightReadPort(reader.weights, self.memory, until=lambda: over)
        simulate(reader, drive, port, deadline=5_000)
        return cycles


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("count", [1, 2, 7])
def test_entries_come_again_for_each_segment(name, count):
    config, shared = CASES[name]
    for seed in range(3):
        Group(config, shared, count, seed).read(4, random.Random(seed).choice([0.4, 1]), seed)


def test_an_entry_a_cycle():
    config, _ = CASES["several entries a word"]
    assert Group(config, False, 11, 1).read(3, 1, 1) == 3 * 11 - 1
    config, _ = CASES["with weights of their own"]
    per_word = entries_per_word(config)
    # A cycle more for each word of entries.
    assert Group(config, True, 2 * per_word, 1).read(3, 1, 1) == 3 * (2 * per_word + 2) - 2
