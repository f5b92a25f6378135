"""Random operations for benches of the MAC array."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from hw.config import CoreConfig

TAG_BITS = 12


def random_operations(config: CoreConfig, count: int, rng: random.Random) -> Iterator[dict[str, Any]]:
    """Operations full of extremes; indices repeat often, at once and after one or two others.

    The last one has `last` set, so that the sequence ends with a result.
    """
    lanes = range(config.lanes)
    indices = [[rng.randrange(config.accumulators) for _ in lanes] for _ in range(3)]
    for number in range(count):
        if rng.random() < 0.2:
            indices[rng.randrange(3)] = [rng.randrange(config.accumulators) for _ in lanes]
        yield {
            "activations": [_extreme(config.operand_bits, rng) for _ in lanes],
            "weights": [_extreme(config.weight_bits, rng) for _ in lanes],
            "index": rng.choice(indices),
            "mask": rng.choice([0, (1 << config.lanes) - 1, rng.getrandbits(config.lanes)]),
            "first": int(rng.random() < 0.2),
            "last": int(number == count - 1 or rng.random() < 0.3),
            "tag": rng.getrandbits(TAG_BITS),
        }


def constant_operation(config: CoreConfig, *, first: bool = False, last: bool = False, tag: int = 0) -> dict[str, Any]:
    """All lanes add 1 to accumulator 0."""
    ones = [1] * config.lanes
    return {
        "activations": ones,
        "weights": ones,
        "index": [0] * config.lanes,
        "mask": (1 << config.lanes) - 1,
        "first": int(first),
        "last": int(last),
        "tag": tag,
    }


def _extreme(bits: int, rng: random.Random) -> int:
    half = 1 << (bits - 1)
    return rng.choice([-half, half - 1, 0, 1, -1, rng.randrange(-half, half)])
