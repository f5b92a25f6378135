import random
from collections import Counter, defaultdict
from typing import Any

import pytest
from amaranth.hdl import Value

from hw.config import WORD_ELEMENTS
from hw.control.units import unit_window
from hw.dataflow.csc.front_end import CscFrontEnd
from hw.dataflow.csc.tests.cases import EDGES, SMALL, DepthwiseCase, make_case, random_case
from hw.memory.tests.ports import ActivationReadPort, WeightReadPort
from sim.harness.amaranth_sim import simulate
from sim.harness.payload import unpack
from sim.random_layers import LayerShape


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

    def __init__(self, case: DepthwiseCase, willing: float, seed: int, stalls: str = "random") -> None:
        self.case, self.seed, self._willing, self._stalls = case, seed, willing, stalls
        self._rng = rng = random.Random(seed)
        config = case.config
        bits = config.activation_bits
        self.words = [[rng.randrange(1 << bits) for _ in range(WORD_ELEMENTS)] for _ in range(config.activation_words)]
        self.weights = [
            [[rng.randrange(-128, 128) for _ in range(config.lanes)] for _ in range(config.weight_depth)]
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
            self.base = (self.base + case.conv.map_weights) % case.config.weight_depth
        self._over = True

    async def _pass(self, ctx: Any, index: int, blocks: int) -> None:
        """Take operands until each block of each output is done, and a while longer; then check them."""
        taken: list[list[dict[str, Any]]] = [[] for _ in range(self.case.config.groups)]
        first = self._sequence
        left, self.cycles, issued = blocks * len(self.case.units()), 0, 0
        while left:
            before = left
            left -= await self._cycle(ctx, taken)
            self.cycles += 1
            issued += before - left
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
            assert issued >> group & 1 == (valid[group] and ready[group])
            if valid[group] and ready[group]:
                taken[group].append(unpack(port.payload.shape(), payloads[group]))
                finished += taken[group][-1]["last"]
        return finished

    def _check(self, taken: list[list[dict[str, Any]]], first: int, index: int, blocks: int) -> None:
        """Every output was computed once in each block, by one set, whole, in order, of the right operands."""
        case, where = self.case, f"pass {index}, seed {self.seed}, {self.case}"
        units = case.units()
        assert self._sequence - first == len(units), where
        width, window = case.mapping.channel_groups, unit_window(case.config)
        by_block: dict[int, list[int]] = defaultdict(list)
        for group, operations in enumerate(taken):
            block = group % width
            numbers: list[int] = []
            while operations:
                number = (operations[0]["tag"]["sequence"] - first) % window
                # Numbers come round again in a long layer; a group's units come in order.
                while numbers and number <= numbers[-1]:
                    number += window
                channel = index * case.mapping.pass_maps + block * case.config.lanes
                expected = self._expected(units[number], group, channel)
                got, operations = operations[: len(expected)], operations[len(expected) :]
                assert [{name: beat[name] for name in expected[0]} for beat in got] == expected, where
                assert {beat["tag"]["address"] for beat in got} == {case.result_address(units[number])}, where
                assert all(beat["tag"]["pool_first"] and beat["tag"]["pool_last"] for beat in got), where
                numbers.append(number)
            by_block[block] += numbers
            if block == 0:
                of_head = numbers
            assert numbers == (of_head if block < blocks else []), where
        for block, numbers in by_block.items():
            assert sorted(numbers) == (list(range(len(units))) if block < blocks else []), f"block {block}, {where}"

    def _expected(self, unit: tuple[int, int], group: int, channel: int) -> list[dict[str, Any]]:
        """The operands of an output in a group, without the tag."""
        case, taps = self.case, self.case.taps(unit)
        return [
            {
                "activations": case.vector(self.words, pixel, channel),
                "weights": self.weights[group][(self.base + number) % case.config.weight_depth],
                "mask": (1 << case.config.lanes) - 1,
                "first": int(order == 0),
                "last": int(order == len(taps) - 1),
            }
            for order, (number, pixel) in enumerate(taps)
        ]


@pytest.mark.parametrize("willing", [1, 0.5])
@pytest.mark.parametrize("shape", EDGES.values(), ids=EDGES)
def test_edges(shape, willing):
    Bench(make_case(shape, channel_groups=2), willing, seed=1).run()


CONFIGS = {
    "1x1": SMALL.with_changes(groups=1, lanes=1, post_lanes=1, activation_banks=1, activation_depth=512),
    "2x4": SMALL,
    "3x16": SMALL.with_changes(groups=3, lanes=16),
    "4x2 of 16 bits": SMALL.with_changes(groups=4, lanes=2, post_lanes=2, activation_bits=16),
    "6x8, short window": SMALL.with_changes(groups=6, lanes=8, window_depth=4),
}


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("seed", range(6))
def test_random_layers(name, seed):
    case = random_case(seed, CONFIGS[name])
    Bench(case, random.Random(seed).choice([0.2, 0.7, 1]), seed, random.Random(seed).choice(["none", "random"])).run()


@pytest.mark.parametrize("run", [1, 2, 5, 10])
def test_every_run_gives_the_same(run):
    shape = LayerShape((3, 10), 4, 4, kernel=(3, 3), padding=((1, 1), (1, 1)))
    Bench(make_case(shape, run=run), 0.8, seed=run).run()


@pytest.mark.parametrize("kernel, stride", [((3, 3), (1, 1)), ((3, 3), (2, 2)), ((1, 5), (1, 1)), ((4, 1), (1, 1))])
def test_a_group_takes_a_tap_each_cycle(kernel, stride):
    config = SMALL.with_changes(groups=1)
    shape = LayerShape((8, 32), 4, 4, kernel=kernel, stride=stride)
    case = make_case(shape, config)
    bench = Bench(case, 1, seed=1, stalls="none")
    bench.run()
    operations = sum(len(case.taps(unit)) for unit in case.units())
    # Filling, and a run that waits for the first column of taps of another row.
    assert operations <= bench.cycles <= operations * 1.02 + 16, (operations, bench.cycles)
