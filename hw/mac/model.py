"""What a sequence of operations gives, in plain Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hw.config import CoreConfig


class GroupModel:
    """The accumulators of a `MacGroup`.

    Operations and results are mappings with the fields of `Operands` and `Results`.

    Parameters
    ----------
    config : CoreConfig
    """

    def __init__(self, config: CoreConfig) -> None:
        self._bits = config.accumulator_bits
        self.accumulators = [[0] * config.accumulators for _ in range(config.lanes)]
        """By lane and index. All zero at first, as after configuration; a reset leaves them."""

    def operate(self, operation: Mapping[str, Any]) -> dict[str, Any] | None:
        """Carry out one operation; returns its result if it is a `last` one."""
        sums = [self._add(lane, file, operation) for lane, file in enumerate(self.accumulators)]
        return {"accumulators": sums, "tag": operation["tag"]} if operation["last"] else None

    def results(self, operations: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The results of a sequence of operations."""
        return [result for result in map(self.operate, operations) if result is not None]

    def _add(self, lane: int, file: list[int], operation: Mapping[str, Any]) -> int:
        index = operation["index"][lane]
        start = 0 if operation["first"] else file[index]
        product = operation["activations"][lane] * operation["weights"][lane]
        file[index] = self._wrapped(start + product * (operation["mask"] >> lane & 1))
        return file[index]

    def _wrapped(self, value: int) -> int:
        half = 1 << (self._bits - 1)
        return (value + half) % (2 * half) - half
