"""When the beats of a stream were taken."""

from __future__ import annotations

from typing import Any


class TransferTimes:
    """A process that notes the cycle of each of the first `count` transfers in `cycles`, counted from
    reset."""

    def __init__(self, interface: Any, count: int) -> None:
        self._interface = interface
        self._count = count
        self.cycles: list[int] = []

    async def __call__(self, ctx: Any) -> None:
        cycle = 0
        while len(self.cycles) < self._count:
            _, _, valid, ready = await ctx.tick().sample(self._interface.valid, self._interface.ready)
            if valid and ready:
                self.cycles.append(cycle)
            cycle += 1
