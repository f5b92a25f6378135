import random
from collections import Counter, defaultdict, deque
from typing import Any

import pytest
from amaranth.hdl import Value

from compiler.csc_walk import edge_walk
from hw.config import WORD_ELEMENTS
from hw.control.units import unit_window
from hw.dataflow.csc.front_end import CscFrontEnd
from hw.dataflow.csc.tests.cases import EDGES, SMALL, Case, Step, cases, depthwise, random_case
from hw.memory.tests.ports import ActivationReadPort, WeightReadPort
from sim.harness.amaranth_sim import simulate
from sim.harness.payload import unpack


class Bench:
    """A front end with all that is around it - memories, retirement and array - for all passes of a layer.

    Parameters
    ----------
    willing
        Probability, in each cycle, that a group takes operands, and that the retirement has room.
    stalls
        Of the activation memory.

    Attributes
    ----------
    cycles
        Of the last pass, from its start to its last operands.
    """

    def __init__(self, case: Case, willing: float, seed: int, stalls: str = "random") -> None:
        self.case, self.seed, self._willing, self._stalls = case, seed, willing, stalls
        self._rng = rng = random.Random(seed)
        config = case.config
        bits, half = config.activation_bits, 1 << (config.weight_bits - 1)
        self.words = [[rng.randrange(1 << bits) for _ in range(WORD_ELEMENTS)] for _ in range(config.activation_words)]
        self.weights = [
            [[rng.randrange(-half, half) for _ in range(config.lanes)] for _ in range(config.weight_depth)]
            for _ in range(config.groups)
        ]
        self.base = rng.randrange(config.weight_depth)
        self.read: Counter[int] = Counter()
        self.cycles = 0

    def run(self) -> None:
        config = self.case.config
        self._front_end = front_end = CscFrontEnd(config)
        self._over = False
        readers = [
            ActivationReadPort(
                config, *ports, self.words, until=lambda: self._over, stalls=self._stalls, seed=self.seed + number
            )
            for number, ports in enumerate(zip(front_end.requests, front_end.responses, strict=True))
        ]
        weights = [
            WeightReadPort(port, words, until=lambda: self._over)
            for port, words in zip(front_end.weights, self.weights, strict=True)
        ]
        simulate(front_end, self._drive, *readers, *weights, deadline=50_000)

    async def _drive(self, ctx: Any) -> None:
        front_end, case = self._front_end, self.case
        ctx.set(front_end.layer, case.fields)
        self._sequence = 0
        for index in range(case.mapping.passes):
            blocks = case.mapping.blocks_of_pass(index, case.conv.maps, case.config.lanes)
            ctx.set(front_end.weights_base, self.base)
            ctx.set(front_end.first_channel, index * case.fields["output"]["pass_channels"])
            ctx.set(front_end.blocks_last, blocks - 1)
            await ctx.tick().repeat(2)
            ctx.set(front_end.start, 1)
            await ctx.tick()
            ctx.set(front_end.start, 0)
            await self._pass(ctx, index, blocks)
            self.base = (self.base + case.fields["weights"]["pass_words"]) % case.config.weight_depth
        self._over = True

    async def _pass(self, ctx: Any, index: int, blocks: int) -> None:
        """Take operands until each block of each output is done, and a while longer; then check them."""
        taken: list[list[dict[str, Any]]] = [[] for _ in range(self.case.config.groups)]
        first = self._sequence
        left, self.cycles = blocks * len(self.case.units()), 0
        while left:
            left -= await self._cycle(ctx, taken)
            self.cycles += 1
        for _ in range(20):
            assert not await self._cycle(ctx, taken), f"more than there is, seed {self.seed}"
        assert not ctx.get(self._front_end.busy)
        self._check(taken, first, index, blocks)

    async def _cycle(self, ctx: Any, taken: list[list[dict[str, Any]]]) -> int:
        front_end, rng = self._front_end, self._rng
        ready = [rng.random() < self._willing for _ in taken]
        for port, value in zip(front_end.operands, ready, strict=True):
            ctx.set(port.ready, value)
        ctx.set(front_end.can_issue_run, rng.random() < self._willing)
        ctx.set(front_end.sequence, self._sequence % unit_window(self.case.config))
        _, _, issue, issued, *signals = await ctx.tick().sample(
            front_end.issue,
            front_end.issued,
            *(port.valid for port in front_end.operands),
            *(Value.cast(port.payload) for port in front_end.operands),
        )
        self._sequence += issue
        valid, payloads = signals[: len(taken)], signals[len(taken) :]
        finished = 0
        for group, port in enumerate(front_end.operands):
            counted = 0
            if valid[group] and ready[group]:
                taken[group].append(unpack(port.payload.shape(), payloads[group]))
                finished += taken[group][-1]["last"]
                # Of two operations for one edge the second, which has the last lane.
                counted = taken[group][-1]["mask"] >> (self.case.config.lanes - 1)
            assert issued >> group & 1 == counted
        return finished

    def _check(self, taken: list[list[dict[str, Any]]], first: int, index: int, blocks: int) -> None:
        """Every output was computed once in each block, by one set, whole, in order, of the right operands."""
        case, where = self.case, f"pass {index}, seed {self.seed}, {self.case}"
        units = case.units()
        assert self._sequence - first == len(units), where
        width, window = case.mapping.channel_groups, unit_window(case.config)
        by_position: dict[int, list[int]] = defaultdict(list)
        for group, operations in enumerate(taken):
            left = deque(operations)
            used = group % width < blocks
            numbers: list[int] = []
            while left:
                number = (left[0]["tag"]["sequence"] - first) % window
                # Numbers come round again in a long layer; a group's units come in order.
                while numbers and number <= numbers[-1]:
                    number += window
                self._check_unit(left, units[number], group, index, where)
                numbers.append(number)
            by_position[group % width] += numbers
            if group % width == 0:
                of_head = numbers
            assert numbers == (of_head if used else []), where
        for position, numbers in by_position.items():
            assert sorted(numbers) == (list(range(len(units))) if position < blocks else []), where

    def _check_unit(
        self, left: deque[dict[str, Any]], unit: tuple[int, int], group: int, index: int, where: str
    ) -> None:
        """Take the operations of an output: tap by tap, of each tap block by block, of each block edge by edge."""
        case = self.case
        firsts, width = case.blocks(index, group), case.mapping.channel_groups
        words = case.fields["weights"]["words"]
        # A row of packed taps may lie in the padding as a whole, and has no operations then.
        by_tap = [taps for taps in zip(*(case.tap_steps(unit, first) for first in firsts), strict=True) if taps[0]]
        for order, blocks in enumerate(by_tap):
            for number, steps in enumerate(blocks):
                for step in steps:
                    ends = (order == 0 and step is steps[0], order == len(by_tap) - 1 and step is steps[-1])
                    tags = self._check_step(left, step, group, number * words, ends, where)
                    for tag in tags:
                        assert tag["block"] == number * width, where
                        assert tag["address"] == case.result_address(unit), where
                        assert tag["pool_first"] and tag["pool_last"], where

    def _check_step(
        self,
        left: deque[dict[str, Any]],
        step: Step,
        group: int,
        before: int,
        ends: tuple[bool, bool],
        where: str,
    ) -> list[dict[str, int]]:
        """Take the operations of an edge, two if lanes start over; returns their tags."""
        config, (weight, channels, pixel) = self.case.config, step
        everyone = (1 << config.lanes) - 1
        taken = [left.popleft()]
        if taken[0]["mask"] != everyone:
            taken.append(left.popleft())
            assert taken[0]["mask"] ^ taken[1]["mask"] == everyone, where
        word = self.weights[group][(self.base + before + weight) % config.weight_depth]
        for lane, channel in enumerate(channels):
            (operation,) = (one for one in taken if one["mask"] >> lane & 1)
            if channel is not None and channel < self.case.conv.channels:
                expected = self.case.activation(self.words, pixel, channel)
                assert operation["activations"][lane] == expected, f"lane {lane}, {step}, {where}"
        for order, operation in enumerate(taken):
            assert operation["weights"] == word, f"{step}, {where}"
            found = (bool(operation["first"]), bool(operation["last"]))
            assert found == (ends[0] and order == 0, ends[1] and order == len(taken) - 1), f"{step}, {where}"
        return [operation["tag"] for operation in taken]


@pytest.mark.parametrize("kind", EDGES.values(), ids=EDGES)
def test_edges(kind):
    found = cases(kind)
    # The longest runs of the narrowest and of the widest set of groups.
    for case in {found[0].mapping.channel_groups: found[0], found[-1].mapping.channel_groups: found[-1]}.values():
        Bench(case, 0.7, seed=1).run()


CONFIGS = {
    "1x1": SMALL.with_changes(groups=1, lanes=1, post_lanes=1, activation_banks=1, activation_depth=512),
    "2x4": SMALL,
    "3x16, narrow weights": SMALL.with_changes(groups=3, lanes=16, weight_bits=2),
    "4x2 of 16 bits": SMALL.with_changes(groups=4, lanes=2, post_lanes=2, activation_bits=16, weight_bits=16),
    "6x8, short window": SMALL.with_changes(groups=6, lanes=8, window_depth=4),
    "4x4, an accumulator a block": SMALL.with_changes(groups=4, accumulators=4),
}


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("seed", range(4))
def test_random_layers(name, seed):
    case = random_case(seed, CONFIGS[name])
    Bench(case, random.Random(seed).choice([0.2, 0.7, 1]), seed, random.Random(seed).choice(["none", "random"])).run()


ROTATED = [
    "depthwise",
    "cyclic",
    "cyclic, dilated by whole vectors",
    "cyclic, dilated otherwise",
    "cyclic, nodes that fill no vector",
]


@pytest.mark.parametrize("name", ROTATED)
def test_every_mapping_gives_the_same(name):
    """Splits, blocks of maps a group, runs: with several sums under way in a group."""
    found = cases(EDGES[name], SMALL.with_changes(accumulators=2))
    assert {case.mapping.rounds for case in found} == ({1} if name == "depthwise" else {1, 2})
    for seed, case in enumerate(found):
        Bench(case, 0.8, seed).run()


@pytest.mark.parametrize("kernel, stride", [((3, 3), (1, 1)), ((3, 3), (2, 2)), ((1, 5), (1, 1)), ((4, 1), (1, 1))])
def test_a_group_takes_a_tap_each_cycle(kernel, stride):
    config = SMALL.with_changes(groups=1)
    case = cases(depthwise(8, 32, kernel=kernel, stride=stride), config)[-1]
    bench = Bench(case, 1, seed=1, stalls="none")
    bench.run()
    operations = sum(len(case.taps(unit)) for unit in case.units())
    # Filling, and a run that waits for the first column of taps of another row.
    assert operations <= bench.cycles <= operations * 1.02 + 16, (operations, bench.cycles)


@pytest.mark.parametrize("name", ["cyclic, dilated by whole vectors", "cyclic, all nodes", "dense"])
def test_a_group_takes_an_edge_each_cycle(name):
    config = SMALL.with_changes(groups=1)
    case = cases(EDGES[name], config)[-1]
    bench = Bench(case, 1, seed=1, stalls="none")
    bench.run()
    (blocks, *_) = [len(case.blocks(case.mapping.passes - 1, 0))]
    walk = edge_walk(case.conv, config, 1, case.mapping.rounds)
    operations = sum(len(case.taps(unit)) for unit in case.units()) * walk.fan * blocks
    # Where edges are fewer than the vectors between them, the vectors come one a cycle.
    least = max(operations, walk.vectors * len(case.units()))
    assert operations <= bench.cycles <= least + 12 + walk.vectors, (operations, bench.cycles)
