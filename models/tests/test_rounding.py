"""Fixed-point factors that must equal floating-point requantisation on every accumulator."""

import numpy as np
import pytest

from models.golden.fixed_point import requantise, round_half_away
from models.importers.tflite.rounding import accumulator_ranges, single_rounding
from models.layers import Requantisation, Rounding


def assert_equal(factor: float, reach: tuple[int, int], activation: tuple[int, int], zero_point: int) -> None:
    scaling = single_rounding([factor], [reach], activation, zero_point)
    assert scaling.rounding is Rounding.SINGLE
    accumulators = np.arange(reach[0], reach[1] + 1)
    expected = np.clip(round_half_away(accumulators * factor) + zero_point, *activation)
    got = requantise(accumulators[:, np.newaxis], scaling, zero_point, activation)[:, 0]
    message = f"factor {factor!r}, reach {reach}, activation {activation}, zero point {zero_point}"
    np.testing.assert_array_equal(got, expected, err_msg=message)


@pytest.mark.parametrize("seed", range(60))
def test_equals_on_every_accumulator(seed):
    rng = np.random.default_rng(seed)
    factor = float(np.exp2(rng.uniform(-14, 3)))
    zero_point = int(rng.integers(-128, 128))
    low = int(rng.integers(-128, 127))
    high = int(rng.integers(low + 1, 128))
    reach = sorted(rng.integers(-200_000, 200_000, 2).tolist())
    assert_equal(factor, (reach[0], reach[1]), (low, high), zero_point)


@pytest.mark.parametrize("factor", [0.5, 0.25, 1.5, 2.0**-9, 3 * 2.0**-11, 0.1, 1.0, 100.0])
def test_halves_round_away_from_zero(factor):
    """Factors with products halfway between integers, where the nearest multiplier would round half up."""
    assert_equal(factor, (-5000, 5000), (-128, 127), 3)


def test_nearest_multiplier_is_not_enough():
    """The case that the search is for: with 0.5's own multiplier, -1 would become 0 and not -1."""
    naive = Requantisation(np.array([1 << 30], np.int32), np.array([0], np.int32), Rounding.SINGLE)
    assert requantise(np.array([-1]), naive, 0, (-128, 127)) == 0
    assert_equal(0.5, (-300, 300), (-128, 127), 0)


def test_ranges_are_reached():
    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, (5, 9), dtype=np.int8)
    bias = rng.integers(-1000, 1000, 5).astype(np.int32)
    for row, offset, (low, high) in zip(weights, bias, accumulator_ranges(weights, bias, 17), strict=True):
        extremes = [np.where(row * sign > 0, 127, -128) for sign in (1, -1)]
        sums = [int((row.astype(int) * (x - 17)).sum() + offset) for x in extremes]
        assert (max(sums), min(sums)) == (high, low)


def test_one_factor_serves_every_output():
    scaling = single_rounding([0.01], [(-100, 100), (-30_000, 20_000)], (-128, 127), 0)
    assert scaling.multiplier.shape == (2,)
    assert scaling.multiplier[0] == scaling.multiplier[1]


def test_difference_is_bounded_where_no_multiplier_is_exact():
    """With accumulators of up to 2^31: at most 1 LSB, at no more than one accumulator for each threshold."""
    reach, activation = (-(1 << 31), (1 << 31) - 1), (-128, 127)
    inexact = 0
    for k in range(50):
        factor = 1e-7 * (1 + k * 1e-4)
        scaling = single_rounding([factor], [reach], activation, 0)
        steps = np.arange(-127, 128)
        near = np.rint((steps - 0.5) / factor).astype(np.int64)[:, np.newaxis] + np.arange(-20, 21)
        expected = np.clip(round_half_away(near * factor), *activation)
        difference = requantise(near[..., np.newaxis], scaling, 0, activation)[..., 0] - expected
        assert abs(difference).max() <= 1, f"factor {factor!r}"
        assert (abs(difference).sum(axis=1) <= 1).all(), f"factor {factor!r}"
        inexact += difference.any()
    assert inexact, "the case that this test is for did not occur"
