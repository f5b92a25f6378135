import random
from typing import Any

import pytest

from hw.config import WORD_ELEMENTS, CoreConfig
from hw.control.segment_collector import SegmentCollector
from hw.control.sparse_layout import map_beats
from hw.control.units import unit_window
from sim.harness.amaranth_sim import Process, StreamSink, simulate, stream_source

ALONE = {"nullhop": False, "csc": False, "rsnn": True}


def core(groups: int, lanes: int, post_lanes: int, slots: int) -> CoreConfig:
    return CoreConfig(groups=groups, lanes=lanes, post_lanes=post_lanes, accumulators=slots, **ALONE)


class Pass:
    """A pass of some lines of pixels: random results for each segment, dealt to groups and slots at random."""

    def __init__(self, config: CoreConfig, seed: int, *, pixels: int, line: int, lines: int, slots: int) -> None:
        self.config, self.seed = config, seed
        self.rng = rng = random.Random(seed)
        self.maps = rng.randrange(1, config.groups * slots + 1)
        self.slots = slots
        self.lengths = [min(pixels, line - start) for _ in range(lines) for start in range(0, line, pixels)]
        beats = -(-pixels // config.post_lanes)
        self.base, self.pixel_words = rng.randrange(100), rng.randrange(1, 4)
        self.layer = {
            "sparse": {
                "pixels_last": pixels - 1,
                "line_last": line - 1,
                "lines_last": lines - 1,
                "slices_last": config.groups * slots * beats - 1,
                "slice_beats_last": beats - 1,
            },
            "output": {"base": self.base, "pixel_words": self.pixel_words},
        }
        self.first_channel = rng.randrange(0, 500, config.post_lanes)
        self.parity = rng.getrandbits(1)
        places = list(range(config.groups * slots))
        rng.shuffle(places)
        self.values = [
            [[self._value() for _ in range(config.lanes)] for _ in range(config.groups * slots)] for _ in self.lengths
        ]
        """By segment, map and lane."""
        self.results: list[list[dict[str, Any]]] = [[] for _ in range(config.groups)]
        for segment, by_map in enumerate(self.values):
            for group, results in enumerate(self.results):
                for number in places[group * slots : (group + 1) * slots]:
                    tag = {"map": number, "segment": segment % 4}
                    results.append({"accumulators": by_map[number], "tag": tag})

    def _value(self) -> int:
        half = 1 << (self.config.accumulator_bits - 1)
        return self.rng.choice([-half, half - 1, self.rng.randrange(-half, half)])

    def beats(self) -> list[dict[str, Any]]:
        """What comes out: segment by segment, pixel by pixel, the maps in order."""
        config, expected, unit = self.config, [], 0
        lanes, beats = config.post_lanes, -(-self.maps // config.post_lanes)
        for by_map, length in zip(self.values, self.lengths, strict=True):
            for pixel in range(length):
                for beat in range(beats):
                    channel = self.first_channel + beat * lanes
                    expected.append(
                        {
                            "parameters": self.parity * config.groups * config.post_beats + beat,
                            "accumulators": [
                                by_map[number][pixel] if number < self.maps else None
                                for number in range(beat * lanes, (beat + 1) * lanes)
                            ],
                            "destination": {
                                "address": self.base + unit * self.pixel_words + channel // WORD_ELEMENTS,
                                "slice": channel % WORD_ELEMENTS // lanes,
                                "complete": int(beat == beats - 1),
                                "sequence": unit % unit_window(config),
                            },
                        }
                    )
                unit += 1
        return expected

    def run(self, stalls: tuple[str, str]) -> int:
        """Collect everything; returns the cycles."""
        collector, expected = SegmentCollector(self.config), self.beats()
        sink = StreamSink(collector.beats, count=len(expected), stalls=stalls[1], seed=self.seed)
        sources = [
            self._after_start(stream_source(port, results, stalls=stalls[0], seed=self.seed))
            for port, results in zip(collector.results, self.results, strict=True)
        ]
        cycles = simulate(collector, self._drive(collector, len(self.lengths)), *sources, sink, deadline=20_000)
        for beat, wanted in zip(sink.beats, expected, strict=True):
            # Lanes beyond the last map have what was there before.
            pairs = zip(beat["accumulators"], wanted.pop("accumulators"), strict=True)
            assert all(value in (got, None) for got, value in pairs), f"seed {self.seed}"
            assert {name: beat[name] for name in wanted} == wanted, f"seed {self.seed}"
            assert beat["pool_first"] and beat["pool_last"]
        return cycles

    @staticmethod
    def _after_start(source: Process) -> Process:
        async def process(ctx: Any) -> None:
            await ctx.tick().repeat(2)
            await source(ctx)

        return process

    def _drive(self, collector: SegmentCollector, segments: int) -> Process:
        async def process(ctx: Any) -> None:
            ctx.set(collector.layer, self.layer)
            ctx.set(collector.map_beats_last, -(-self.maps // self.config.post_lanes) - 1)
            ctx.set(collector.parity, self.parity)
            ctx.set(collector.first_channel, self.first_channel)
            ctx.set(collector.start, 1)
            await ctx.tick()
            ctx.set(collector.start, 0)
            sequence, issued = 0, []
            while ctx.get(collector.busy):
                ctx.set(collector.can_issue_run, self.rng.random() < 0.7)
                ctx.set(collector.sequence, sequence % unit_window(self.config))
                _, _, issue = await ctx.tick().sample(collector.issue)
                if issue:
                    issued.append(issue)
                    sequence += issue
            assert issued == self.lengths, f"seed {self.seed}"

        return process


CASES = [
    (core(1, 1, 1, 1), {"pixels": 1, "line": 3, "lines": 2, "slots": 1}),
    (core(2, 4, 2, 3), {"pixels": 4, "line": 9, "lines": 3, "slots": 3}),
    (core(3, 6, 8, 2), {"pixels": 6, "line": 7, "lines": 2, "slots": 2}),
    (core(2, 14, 16, 4), {"pixels": 12, "line": 40, "lines": 1, "slots": 3}),
    (core(4, 8, 4, 2), {"pixels": 3, "line": 3, "lines": 5, "slots": 1}),
]


@pytest.mark.parametrize("stalls", [("none", "none"), ("random", "random"), ("none", "slow"), ("bursty", "none")])
@pytest.mark.parametrize("config, sizes", CASES, ids=lambda value: str(getattr(value, "groups", "")))
def test_random_segments(config, sizes, stalls):
    for seed in range(3):
        Pass(config, seed, **sizes).run(stalls)


def test_a_segment_is_taken_while_the_one_before_is_given():
    """As many slices as beats: they only wait for the first segment's slices and the last one's beats."""
    config = core(4, 4, 4, 2)
    one = Pass(config, 5, pixels=4, line=40, lines=1, slots=2)
    one.maps = 8
    assert map_beats(config) == 2
    segment = 4 * 2
    assert one.run(("none", "none")) <= (10 + 1) * (segment + 2) + 40


SHARING = [core(2, 14, 16, 1), core(3, 16, 4, 2), core(4, 18, 2, 1)]


@pytest.mark.parametrize("config", SHARING, ids=lambda config: str(config.lanes))
def test_lanes_that_are_maps_of_one_pixel(config):
    """Each group has `lanes` neighbouring maps; they come out in order, the last beat with what there is."""
    for seed in range(3):
        one = Pass(config, seed, pixels=1, line=1, lines=1, slots=1)
        one.maps = one.rng.randrange(1, config.groups * config.lanes + 1)
        one.layer["sparse"] |= {
            "shared": 1,
            "slices_last": config.groups * config.post_beats - 1,
            "slice_beats_last": config.post_beats - 1,
        }
        blocks = list(range(config.groups))
        one.rng.shuffle(blocks)
        sums = [one._value() for _ in range(config.groups * config.lanes)]
        one.values = [[[value] for value in sums]]
        one.results = [
            [{"accumulators": sums[block * config.lanes :][: config.lanes], "tag": {"map": block, "segment": 0}}]
            for block in blocks
        ]
        one.run(("random", "random"))
