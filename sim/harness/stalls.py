"""Stall profiles: how often, and for how long, the two sides of a stream make each other wait."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

THRESHOLD_BITS = 16
"""Precision of a stall probability in the Verilog player and recorder."""


@dataclass(frozen=True)
class StallProfile:
    """A two-state random process: each cycle it may decide anew whether to stall.

    Parameters
    ----------
    probability
        Chance that a decision is to stall, 0 to less than 1. It is also the mean share of stalled cycles.
    hold_log2
        A decision is held for 2**hold_log2 cycles on average, 0 to 8; 0 decides anew in each cycle.
    """

    probability: float = 0.0
    hold_log2: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.probability < 1:
            raise ValueError(f"stall probability is {self.probability}: give at least 0 and less than 1")
        if not 0 <= self.hold_log2 <= 8:
            raise ValueError(f"stall hold_log2 is {self.hold_log2}: give 0 to 8")

    @property
    def threshold(self) -> int:
        """The probability as the Verilog player and recorder take it."""
        return int(self.probability * (1 << THRESHOLD_BITS))

    def decisions(self, seed: int) -> Iterator[bool]:
        """Endless: for each cycle, whether to stall in it."""
        generator = random.Random(seed)
        stalled = False
        while True:
            if self.probability and generator.random() < 2.0**-self.hold_log2:
                stalled = generator.random() < self.probability
            yield stalled


PROFILES: Mapping[str, StallProfile] = {
    "none": StallProfile(),
    "random": StallProfile(0.5),
    "bursty": StallProfile(0.5, hold_log2=4),
    "slow": StallProfile(0.9),
}
"""The named profiles. A bench is worth little until it has passed with each of them."""

Stalls = str | StallProfile
"""A profile or the name of one."""


def stall_profile(stalls: Stalls) -> StallProfile:
    """The profile of that name, or the profile itself.

    Raises
    ------
    ValueError
        There is no profile of that name.
    """
    if isinstance(stalls, StallProfile):
        return stalls
    if stalls not in PROFILES:
        raise ValueError(f"no stall profile named '{stalls}': give one of {', '.join(PROFILES)}")
    return PROFILES[stalls]


def stream_seed(seed: int, name: str) -> int:
    """A 32-bit non-zero seed for the stream of that name, so that no two streams of a bench stall in step."""
    return zlib.crc32(f"{seed}/{name}".encode()) or 1


def stall_plusargs(name: str, stalls: Stalls, seed: int) -> list[str]:
    """How a Verilog player or recorder learns of its stalls."""
    profile = stall_profile(stalls)
    settings = {"stall": profile.threshold, "hold": profile.hold_log2, "seed": stream_seed(seed, name)}
    return [f"+{name}_{key}={value}" for key, value in settings.items()]
