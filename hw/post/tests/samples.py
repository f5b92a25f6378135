"""Accumulators and parameters for benches of the post-processor, and what the golden model makes of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.golden.fixed_point import (
    multiply_by_quantised_multiplier,
    multiply_rounding_once,
    wrap_int32,
)

Ints = npt.NDArray[np.int64]

SMALLEST_SHIFT = -31
_INT32 = (-(1 << 31), (1 << 31) - 1)


@dataclass(frozen=True)
class Samples:
    """Arrays of one shape: an accumulator and the parameters of its map."""

    accumulator: Ints
    bias: Ints
    multiplier: Ints
    shift: Ints
    single_rounding: Ints

    def __len__(self) -> int:
        return len(self.accumulator)

    def __getitem__(self, index: Any) -> Samples:
        return Samples(**{name: values[index] for name, values in vars(self).items()})

    def with_accumulator(self, accumulator: Ints) -> Samples:
        return Samples(**(vars(self) | {"accumulator": accumulator}))

    def parameters(self, index: int) -> dict[str, int]:
        """The fields of `MapParameters` of one sample."""
        return {name: int(values[index]) for name, values in vars(self).items() if name != "accumulator"}

    def requantised(self, lower: int, upper: int, offset: int = 0) -> Ints:
        """Distances from the zero point, by the golden model, plus an offset, clamped."""
        total = wrap_int32(self.accumulator + self.bias)
        double = multiply_by_quantised_multiplier(total, self.multiplier, self.shift)
        single = multiply_rounding_once(total, self.multiplier, self.shift)
        return np.clip(np.where(self.single_rounding, single, double) + offset, lower, upper)


def random_samples(count: int, rng: np.random.Generator, *, max_left_shift: int) -> Samples:
    """All shifts, and accumulators of all sizes: a third near a tie of outputs, some at the ends of int32."""
    shift = rng.integers(SMALLEST_SHIFT, max_left_shift + 1, count)
    multiplier = _pick(rng, rng.integers(1 << 30, 1 << 31, count), 0, 1 << 30, (1 << 30) + 1, (1 << 31) - 1)
    total = rng.integers(*_INT32, count, endpoint=True) >> rng.integers(0, 32, count)
    total = np.where(rng.random(count) < 1 / 3, _near_ties(multiplier, shift, rng), total)
    total = _pick(rng, total, *_INT32, 0, -1, 1)
    bias = _pick(rng, rng.integers(*_INT32, count, endpoint=True), 0, *_INT32)
    return Samples(wrap_int32(total - bias), bias, multiplier, shift, rng.integers(0, 2, count))


def corner_samples(*, max_left_shift: int) -> Samples:
    """Every shift with the extreme multipliers and accumulators at, one below and one above each tie."""
    shifts = range(SMALLEST_SHIFT, max_left_shift + 1)
    multipliers = (0, 1 << 30, (1 << 30) + 1, 3 << 29, (1 << 31) - 1)
    # Bounds of an activation, of what an offset brings back to them, and of a lane's range.
    outputs = (-513, -512, -511, -256, -255, -2, -1, 0, 1, 2, 255, 256, 510, 511, 512)
    rows = []
    for shift in shifts:
        for multiplier in multipliers:
            for total in (*_INT32, *_around_ties(multiplier, shift, outputs)):
                rows += [(total, 0, multiplier, shift, single) for single in (0, 1)]
    return Samples(*np.array(rows, np.int64).T)


def _around_ties(multiplier: int, shift: int, outputs: tuple[int, ...]) -> set[int]:
    if not multiplier:
        return {0}
    ties = [(2 * output + 1 << 30 - shift) // multiplier for output in outputs]
    return {tie + offset for tie in ties for offset in (-1, 0, 1, 2) if _INT32[0] <= tie + offset <= _INT32[1]}


def _near_ties(multiplier: Ints, shift: Ints, rng: np.random.Generator) -> Ints:
    """Accumulators whose outputs lie close to a half, as far as they fit in 32 bits."""
    half_outputs = 2 * rng.integers(-600, 600, len(shift)) + 1
    quotient = half_outputs * np.exp2(30.0 - shift) / np.maximum(multiplier, 1 << 30)
    ties = np.floor(np.clip(quotient, *_INT32)).astype(np.int64)
    return wrap_int32(ties + rng.integers(-1, 3, len(shift)))


def _pick(rng: np.random.Generator, values: Ints, *special: int) -> Ints:
    """The values, with each of the special ones in some places."""
    choice = rng.integers(0, 20 * len(special), len(values))
    return np.where(choice < len(special), np.array(special)[choice % len(special)], values)
