"""A serial line in a bench: what a sender with a clock of its own puts on a pin, and what a pin says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

IDLE_BITS = 3


def levels(values: Iterable[int], bit_cycles: float, *, phase: float = 0, stop: int = 1) -> list[int]:
    """The level of a line at each of the receiver's clock edges, for bytes that follow one another without a gap.

    `bit_cycles` is the length of a bit in cycles, which need not be whole; `phase`, 0 to less than 1, shifts the clock
    edges against the line; `stop` is the level of the stop bits.
    """
    bits = [1] * IDLE_BITS
    for value in values:
        bits += [0, *(value >> place & 1 for place in range(8)), stop]
    bits += [1] * IDLE_BITS
    return [bits[int((cycle + phase) / bit_cycles)] for cycle in range(int(len(bits) * bit_cycles - phase))]


def drive(pin: Any, line: Sequence[int]) -> Any:
    """A process that puts those levels on a pin, one a cycle."""

    async def process(ctx: Any) -> None:
        for level in line:
            ctx.set(pin, level)
            await ctx.tick()

    return process


class PinReader:
    """A process that reads bytes from a pin, as an ideal receiver would; `values` are those that it found.

    It ends after so many cycles, and checks that every stop bit is high.
    """

    def __init__(self, pin: Any, bit_cycles: int, cycles: int) -> None:
        self._pin = pin
        self._bit_cycles = bit_cycles
        self._cycles = cycles
        self.values: list[int] = []
        self.starts: list[int] = []

    async def __call__(self, ctx: Any) -> None:
        line = []
        async for _, _, level in ctx.tick().sample(self._pin):
            line.append(level)
            if len(line) == self._cycles:
                break
        cycle, middle = 0, self._bit_cycles // 2
        while cycle + 10 * self._bit_cycles <= len(line):
            if line[cycle]:
                cycle += 1
                continue
            bits = [line[cycle + bit * self._bit_cycles + middle] for bit in range(10)]
            assert not bits[0] and bits[9], f"no start or no stop bit at cycle {cycle}: {bits}"
            self.starts.append(cycle)
            self.values.append(sum(bit << place for place, bit in enumerate(bits[1:9])))
            cycle += 10 * self._bit_cycles
