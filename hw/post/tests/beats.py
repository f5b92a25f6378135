"""Random beats for benches of the post-processor, and its whole model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from hw.config import PARAMETER_PLANES, CoreConfig
from hw.post.layouts import MapParameters, parameter_entries, pooling_slots
from hw.post.tests.samples import Samples, random_samples
from sim.harness.payload import pack

DESTINATION_BITS = 10


class PostBench:
    """Random parameters for every lane of every entry, random beats that use them, and the outputs to expect.

    Parameters
    ----------
    config : CoreConfig
    count : int
        Beats. Windows of pooling are of random length, all closed at the end.
    seed : int
    lower, upper, offset : int
    pooling : bool
        Else each beat opens and closes its own window.
    entries : range
        Entries of the parameter memory in use; by default all.
    """

    def __init__(
        self,
        config: CoreConfig,
        count: int,
        *,
        seed: int,
        lower: int,
        upper: int,
        offset: int = 0,
        pooling: bool = True,
        entries: range | None = None,
    ) -> None:
        self.config = config
        self.bounds = lower, upper
        self.offset = offset
        rng = np.random.default_rng(seed)
        lanes = config.post_lanes
        self._entries = entries or range(parameter_entries(config))
        self.parameters = random_samples(parameter_entries(config) * lanes, rng, max_left_shift=config.max_left_shift)
        entry = rng.choice(np.array(self._entries), count)
        chosen = self.parameters[entry[:, None] * lanes + np.arange(lanes)]
        # Accumulators for which one of the lanes' outputs is near a tie, and their neighbours.
        accumulators = chosen.accumulator + rng.integers(-2, 3, chosen.accumulator.shape)
        half = 1 << (config.sum_bits - 1)
        chosen = chosen.with_accumulator((accumulators + half) % (2 * half) - half)
        slots = list(self._slots(count, rng, pooling))
        destinations = rng.integers(0, 1 << DESTINATION_BITS, count)
        self.beats = [
            {
                "accumulators": chosen.accumulator[number].tolist(),
                "parameters": int(entry[number]),
                "slot": slot,
                "pool_first": first,
                "pool_last": last,
                "destination": int(destinations[number]),
            }
            for number, (slot, first, last) in enumerate(slots)
        ]
        self.outputs = list(self._expected(chosen))

    def parameter_writes(self) -> Iterator[dict[str, Any]]:
        """The entries in use, byte plane by byte plane."""
        lanes = self.config.post_lanes
        for address in self._entries:
            maps = range(address * lanes, (address + 1) * lanes)
            entry = [pack(MapParameters, self.parameters.parameters(index)) for index in maps]
            for plane in range(PARAMETER_PLANES):
                yield {
                    "address": address,
                    "plane": plane,
                    "data": [word >> 8 * plane & 0xFF for word in entry],
                }

    def _slots(self, count: int, rng: np.random.Generator, pooling: bool) -> Iterator[tuple[int, int, int]]:
        """(slot, pool_first, pool_last); a slot often comes twice at once."""
        slots = pooling_slots(self.config)
        remaining = [0] * slots
        slot = 0
        for number in range(count):
            slot = slot if rng.random() < 0.4 else int(rng.integers(slots))
            left = count - number
            if sum(map(bool, remaining)) and left <= sum(remaining):
                slot = next(s for s in range(slots) if remaining[s])
            first = not remaining[slot]
            if first:
                longest = left - sum(remaining)
                remaining[slot] = int(rng.integers(1, 1 + min(longest, 6))) if pooling else 1
            remaining[slot] -= 1
            yield slot, int(first), int(not remaining[slot])

    def _expected(self, chosen: Samples) -> Iterator[dict[str, Any]]:
        values = chosen.requantised(*self.bounds, offset=self.offset)
        maxima: dict[int, Any] = {}
        for beat, value in zip(self.beats, values, strict=True):
            slot = beat["slot"]
            maxima[slot] = value if beat["pool_first"] else np.maximum(maxima[slot], value)
            if beat["pool_last"]:
                stored = maxima[slot] & ((1 << self.config.activation_bits) - 1)
                yield {"data": stored.tolist(), "destination": beat["destination"]}
