"""The program memory and the weight fetcher: together, since the one takes the port away from the other."""

import random
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from hw.bus.host_bus import BusError
from hw.config import AcceleratorConfig
from hw.machine.program_memory import ProgramMemory, ProgramRead
from hw.machine.tests.bus import ask_target
from hw.machine.tests.configs import random_words, small_config
from hw.machine.weight_fetcher import WeightFetcher, WeightJob
from hw.memory.weights import weight_beat
from sim.harness.amaranth_sim import StreamSink, simulate, stream_source
from sim.harness.payload import pack


class Fetching(wiring.Component):
    """A weight fetcher at its memory, with the urgent port outside."""

    def __init__(self, config: AcceleratorConfig, words: list[int]) -> None:
        self.memory, self.fetcher = ProgramMemory(config, words), WeightFetcher(config)
        super().__init__(
            {
                "urgent": In(ProgramRead(config)),
                "jobs": In(stream.Signature(WeightJob(config))),
                "words": Out(stream.Signature(weight_beat(config.core))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory, m.submodules.fetcher = memory, fetcher = self.memory, self.fetcher
        connect(m, flipped(self.urgent), memory.urgent)
        connect(m, fetcher.read, memory.weights)
        connect(m, producer=flipped(self.jobs), consumer=fetcher.jobs)
        connect(m, producer=fetcher.words, consumer=flipped(self.words))
        m.d.comb += fetcher.lost.eq(memory.weights_lost)
        return m


class UrgentReads:
    """A process: reads at the urgent port with some probability in each cycle, and compares."""

    def __init__(self, port: Any, words: list[int], probability: float, seed: int) -> None:
        self._port, self._words, self._probability = port, words, probability
        self._rng, self._seed = random.Random(seed), seed

    async def __call__(self, ctx: Any) -> None:
        expected = None
        for _ in range(600):
            address, enable = self._rng.randrange(len(self._words)), self._rng.random() < self._probability
            ctx.set(self._port.address, address)
            ctx.set(self._port.enable, enable)
            _, _, data = await ctx.tick().sample(self._port.data)
            assert expected is None or data == expected, f"seed {self._seed}"
            expected = self._words[address] if enable else None


def job_lengths(rng: random.Random, depth: int) -> list[tuple[int, int]]:
    """Places (start, words): some, none, all, and the end of the memory."""
    jobs = [(0, depth), (0, 0), (depth - 1, 1), (3, 0)]
    for _ in range(12):
        start = rng.randrange(depth)
        jobs.append((start, rng.randint(0, min(9, depth - start))))
    rng.shuffle(jobs)
    return jobs


@pytest.mark.parametrize("stalls", ["none", "random", "bursty"])
@pytest.mark.parametrize("probability", [0, 0.1, 0.7])
@pytest.mark.parametrize("seed", range(3))
def test_every_word_comes_once_and_in_order(stalls, probability, seed):
    rng = random.Random(seed)
    config = small_config(program_depth=24)
    words = random_words(rng, config, 24)
    jobs = job_lengths(rng, len(words))
    expected = [word for start, count in jobs for word in words[start : start + count]]
    bench = Fetching(config, words)
    sink = StreamSink(bench.words, count=len(expected), stalls=stalls, seed=seed)
    simulate(
        bench,
        stream_source(bench.jobs, [{"start": start, "words": count} for start, count in jobs]),
        UrgentReads(bench.urgent, words, probability, seed),
        sink,
    )
    assert [pack(weight_beat(config.core), word) for word in sink.beats] == expected, f"seed {seed}"


def test_a_word_a_cycle_from_the_third_cycle_on():
    config = small_config(program_depth=24)
    bench = Fetching(config, random_words(random.Random(1), config, 24))
    valid: list[int] = []

    async def watch(ctx: Any) -> None:
        ctx.set(bench.words.ready, 1)
        ctx.set(bench.jobs.payload, {"start": 0, "words": 24})
        for cycle in range(3 + 24):
            ctx.set(bench.jobs.valid, cycle == 0)
            _, _, sample = await ctx.tick().sample(bench.words.valid)
            valid.append(sample)

    simulate(bench, watch)
    assert valid == [0] * 3 + [1] * 24


@pytest.mark.parametrize("lanes", [4, 16])
def test_the_bus_writes_parts_of_words(lanes):
    config = small_config(lanes, program_depth=24)
    memory = ProgramMemory(config)
    parts = lanes // 4
    rng = random.Random(lanes)
    values = [rng.getrandbits(32) for _ in range(24 * parts)]

    async def bench(ctx: Any) -> None:
        offsets = list(range(len(values)))
        rng.shuffle(offsets)
        for offset in offsets:
            assert await ask_target(ctx, memory.bus, offset, values[offset]) == (0, BusError.OK, 1)
        for word in range(24):
            ctx.set(memory.urgent.address, word)
            ctx.set(memory.urgent.enable, 1)
            await ctx.tick()
            expected = sum(values[parts * word + part] << 32 * part for part in range(parts))
            assert ctx.get(memory.urgent.data) == expected

    simulate(memory, bench)


def test_what_the_bus_must_not_do_changes_nothing():
    config = small_config(program_depth=24)
    memory = ProgramMemory(config, [7] * 24)

    async def bench(ctx: Any) -> None:
        written = 0
        for offset, data, locked, error in (
            (24, 1, 0, BusError.ADDRESS),
            (2**18 - 1, 1, 0, BusError.ADDRESS),
            (0, None, 0, BusError.DIRECTION),
            (0, 1, 1, BusError.STATE),
        ):
            ctx.set(memory.locked, locked)
            response = await ask_target(ctx, memory.bus, offset, data)
            assert response is not None and response[1] == error
            written += ctx.get(memory.written)
        assert not written
        ctx.set(memory.urgent.enable, 1)
        await ctx.tick()
        assert ctx.get(memory.urgent.data) == 7

    simulate(memory, bench)
