"""Runs layers on a vector unit, one after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Value

from hw.control.units import unit_window
from hw.memory.tests.ports import ActivationReadPort
from hw.vector.tests.cases import Case, Ints
from hw.vector.unit import VectorUnit
from sim.harness.amaranth_sim import simulate
from sim.harness.payload import pack, unpack
from sim.harness.stalls import Stalls, stall_profile, stream_seed

IDLE_CYCLES = 12
"""After a layer, to see that nothing more comes."""


class UnitBench:
    """Plays cases on one unit; stalls of the memory, of the beats and of the units' numbers.

    Attributes
    ----------
    cycles
        Of each layer, from `start` to the last beat.
    """

    def __init__(
        self, unit: VectorUnit, memory: Ints, stalls: tuple[Stalls, Stalls, Stalls] = ("none",) * 3, seed: int = 0
    ) -> None:
        self.unit, self.memory, self.seed = unit, memory, seed
        self.cycles: list[int] = []
        self._read_stalls = stalls[0]
        self._beat_stalls = stall_profile(stalls[1]).decisions(stream_seed(seed, "beats"))
        self._issue_stalls = stall_profile(stalls[2]).decisions(stream_seed(seed, "issue"))
        self._issued = 0
        self._done = False

    def run(self, cases: Sequence[Case], deadline: int = 100_000) -> None:
        """Each layer gives the beats that it must, and is busy until its last unit is issued."""

        async def play(ctx: Any) -> None:
            for number, case in enumerate(cases):
                await self._play(ctx, case, f"layer {number} of seed {self.seed}: {case}")
            self._done = True

        memory = ActivationReadPort(
            self.unit.config,
            self.unit.request,
            self.unit.response,
            self.memory.tolist(),
            until=lambda: self._done,
            stalls=self._read_stalls,
            seed=self.seed,
        )
        simulate(self.unit, play, self._give_numbers, memory, deadline=deadline)

    async def _play(self, ctx: Any, case: Case, where: str) -> None:
        unit, layer = self.unit, self.unit.layer
        ctx.set(Value.cast(layer), pack(layer.shape(), case.descriptor))
        ctx.set(unit.parity, case.parity)
        ctx.set(unit.start, 1)
        await ctx.tick()
        ctx.set(unit.start, 0)
        beats = case.beats(self.memory, self._issued, unit_window(unit.config))
        to_issue, taken, cycles, idle = case.rows.outputs * case.columns.outputs, 0, 0, 0
        while idle < IDLE_CYCLES:
            ready = idle > 0 or not next(self._beat_stalls)
            ctx.set(unit.beats.ready, ready)
            signals = (unit.busy, unit.issue, unit.beats.valid, Value.cast(unit.beats.payload))
            _, _, busy, issue, valid, bits = await ctx.tick().sample(*signals)
            assert busy == (to_issue > 0), where
            to_issue -= issue
            if valid and ready:
                assert taken < len(beats), f"a beat too many, {where}"
                beat = unpack(unit.beats.payload.shape(), bits)
                assert beat == beats[taken], f"beat {taken} is {beat}, expected {beats[taken]}, {where}"
                taken += 1
            finished = taken == len(beats)
            cycles += not idle
            idle += finished
        self.cycles.append(cycles)
        assert to_issue == 0, where

    async def _give_numbers(self, ctx: Any) -> None:
        """As the retirement does."""
        window = unit_window(self.unit.config)
        while not self._done:
            ctx.set(self.unit.can_issue, not next(self._issue_stalls))
            _, _, issue = await ctx.tick().sample(self.unit.issue)
            self._issued += issue
            ctx.set(self.unit.sequence, self._issued % window)
