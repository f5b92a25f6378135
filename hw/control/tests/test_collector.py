import random
from typing import Any

import pytest

from hw.config import WORD_ELEMENTS, CoreConfig
from hw.control.collector import ResultCollector
from sim.harness.amaranth_sim import Process, StreamSink, simulate, stream_source

ADDRESSES = 1 << CoreConfig().activation_address_bits


SETTLING = 2
"""Cycles by which the static ports come before the first result."""


def core(groups: int, lanes: int, post_lanes: int) -> CoreConfig:
    return CoreConfig(groups=groups, lanes=lanes, post_lanes=post_lanes, csc=WORD_ELEMENTS % lanes == 0)


class Pass:
    """A pass: how its maps lie in the groups, random results, and the beats that they must become.

    Attributes
    ----------
    results
        For each group, one a unit of its set, for each round. The groups of blocks beyond the last have some, too.
    """

    def __init__(
        self,
        config: CoreConfig,
        channel_groups: int,
        units: int,
        rng: random.Random,
        rounds: int = 1,
        **chosen: int,
    ) -> None:
        self.config, self.rounds = config, rounds
        self.width = channel_groups
        self.settings = {
            "split": config.splits.index((channel_groups, config.groups // channel_groups)),
            "blocks_last": rng.randrange((rounds - 1) * channel_groups, rounds * channel_groups),
            "final_beats_last": rng.randrange(config.post_beats),
            "parity": rng.getrandbits(1),
            "first_channel": rng.randrange(0, 1000, config.post_lanes),
            **chosen,
        }
        self._units = units
        tags = {
            head: [
                tag | {"block": number * channel_groups}
                for tag in [self._tag(rng) for _ in range(units)]
                for number in range(rounds)
            ]
            for head in self.heads
        }
        self.results: list[list[dict[str, Any]]] = [
            [{"accumulators": self._accumulators(rng), "tag": tag} for tag in tags[group - group % channel_groups]]
            for group in range(config.groups)
        ]

    @property
    def heads(self) -> range:
        return range(0, self.config.groups, self.width)

    @staticmethod
    def _tag(rng: random.Random) -> dict[str, int]:
        flags = {"pool_first": rng.getrandbits(1), "pool_last": rng.getrandbits(1)}
        return {"sequence": rng.randrange(16), "address": rng.randrange(ADDRESSES - 100), **flags}

    def _accumulators(self, rng: random.Random) -> list[int]:
        half = 1 << (self.config.accumulator_bits - 1)
        return [rng.choice([-half, half - 1, rng.randrange(-half, half)]) for _ in range(self.config.lanes)]

    @property
    def beats_of_set(self) -> int:
        """Beats of one unit."""
        return self.settings["blocks_last"] * self.config.post_beats + self.settings["final_beats_last"] + 1

    def beats(self, head: int, unit: int) -> list[dict[str, Any]]:
        """One unit's beats: block after block, the lowest lanes first."""
        lanes, beats = self.config.post_lanes, self.config.post_beats
        expected = []
        for number in range(self.beats_of_set):
            block, beat = divmod(number, beats)
            group, order = head + block % self.width, unit * self.rounds + block // self.width
            result, tag = self.results[group][order], self.results[head][order]["tag"]
            channel = self.settings["first_channel"] + number * lanes
            last = number == self.beats_of_set - 1
            expected.append(
                {
                    "accumulators": result["accumulators"][beat * lanes :][:lanes],
                    "parameters": (self.settings["parity"] * self.config.groups + block) * beats + beat,
                    "slot": group * beats + beat,
                    "pool_first": tag["pool_first"],
                    "pool_last": tag["pool_last"],
                    "destination": {
                        "address": tag["address"] + channel // WORD_ELEMENTS,
                        "slice": channel % WORD_ELEMENTS // lanes,
                        "complete": int(last and tag["pool_last"]),
                        "sequence": tag["sequence"],
                    },
                }
            )
        return expected

    def check(self, beats: list[dict[str, Any]], where: str) -> list[int]:
        """The sets come whole, one after another, each in its own order; returns whose turn it was, each time."""
        turns = []
        taken = dict.fromkeys(self.heads, 0)
        while beats:
            head = beats[0]["slot"] // self.config.post_beats
            unit, number = divmod(taken[head], self.rounds)
            of_round = self.width * self.config.post_beats
            expected = self.beats(head, unit)[number * of_round : (number + 1) * of_round]
            chunk, beats = beats[: len(expected)], beats[len(expected) :]
            assert chunk == expected, f"set {head}, unit {unit}, round {number}, {where}"
            taken[head] += 1
            turns.append(head)
        assert set(taken.values()) == {self._units * self.rounds}, where
        return turns

    def run(self, stalls: tuple[str, str], seed: int) -> tuple[int, list[int]]:
        """Collect everything; returns the cycles and the turns."""
        collector = ResultCollector(self.config)
        count = self._units * len(self.heads) * self.beats_of_set
        drain_cycles = 0 if stalls == ("none", "none") else 16
        sink = StreamSink(collector.beats, count=count, stalls=stalls[1], seed=seed, drain_cycles=drain_cycles)
        sources = [
            stream_source(port, results, stalls=stalls[0], seed=seed, after=SETTLING)
            for port, results in zip(collector.results, self.results, strict=True)
        ]
        cycles = simulate(collector, self.set_up(collector), *sources, sink, deadline=20_000) - SETTLING
        return cycles, self.check(sink.beats, f"seed {seed}, {self.settings}")

    def set_up(self, collector: ResultCollector) -> Process:
        async def process(ctx: Any) -> None:
            for name, value in self.settings.items():
                ctx.set(getattr(collector, name), value)

        return process


SPLITS = [
    (c, config) for config in (core(1, 4, 2), core(3, 1, 1), core(4, 4, 1), core(6, 6, 2)) for c, _ in config.splits
]


@pytest.mark.parametrize("stalls", [("none", "none"), ("random", "random"), ("none", "slow"), ("bursty", "none")])
@pytest.mark.parametrize("channel_groups, config", SPLITS, ids=lambda v: str(getattr(v, "groups", v)))
def test_random_results(channel_groups, config, stalls):
    seed = 100 * config.groups + channel_groups
    for rounds in {1, config.max_rounds // channel_groups} - {0}:
        one = Pass(config, channel_groups, 8, random.Random(seed), rounds)
        one.run(stalls, seed)


@pytest.mark.parametrize("channel_groups, blocks_last, final_beats_last", [(2, 0, 0), (3, 0, 1), (3, 2, 0), (3, 2, 3)])
def test_there_is_no_gap(channel_groups, blocks_last, final_beats_last):
    """All groups always have a result: a beat in every cycle but the first three, and the sets take turns."""
    chosen = {"blocks_last": blocks_last, "final_beats_last": final_beats_last}
    one = Pass(core(6, 8, 2), channel_groups, 10, random.Random(1), **chosen)
    cycles, turns = one.run(("none", "none"), 1)
    assert cycles == 3 + 10 * len(one.heads) * one.beats_of_set
    assert turns == [*one.heads] * 10


@pytest.mark.parametrize("config", [core(1, 4, 2), core(3, 4, 2)], ids=["one group", "three groups"])
def test_a_single_set_leaves_no_gap_either(config):
    one = Pass(config, config.groups, 10, random.Random(1), blocks_last=config.groups - 1, final_beats_last=1)
    cycles, _ = one.run(("none", "none"), 1)
    # Of the slicers' registers, where there are some.
    assert cycles == int(config.large) + 10 * one.beats_of_set


def test_after_a_single_set_any_other_is_served():
    config = core(2, 2, 2)
    together, alone = (
        Pass(config, width, 1, random.Random(width), blocks_last=width - 1, final_beats_last=0) for width in (2, 1)
    )
    collector = ResultCollector(config)
    sink = StreamSink(collector.beats, count=3)

    async def one_after_the_other(ctx: Any) -> None:
        await together.set_up(collector)(ctx)
        for group in range(2):
            await stream_source(collector.results[group], together.results[group], after=SETTLING)(ctx)
        await ctx.tick().repeat(10)
        await alone.set_up(collector)(ctx)
        await stream_source(collector.results[1], alone.results[1], after=SETTLING)(ctx)

    simulate(collector, one_after_the_other, sink, deadline=200)
    assert sink.beats == together.beats(0, 0) + alone.beats(1, 0)


def test_channels_follow_those_of_the_passes_before():
    """Passes of 12 maps: the second starts in the middle of a word and crosses into the next."""
    config = core(3, 4, 4)
    one = Pass(config, 3, 1, random.Random(2), first_channel=12, blocks_last=2, final_beats_last=0)
    one.run(("none", "none"), 2)
    base = one.results[0][0]["tag"]["address"]
    places = [(beat["destination"]["address"] - base, beat["destination"]["slice"]) for beat in one.beats(0, 0)]
    assert places == [(0, 3), (1, 0), (1, 1)]


def test_a_choice_is_kept_while_it_waits():
    """A result that comes while another waits for the post-processor does not take its place."""
    config = core(2, 2, 2)
    one = Pass(config, 1, 1, random.Random(3), blocks_last=0, final_beats_last=0)
    collector = ResultCollector(config)
    sink = StreamSink(collector.beats, count=2)

    async def later(ctx: Any) -> None:
        await ctx.tick().repeat(3)
        await stream_source(collector.results[0], one.results[0])(ctx)

    async def take_much_later(ctx: Any) -> None:
        await ctx.tick().repeat(6)
        await sink(ctx)

    first = stream_source(collector.results[1], one.results[1])
    simulate(collector, one.set_up(collector), first, later, take_much_later)
    assert sink.beats == one.beats(1, 0) + one.beats(0, 0)
