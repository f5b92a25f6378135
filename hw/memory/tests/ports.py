"""The memories as the readers see them: models of their ports, for benches of whatever reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from amaranth.hdl import Value

from hw.config import CoreConfig
from hw.memory.activation import read_latency
from sim.harness.payload import pack
from sim.harness.stalls import Stalls, stall_profile, stream_seed


class ActivationReadPort:
    """A process that answers a reader as the activation memory does, from a list of words.

    Parameters
    ----------
    config, request, response
        The core, and the component's ports.
    words
        Each a list of elements. A word is looked up when its request is accepted, so they may change.
    until
        When to stop. Give the process after the one that makes this true: then it ends with it.
    stalls, seed
        Of the cycles in which no request is accepted.
    """

    def __init__(
        self,
        config: CoreConfig,
        request: Any,
        response: Any,
        words: Sequence[Sequence[int]],
        *,
        until: Callable[[], bool],
        stalls: Stalls = "none",
        seed: int = 0,
    ) -> None:
        self._request, self._response = request, response
        self._latency = read_latency(config)
        self._words = words
        self._until = until
        self._decisions = stall_profile(stalls).decisions(stream_seed(seed, "request"))

    async def __call__(self, ctx: Any) -> None:
        under_way: list[Sequence[int] | None] = [None] * (self._latency - 1)
        while not self._until():
            ready = not next(self._decisions)
            ctx.set(self._request.ready, ready)
            _, _, valid, address = await ctx.tick().sample(self._request.valid, self._request.payload)
            under_way.append(list(self._words[address]) if valid and ready else None)
            self._answer(ctx, under_way.pop(0))

    def _answer(self, ctx: Any, word: Sequence[int] | None) -> None:
        """An answer to nobody is noise."""
        data = self._response.data
        bits = pack(data.shape(), word) if word is not None else (1 << len(Value.cast(data))) - 1
        ctx.set(self._response.valid, word is not None)
        ctx.set(Value.cast(data), bits)


class WeightReadPort:
    """A process that answers as a weight memory does: the word follows an enabled read and stays."""

    def __init__(self, port: Any, words: Sequence[Sequence[int]], *, until: Callable[[], bool]) -> None:
        self._port = port
        self._words = words
        self._until = until

    async def __call__(self, ctx: Any) -> None:
        while not self._until():
            _, _, enable, address = await ctx.tick().sample(self._port.enable, self._port.address)
            if enable:
                data = self._port.data
                ctx.set(Value.cast(data), pack(data.shape(), self._words[address]))
