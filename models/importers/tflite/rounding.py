"""Fixed-point factors that equal the reference kernel's floating-point requantisation.

The reference kernel of fully connected layers does not use a fixed-point multiplier: it computes
``round(accumulator * scale)`` in double precision. An output of 8 bits has at most 255 thresholds:
accumulators at which it steps up by one. A multiplier that steps at the same accumulators is the same
function. Each threshold bounds the multiplier from below and above; any value within all bounds will do.

There may be none if accumulators reach about 2^24 and beyond, where one step of the accumulator can be less
than the resolution of 31 bits. The nearest multiplier then differs, by 1 LSB, at single accumulators next to
a threshold: `models/tests/test_rounding.py` bounds it.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from models.golden.fixed_point import quantise_multiplier
from models.layers import Pair, Requantisation, Rounding
from models.network import NetworkError

_INT32 = (-(1 << 31), (1 << 31) - 1)


def accumulator_ranges(weights: npt.NDArray[np.int8], bias: npt.NDArray[np.int32], input_zero_point: int) -> list[Pair]:
    """Lowest and highest accumulator of each output (first axis of ``weights``) over all int8 inputs."""
    rows = weights.reshape(len(weights), -1).astype(np.int64)
    positive, negative = np.maximum(rows, 0).sum(axis=1), np.minimum(rows, 0).sum(axis=1)
    low, high = -128 - input_zero_point, 127 - input_zero_point
    lowest = np.maximum(bias + positive * low + negative * high, _INT32[0])
    highest = np.minimum(bias + positive * high + negative * low, _INT32[1])
    return [(int(a), int(b)) for a, b in zip(lowest, highest, strict=True)]


def single_rounding(
    factors: Sequence[float], ranges: Sequence[Pair], activation: Pair, output_zero_point: int
) -> Requantisation:
    """One fixed-point factor an output, to equal ``round(accumulator * factor)`` within ``ranges``.

    Args:
        factors: one real factor an output, or one for all.
        ranges: reachable accumulators of each output.
        activation, output_zero_point: outputs beyond the clamp need no threshold.

    Raises:
        NetworkError: a factor is out of range.
    """
    steps = (activation[0] - output_zero_point + 1, activation[1] - output_zero_point)
    if len(factors) == 1:
        widest = (min(low for low, _ in ranges), max(high for _, high in ranges))
        pairs = [_fixed_point(factors[0], widest, steps)] * len(ranges)
    else:
        pairs = [_fixed_point(factor, reach, steps) for factor, reach in zip(factors, ranges, strict=True)]
    table = np.array(pairs, np.int32)
    return Requantisation(table[:, 0].copy(), table[:, 1].copy(), Rounding.SINGLE)


def _round_half_away(x: float) -> int:
    return int(math.copysign(math.floor(abs(x) + 0.5), x)) if abs(x) < 1 << 52 else int(x)


def _threshold(factor: float, step: int) -> int:
    """The lowest accumulator whose product rounds to ``step`` or more."""
    accumulator = math.ceil((step - 0.5) / factor)
    while _round_half_away(accumulator * factor) >= step:
        accumulator -= 1
    while _round_half_away(accumulator * factor) < step:
        accumulator += 1
    return accumulator


def _thresholds(factor: float, reach: Pair, steps: Pair) -> Iterable[tuple[int, int]]:
    lowest = max(steps[0], _round_half_away(reach[0] * factor))
    highest = min(steps[1], _round_half_away(reach[1] * factor) + 1)
    return ((step, _threshold(factor, step)) for step in range(lowest, highest + 1))


def _fixed_point(factor: float, reach: Pair, steps: Pair) -> Pair:
    """(multiplier, shift) that steps where ``round(accumulator * factor)`` does, if there is one."""
    try:
        nominal, shift = quantise_multiplier(factor)
    except ValueError as error:
        raise NetworkError(str(error)) from None
    if not nominal:
        return 0, 0
    low, high = 1 << 30, (1 << 31) - 1
    for step, threshold in _thresholds(factor, reach, steps):
        # The product rounds to `step` or more when it is at least this, in units of 2 ** (shift - 31).
        bar = (2 * step - 1) << (30 - shift)
        if threshold <= reach[1]:
            low, high = _bound(threshold, bar, low, high)
        if threshold > reach[0]:
            low, high = _bound(1 - threshold, 1 - bar, low, high)
    return min(max(nominal, low), high) if low <= high else nominal, shift


def _bound(accumulator: int, bar: int, low: int, high: int) -> Pair:
    """Narrow [low, high] to the multipliers for which ``accumulator * multiplier >= bar``."""
    if accumulator > 0:
        return max(low, -(-bar // accumulator)), high
    if accumulator < 0:
        return low, min(high, bar // accumulator)
    return (low, high) if bar <= 0 else (1, 0)
