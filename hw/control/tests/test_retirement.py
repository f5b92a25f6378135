import random
from typing import Any

import pytest

from hw.config import CoreConfig
from hw.control.retirement import Retirement
from hw.control.units import unit_window
from sim.harness.amaranth_sim import simulate


def core(groups: int) -> CoreConfig:
    return CoreConfig(groups=groups, lanes=1, post_lanes=1)


class Bench:
    """Issues units and completes them in any order; keeps count, cycle by cycle.

    Parameters
    ----------
    busy, done
        Probability, in each cycle, that a unit is issued, and that one completes.
    """

    def __init__(self, config: CoreConfig, busy: float, done: float, seed: int) -> None:
        self.retirement = Retirement(config)
        self.window = unit_window(config)
        self._busy, self._done, self._rng, self._seed = busy, done, random.Random(seed), seed
        self._issued = 0
        self._oldest = 0
        self._open: list[int] = []
        self._marked: set[int] = set()
        self.most_under_way = 0

    async def run_pass(self, ctx: Any, rows: int, columns: int) -> None:
        retirement = self.retirement
        ctx.set(retirement.columns_last, columns - 1)
        ctx.set(retirement.start, 1)
        await ctx.tick()
        ctx.set(retirement.start, 0)
        first = self._issued
        while self._oldest < first + rows * columns:
            await self._cycle(ctx, first, rows, columns)
        assert ctx.get(retirement.rows) == rows, self._where()
        assert ctx.get(retirement.idle), self._where()

    async def _cycle(self, ctx: Any, first: int, rows: int, columns: int) -> None:
        retirement, rng = self.retirement, self._rng
        under_way = self._issued - self._oldest
        self.most_under_way = max(self.most_under_way, under_way)
        has_room, more = under_way < self.window, self._issued < first + rows * columns
        most = min(self.retirement.run, first + rows * columns - self._issued)
        room = under_way <= self.window - self.retirement.run
        issue = int(has_room and more and rng.random() < self._busy)
        if issue and room and rng.random() < 0.3:
            issue = rng.randint(1, most)
        complete = self._open.pop(rng.randrange(len(self._open))) if self._completes(more, has_room) else None
        ctx.set(retirement.issue, issue)
        ctx.set(retirement.complete.valid, complete is not None)
        ctx.set(retirement.complete.payload, (complete or 0) % self.window)
        _, _, can_issue, can_issue_run, sequence, finished, idle = await ctx.tick().sample(
            retirement.can_issue, retirement.can_issue_run, retirement.sequence, retirement.rows, retirement.idle
        )
        assert (can_issue, can_issue_run) == (has_room, room), self._where()
        assert sequence == self._issued % self.window, self._where()
        assert finished == (self._oldest - first) // columns, self._where()
        assert idle == (under_way == 0), self._where()
        if self._oldest in self._marked:
            self._marked.remove(self._oldest)
            self._oldest += 1
        self._open += range(self._issued, self._issued + issue)
        self._issued += issue
        if complete is not None:
            self._marked.add(complete)
        ctx.set(retirement.issue, 0)
        ctx.set(retirement.complete.valid, 0)

    def _completes(self, more: bool, has_room: bool) -> bool:
        """Sooner or later something does, when nothing else can happen."""
        stuck = not (more and has_room)
        return bool(self._open) and (stuck or self._rng.random() < self._done)

    def _where(self) -> str:
        return f"unit {self._oldest}, seed {self._seed}"


@pytest.mark.parametrize("busy, done", [(1, 1), (0.5, 0.5), (1, 0.05), (0.3, 1)])
@pytest.mark.parametrize("groups", [1, 3])
def test_units_complete_in_any_order_and_rows_in_order(groups, busy, done):
    seed = groups
    bench = Bench(core(groups), busy, done, seed)

    async def run(ctx: Any) -> None:
        for rows, columns in ((1, 1), (4, 1), (1, 9), (5, 17), (3, 40)):
            await bench.run_pass(ctx, rows, columns)

    simulate(bench.retirement, run)
    if done < 0.1:
        assert bench.most_under_way == bench.window, f"seed {seed}"


@pytest.mark.parametrize("groups, window", [(1, 32), (3, 64), (8, 128)])
def test_the_window_is_a_power_of_two_of_at_least_16_a_group_and_two_runs(groups, window):
    assert unit_window(core(groups)) == window


def test_the_oldest_holds_up_the_others_which_then_retire_one_a_cycle():
    config = core(1)
    retirement = Retirement(config)
    window = unit_window(config)
    rows: list[int] = []

    async def bench(ctx: Any) -> None:
        ctx.set(retirement.issue, 1)
        await ctx.tick().repeat(window)
        ctx.set(retirement.issue, 0)
        assert not ctx.get(retirement.can_issue)
        ctx.set(retirement.complete.valid, 1)
        for number in reversed(range(window)):
            assert ctx.get(retirement.rows) == 0
            ctx.set(retirement.complete.payload, number)
            await ctx.tick()
        ctx.set(retirement.complete.valid, 0)
        for _ in range(window + 2):
            rows.append(ctx.get(retirement.rows))
            await ctx.tick()
        assert ctx.get(retirement.idle)

    simulate(retirement, bench)
    assert rows == [*range(window + 1), window]
