"""A nest of counted loops that moves several sums along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from amaranth import Mux, Signal
from amaranth.hdl import Module, Value


@dataclass(frozen=True)
class Loop:
    """A loop: index of its last iteration, and by how much each step of it moves each sum; others stay."""

    last: Value | int
    steps: Mapping[str, Value | int] = field(default_factory=dict)


class LoopNest:
    """Loops around each other, stepped by `advance`.

    A sum's value is its start plus the steps of all loops, so that a step of a loop takes back those of the loops
    inside it; each loop that moves a sum remembers its value at the loop's own position. All is static but `advance`
    and `start`, which goes back to the beginning.

    Parameters
    ----------
    m
        Where the logic goes.
    loops
        The innermost first.
    sums
        By name: a signal that receives the value (registered, so there from the cycle after a step), and its start.

    Attributes
    ----------
    ends : list of Value
        For each loop whether it and all inside it are in their last iteration.
    """

    def __init__(
        self,
        m: Module,
        loops: Sequence[Loop],
        sums: Mapping[str, tuple[Signal, Value]],
        *,
        advance: Value,
        start: Value,
    ) -> None:
        self.ends: list[Value] = []
        steps: list[Value] = []  # by loop: it makes the step, if there is one
        inside: Value | None = None
        for number, loop in enumerate(loops):
            last = Value.cast(loop.last)
            index = Signal(len(last), name=f"index_{number}")
            done = Signal(name=f"ends_{number}")
            steps_now = Signal(name=f"steps_{number}")
            reached = index == last
            m.d.comb += [
                done.eq(reached if inside is None else inside & reached),
                steps_now.eq(~reached if inside is None else inside & ~reached),
            ]
            with m.If(start):
                m.d.sync += index.eq(0)
            with m.Elif(advance & (steps_now | done)):
                m.d.sync += index.eq(Mux(reached, 0, index + 1))
            steps.append(steps_now)
            self.ends.append(done)
            inside = done
        for name, (current, first) in sums.items():
            self._add_sum(m, name, current, first, loops, steps, advance, start)

    @staticmethod
    def _add_sum(
        m: Module,
        name: str,
        current: Signal,
        first: Value,
        loops: Sequence[Loop],
        steps: Sequence[Value],
        advance: Value,
        start: Value,
    ) -> None:
        movers = [number for number, loop in enumerate(loops) if name in loop.steps]
        # The innermost mover's register is the sum itself.
        kept = {number: Signal.like(current, name=f"{name}_{number}") for number in movers[1:]}
        kept[movers[0]] = current
        with m.If(start):
            m.d.sync += [register.eq(first) for register in kept.values()]
        with m.Elif(advance):
            for number, step in enumerate(steps):
                outer = [mover for mover in movers if mover >= number]
                if number in kept:
                    value = kept[number] + loops[number].steps[name]
                else:
                    value = kept[outer[0]] if outer else first
                with m.If(step):
                    m.d.sync += [kept[mover].eq(value) for mover in movers if mover <= number]
