"""The tag that a unit of work carries through the array, to the writer of its result."""

from __future__ import annotations

from typing import Any

from amaranth.lib import data

from hw.config import CoreConfig


def unit_window(config: CoreConfig) -> int:
    """Units that may be under way at once; a power of two, at least 16 for each group and two of the longest runs.

    A controller has up to `fetch_depth` + 4 units of a 1x1 kernel between allocation and retirement, and a slow unit
    must not hold up the others.
    """
    return 1 << (max(16 * config.groups, 2 * config.longest_run) - 1).bit_length()


class UnitTag(data.StructLayout):
    """Names one output pixel under way.

    `sequence`: its number, modulo `unit_window`; `address`: the activation word where its channel 0 belongs;
    `pool_first`, `pool_last`: this result opens and closes the pooling window (both set without pooling); `block`: of
    maps, that the first group of a set has the result of. Of `rsnn` the result is a segment of one map instead: `map`,
    its number in the pass, and `segment`, modulo 4.
    """

    def __init__(self, config: CoreConfig) -> None:
        members: dict[str, Any] = {
            "sequence": range(unit_window(config)),
            "address": config.activation_address_bits,
            "pool_first": 1,
            "pool_last": 1,
            "block": range(config.max_rounds),
        }
        if config.rsnn:
            members |= {"map": range(config.groups * config.accumulators), "segment": 2}
        super().__init__(members)
