import random
from itertools import pairwise
from typing import Any

import pytest

from hw.config import AcceleratorConfig
from hw.control.descriptor import LayerDescriptor, Operation
from hw.machine.entry_check import EntryCheck
from hw.machine.entry_fetcher import EntryFetcher
from hw.machine.program import entry_words
from hw.machine.registers import RunError
from hw.machine.tests.configs import entry, image, small_config
from sim.harness.amaranth_sim import StreamSink, simulate
from sim.harness.payload import pack, unpack


class Bench:
    """An entry fetcher, its memory as a process, and what it hands out."""

    def __init__(
        self, config: AcceleratorConfig, entries: list[dict], first: int, last: int, program_words: int | None = None
    ) -> None:
        self.config = config
        self.fetcher = EntryFetcher(config)
        self.words = image(config, entries, []).words(config)
        self.reads: list[int] = []
        self._run = first, last, len(self.words) if program_words is None else program_words
        self.state: tuple[int, int, Any] = (0, 0, RunError.NONE)
        self.over = False

    async def memory(self, ctx: Any) -> None:
        fetcher = self.fetcher
        for register, value in zip((fetcher.first, fetcher.last, fetcher.program_words), self._run, strict=True):
            ctx.set(register, value)
        while not self.over:
            _, _, address, enable = await ctx.tick().sample(fetcher.read.address, fetcher.read.enable)
            if enable:
                self.reads.append(address)
                ctx.set(fetcher.read.data, self.words[address])
            error = RunError(ctx.get(fetcher.error))
            self.state = ctx.get(fetcher.finished), ctx.get(fetcher.entry), error
            self.over = bool(self.state[0]) or error != RunError.NONE

    def run(self, layers: int, inputs: int, *, stalls: str = "none", seed: int = 0) -> tuple[list, list, list]:
        """What came out of `layers`, `weights` and `inputs`."""
        fetcher = self.fetcher
        sinks = [
            StreamSink(port, count=count, stalls=stalls, seed=seed)
            for port, count in ((fetcher.layers, layers), (fetcher.weights, layers), (fetcher.inputs, inputs))
        ]
        simulate(fetcher, self.memory, *sinks)
        shape = LayerDescriptor(self.config.core)
        return [pack(shape, layer) for layer in sinks[0].beats], sinks[1].beats, sinks[2].beats


def random_entries(rng: random.Random, count: int) -> list[dict]:
    entries = []
    for _ in range(count):
        operation = rng.choice(list(Operation.__members__.values()))
        load = operation == Operation.LOAD
        entries.append(
            entry(
                operation,
                weights=(rng.randrange(8), rng.randrange(8)),
                packet_beats=rng.randint(1, 5) if load else 0,
                input={"rows_last": rng.randrange(16), "base": rng.randrange(8)},
                output={"rows_last": rng.randrange(16), "base": rng.randrange(8)},
                split=rng.randrange(2),
            )
        )
    return entries


@pytest.mark.parametrize("lanes", [4, 16, 128])
@pytest.mark.parametrize("stalls", ["none", "bursty"])
@pytest.mark.parametrize("seed", range(3))
def test_entries_of_a_run_come_in_order(lanes, stalls, seed):
    rng = random.Random(seed)
    config = small_config(lanes, program_depth=512)
    entries = random_entries(rng, 6)
    first = rng.randrange(6)
    last = rng.randrange(first, 6)
    chosen = entries[first : last + 1]
    loads = [fields for fields in chosen if fields["layer"]["operation"] == Operation.LOAD]
    bench = Bench(config, entries, first, last, config.program_depth)
    layers, weights, inputs = bench.run(len(chosen), len(loads), stalls=stalls, seed=seed)

    size = entry_words(config.core, config.program_depth)
    where = f"lanes {lanes}, seed {seed}"
    assert layers == [pack(LayerDescriptor(config.core), fields["layer"]) for fields in chosen], where
    assert weights == [{"start": f["weights_start"], "words": f["weights_words"]} for f in chosen], where
    assert inputs == [
        {"packet_beats": f["packet_beats"], "rows_last": f["layer"]["input"]["rows_last"]} for f in loads
    ], where
    assert bench.reads == list(range(first * size, (last + 1) * size)), where
    assert bench.state == (1, last, RunError.NONE), where


def test_an_entry_is_handed_out_some_cycles_after_the_one_before_is_taken():
    config = small_config(16)
    bench = Bench(config, [entry(Operation.STORE)] * 3, 0, 2)
    fetcher = bench.fetcher
    starts: list[int] = []

    async def watch(ctx: Any) -> None:
        for port in (fetcher.layers, fetcher.weights):
            ctx.set(port.ready, 1)
        cycle = 0
        while not bench.over:
            _, _, valid = await ctx.tick().sample(fetcher.layers.valid)
            if valid:
                starts.append(cycle)
            cycle += 1

    simulate(fetcher, bench.memory, watch)
    period = entry_words(config.core, config.program_depth) + EntryCheck.latency + 4
    assert [later - earlier for earlier, later in pairwise(starts)] == [period] * 2


def test_a_bad_entry_is_not_handed_out_nor_any_after_it():
    config = small_config()
    entries = [entry(Operation.STORE) for _ in range(4)]
    entries[2]["mark"] = 0
    bench = Bench(config, entries, 0, 3)
    layers, weights, _ = bench.run(2, 0)
    assert len(layers) == len(weights) == 2
    assert bench.state == (0, 2, RunError.BAD_ENTRY)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("first", [0, 1, 2])
def test_entries_beyond_the_program_are_not_read(first, whole):
    """Be it the first entry of the run, which is sought, or a later one."""
    config = small_config()
    entries = [entry(Operation.STORE) for _ in range(3)]
    size = entry_words(config.core, config.program_depth)
    words = 2 * size if whole else 3 * size - 1
    bench = Bench(config, entries, first, 2, words)
    layers, _, _ = bench.run(2 - first, 0)
    assert len(layers) == 2 - first
    assert bench.state == (0, 2, RunError.RANGE)
    assert all(address < words for address in bench.reads)


def test_a_first_entry_far_beyond_the_program_is_not_read():
    config = small_config(program_depth=32, max_entries=100)
    bench = Bench(config, [entry(Operation.STORE)], 99, 99, 8)
    bench.run(0, 0)
    assert bench.state == (0, 99, RunError.RANGE)
    assert not bench.reads


def test_an_entry_unpacks_as_it_was_packed():
    config = small_config()
    fields = random_entries(random.Random(1), 1)[0]
    layers, _, _ = Bench(config, [fields], 0, 0).run(1, fields["layer"]["operation"] == Operation.LOAD)
    layer = unpack(LayerDescriptor(config.core), layers[0])
    assert layer["operation"] == fields["layer"]["operation"]
    assert layer["split"] == fields["layer"]["split"]
