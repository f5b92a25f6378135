import random
from typing import Any

import pytest
from amaranth.hdl import Value

from hw.control.tests.layers import EDGES, SMALL, LayerCase, make_case, random_case
from hw.control.units import unit_window
from hw.dataflow.nullhop.allocator import PixelAllocator
from sim.harness.amaranth_sim import simulate
from sim.harness.payload import unpack
from sim.random_layers import LayerShape


class Surroundings:
    """A process: all that an allocator waits for, given at random, and a check of all that it does.

    The cycle of each unit follows from the contract: a row is looked at from the cycle after it became the
    current one, and then a unit leaves in each cycle in which a controller is free and the retirement has
    room.

    Parameters
    ----------
    allocator, case
        The component and its layer.
    willing
        Probability, in each cycle, that a controller is free, that the retirement has room, that another
        input row is loaded, and that another output row is stored.
    passes
        How often to run the layer.
    """

    def __init__(self, allocator: PixelAllocator, case: LayerCase, willing: float, seed: int, passes: int = 1) -> None:
        self._allocator, self._case, self._passes = allocator, case, passes
        self._willing, self._rng, self._seed = willing, random.Random(seed), seed
        self._sequence = 0
        self._last_port = case.config.groups - 1
        self.cycles_of_pass: list[int] = []

    async def __call__(self, ctx: Any) -> None:
        allocator, fields = self._allocator, self._case.fields
        for name in ("input", "window", "output"):
            ctx.set(getattr(allocator, name), fields[name])
        ctx.set(allocator.split, fields["split"])
        for _ in range(self._passes):
            ctx.set(allocator.start, 1)
            await ctx.tick()
            ctx.set(allocator.start, 0)
            self._loaded = self._stored = 0
            self._row_ready = False
            self.cycles_of_pass.append(0)
            for unit in self._case.units():
                while not await self._cycle(ctx, unit):
                    pass
            assert not ctx.get(allocator.busy)

    def _chance(self) -> bool:
        return self._rng.random() < self._willing

    async def _cycle(self, ctx: Any, unit: tuple[int, int]) -> bool:
        """One cycle; returns whether the unit left."""
        allocator, units = self._allocator, self._allocator.units
        self.cycles_of_pass[-1] += 1
        self._loaded += self._loaded < len(self._case.geometry.rows) and self._chance()
        self._stored += self._stored < unit[0] and self._chance()
        free, room = [self._chance() for _ in units], self._chance()
        for port, ready in zip(units, free, strict=True):
            ctx.set(port.ready, ready)
        for signal, value in (
            (allocator.rows_loaded, self._loaded),
            (allocator.rows_stored, self._stored),
            (allocator.can_issue, room),
            (allocator.sequence, self._sequence),
        ):
            ctx.set(signal, value)
        _, _, busy, issue, *given = await ctx.tick().sample(
            allocator.busy,
            allocator.issue,
            *(p.valid for p in units),
            *(Value.cast(p.payload) for p in units),
        )
        port = self._next_port(free) if self._row_ready and room else None
        assert busy, self._where(unit)
        assert [i for i, valid in enumerate(given[: len(units)]) if valid] == ([] if port is None else [port]), (
            self._where(unit)
        )
        assert issue == (port is not None), self._where(unit)
        if port is not None:
            payload = unpack(units[port].payload.shape(), given[len(units) + port])
            self._check_unit(payload, unit)
            self._last_port = port
            self._sequence = (self._sequence + 1) % unit_window(self._case.config)
        row_done = issue and unit[1] == self._case.conv.output_size[1] - 1
        self._row_ready = not row_done and self._row_may_start(unit[0])
        return bool(issue)

    def _next_port(self, free: list[bool]) -> int | None:
        """The next free controller in use, behind the one served last."""
        heads = range(0, len(free), self._case.mapping.channel_groups)
        turns = sorted(heads, key=lambda port: (port - self._last_port - 1) % len(free))
        return next((port for port in turns if free[port]), None)

    def _row_may_start(self, row: int) -> bool:
        """Its input rows are loaded and its place is free."""
        needed = row * self._case.geometry.unit_rows - self._case.conv.padding[0][0] + self._case.geometry.reach
        loaded = self._loaded > min(needed, len(self._case.geometry.rows) - 1)
        return loaded and row < self._stored + self._case.mapping.output_ring

    def _check_unit(self, payload: dict[str, Any], unit: tuple[int, int]) -> None:
        expected = self._case.work_unit(unit, self._sequence)
        payload["tag"] = {name: payload["tag"][name] for name in ("sequence", "address")}
        assert payload == expected, self._where(unit)
        row = unit[0]
        assert self._stored > row - self._case.mapping.output_ring, self._where(unit)
        assert self._loaded > max(self._case.rows_of(row), default=-1), self._where(unit)

    def _where(self, unit: tuple[int, int]) -> str:
        return f"unit {unit}, seed {self._seed}"


@pytest.mark.parametrize("shape", EDGES.values(), ids=EDGES)
def test_edges(shape):
    case = make_case(shape, input_ring=1, output_ring=1)
    allocator = PixelAllocator(case.config)
    simulate(allocator, Surroundings(allocator, case, 0.7, seed=1, passes=2))


@pytest.mark.parametrize("willing", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("groups", [1, 3, 6])
@pytest.mark.parametrize("seed", range(4))
def test_random_layers(seed, groups, willing):
    case = random_case(seed, SMALL.with_changes(groups=groups))
    allocator = PixelAllocator(case.config)
    simulate(allocator, Surroundings(allocator, case, willing, seed, passes=2))


@pytest.mark.parametrize("rows, columns", [(1, 1), (1, 5), (4, 1), (3, 5)])
def test_a_unit_a_cycle_and_one_idle_cycle_a_row(rows, columns):
    case = make_case(LayerShape((rows, columns), 1, 1))
    allocator = PixelAllocator(case.config)
    surroundings = Surroundings(allocator, case, 1, seed=0)
    simulate(allocator, surroundings)
    assert surroundings.cycles_of_pass == [rows * (columns + 1)]


@pytest.mark.parametrize("channel_groups", [1, 2, 3, 6])
def test_units_are_dealt_in_turn_to_the_first_controller_of_each_set(channel_groups):
    config = SMALL.with_changes(groups=6)
    case = make_case(LayerShape((1, 30), 1, 1), config, channel_groups=channel_groups)
    allocator = PixelAllocator(config)
    served: list[int] = []

    async def record(ctx: Any) -> None:
        while len(served) < 30:
            _, _, *valid = await ctx.tick().sample(*(port.valid for port in allocator.units))
            served.extend(i for i, one in enumerate(valid) if one)

    simulate(allocator, Surroundings(allocator, case, 1, seed=0), record)
    heads = list(range(0, 6, channel_groups))
    assert served == [heads[n % len(heads)] for n in range(30)]
