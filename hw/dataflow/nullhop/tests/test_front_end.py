import random
from collections import defaultdict
from typing import Any

import pytest
from amaranth.hdl import Value

from hw.control.tests.layers import EDGES, SMALL, LayerCase, make_case
from hw.control.units import unit_window
from hw.dataflow.nullhop.front_end import NullHopFrontEnd
from hw.dataflow.nullhop.tests.features import Features
from hw.memory.tests.ports import ActivationReadPort, WeightReadPort
from sim.harness.amaranth_sim import simulate
from sim.harness.payload import unpack
from sim.random_layers import LayerShape


class Bench:
    """A front end with all that is around it: memories, retirement and array.

    Attributes
    ----------
    operands
        What each group was given.
    issued
        Sum of the `issued` bits of each controller.
    """

    def __init__(self, case: LayerCase, density: float, ready: float, seed: int) -> None:
        self.case = case
        self.seed = seed
        self._rng = rng = random.Random(seed)
        self._ready = ready
        self.base = rng.randrange(case.config.weight_depth)
        self.features = Features(case, density, rng)
        groups, lanes = range(case.config.groups), range(case.config.lanes)
        self.weights = [
            [[rng.randrange(-128, 128) for _ in lanes] for _ in range(case.config.weight_depth)] for _ in groups
        ]
        self.operands: list[list[dict[str, Any]]] = [[] for _ in groups]
        self.issued = [0 for _ in groups]
        self._units = list(case.units())
        self._finished = [0 for _ in groups]
        self._sequence = 0

    def run(self) -> None:
        front_end = self._front_end = NullHopFrontEnd(self.case.config)
        ports = zip(front_end.requests, front_end.responses, strict=True)
        readers = (
            ActivationReadPort(
                self.case.config,
                *port,
                self.features.words,
                until=self._done,
                stalls="random",
                seed=self.seed,
            )
            for port in ports
        )
        weights = (
            WeightReadPort(port, words, until=self._done)
            for port, words in zip(front_end.weights, self.weights, strict=True)
        )
        simulate(front_end, self._drive, *readers, *weights, deadline=10_000)

    def _done(self) -> bool:
        """Every unit has been finished, by all groups of its set."""
        return sum(self._finished) == len(self._units) * self.case.mapping.channel_groups

    async def _drive(self, ctx: Any) -> None:
        front_end = self._front_end
        ctx.set(front_end.layer, self.case.fields)
        ctx.set(front_end.weights_base, self.base)
        ctx.set(front_end.rows_loaded, len(self.case.geometry.rows))
        ctx.set(front_end.start, 1)
        await ctx.tick()
        ctx.set(front_end.start, 0)
        while not self._done():
            await self._cycle(ctx)

    async def _cycle(self, ctx: Any) -> None:
        front_end, streams = self._front_end, self._front_end.operands
        ready = [self._rng.random() < self._ready for _ in streams]
        for port, value in zip(streams, ready, strict=True):
            ctx.set(port.ready, value)
        ctx.set(front_end.can_issue, self._rng.random() < 0.8)
        ctx.set(front_end.sequence, self._sequence)
        _, _, issue, issued, *signals = await ctx.tick().sample(
            front_end.issue,
            front_end.issued,
            *(port.valid for port in streams),
            *(Value.cast(port.payload) for port in streams),
        )
        self._sequence = (self._sequence + issue) % unit_window(self.case.config)
        valid, payloads = signals[: len(streams)], signals[len(streams) :]
        self._check_lockstep(valid)
        for group, port in enumerate(streams):
            self.issued[group] += issued >> group & 1
            if valid[group] and ready[group]:
                operands = unpack(port.payload.shape(), payloads[group])
                self.operands[group].append(operands)
                self._finished[group] += operands["last"] and operands["tag"]["pool_last"]

    def _check_lockstep(self, valid: list[int]) -> None:
        """The groups of a set have been given the same number of operations, taken by now or not."""
        given = [len(taken) + offered for taken, offered in zip(self.operands, valid, strict=True)]
        width = self.case.mapping.channel_groups
        for head in range(0, len(given), width):
            assert len(set(given[head : head + width])) == 1, f"group {head}, seed {self.seed}"

    def expected(self, unit: tuple[int, int], group: int) -> list[dict[str, Any]]:
        """The operands of a unit in a group, without the tag."""
        config = self.case.config
        return [
            {
                "activations": [operation["activation"]] * config.lanes,
                "weights": None if operation["null"] else self.weights[group][operation["weights"]],
                "mask": 0 if operation["null"] else (1 << config.lanes) - 1,
                **{name: operation[name] for name in ("first", "last", "pool_last")},
            }
            for operation in self.features.operations(unit, self.base)
        ]

    def units_of(self, group: int) -> dict[int, list[dict[str, Any]]]:
        """What a group was given, by the number of the unit."""
        units = defaultdict(list)
        for beat in self.operands[group]:
            plain = {name: beat[name] for name in ("activations", "mask", "first", "last")}
            plain["weights"] = beat["weights"] if beat["mask"] else None
            plain["pool_last"] = beat["tag"]["pool_last"]
            units[beat["tag"]["sequence"]].append(plain)
        return units


def check(bench: Bench) -> None:
    """Every unit went to one set of groups, whole, in order, with the weights of each."""
    bench.run()
    where = f"seed {bench.seed}"
    width = bench.case.mapping.channel_groups
    numbers = list(range(len(list(bench.case.units()))))
    heads = range(0, bench.case.config.groups, width)
    assert sorted(number for head in heads for number in bench.units_of(head)) == numbers, where
    for group in range(bench.case.config.groups):
        units = bench.units_of(group)
        assert list(units) == list(bench.units_of(group // width * width)), where
        # The units of a group come one after another, not mixed.
        assert list(units) == sorted(units), where
        for number, operands in units.items():
            unit = list(bench.case.units())[number]
            assert operands == bench.expected(unit, group), f"unit {unit}, group {group}, {where}"
        useful = sum(beat["mask"] != 0 for beat in bench.operands[group])
        assert bench.issued[group] == (0 if group % width else useful), where


SHAPE = LayerShape((3, 3), 5, 1, kernel=(2, 2), padding=((1, 0), (0, 1)))


def splits(groups: int) -> list[tuple[int, int]]:
    return [(groups, c) for c, _ in SMALL.with_changes(groups=groups).splits]


@pytest.mark.parametrize("groups, channel_groups", [*splits(1), *splits(3), *splits(4), *splits(6)])
def test_every_split(groups, channel_groups):
    config = SMALL.with_changes(groups=groups, lanes=1, post_lanes=1)
    check(Bench(make_case(SHAPE, config, channel_groups=channel_groups), density=0.4, ready=0.6, seed=groups))


@pytest.mark.parametrize("density, ready", [(0, 1), (1, 1), (0.5, 0.2)])
@pytest.mark.parametrize("shape", ["one pixel, one channel", "padding on all sides", "pooling and stride"])
def test_densities_and_stalls(shape, density, ready):
    check(Bench(make_case(EDGES[shape], channel_groups=2), density, ready, seed=1))
