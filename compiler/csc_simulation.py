"""The csc dataflow, cycle by cycle: when words are asked for, who gets a bank, what is multiplied, what is collected.

It follows the registers of `hw.dataflow.csc`, of the arbiters of the activation memory, of the array and of the result
collector, without any value. So it knows how readers meet in the banks, which no formula does.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from compiler.csc_shape import PassShape, RunColumns
from hw.config import WORD_ELEMENTS, CoreConfig
from hw.control.units import unit_window
from hw.memory.activation import read_latency

LEAVING_LATENCY = 13
"""From the last beat of an output into the post-processor to the output's retirement, in a small core."""


class _Turns:
    """A rotating arbiter: the one granted last comes last."""

    def __init__(self) -> None:
        self.last = -1

    def choose(self, requests: list[int]) -> int:
        """Of the requesters, in rising order."""
        for one in requests:
            if one > self.last:
                return one
        return requests[0]


@dataclass
class _Group:
    """The registers of a group: fetcher, request, window, walker, column, operands, array, result and slice."""

    tap_steps: list[tuple[int, int, bool]]
    rounds: int
    asked: deque[int | None] = field(default_factory=deque)
    fetching: bool = False
    room: int = 0
    request: int | None = None
    coming: deque[int] = field(default_factory=deque)
    arrived: int = 0
    next_run: Any = None
    columns: deque[Any] = field(default_factory=deque)
    walking: bool = False
    first_vector: int = 0
    column: Any = None
    step: int = 0
    row: int = 0
    operand: int = -1
    product: int = -1
    sum: int = -1
    result: int = -1
    beat: int = 0
    slice: int = -1
    slice_last: bool = False
