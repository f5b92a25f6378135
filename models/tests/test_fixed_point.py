"""Fixed-point arithmetic against its definition in whole and rational numbers of any size."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest

from models.golden.fixed_point import (
    multiply_by_quantised_multiplier,
    multiply_rounding_once,
    quantise_multiplier,
    requantise,
    round_half_away,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
    wrap_int32,
)
from models.layers import Requantisation, Rounding

INT32 = (-(1 << 31), (1 << 31) - 1)
EDGES = [*INT32, -1, 0, 1, 2, -2, 1 << 30, -(1 << 30), (1 << 30) - 1, 12345, -98765]


def half_up(x: Fraction) -> int:
    return floor(x + Fraction(1, 2))


def half_away(x: Fraction) -> int:
    return half_up(abs(x)) * (1 if x >= 0 else -1)


def wrap(x: int) -> int:
    return (x + (1 << 31)) % (1 << 32) - (1 << 31)


def values(seed: int, count: int = 300) -> list[int]:
    return EDGES + np.random.default_rng(seed).integers(*INT32, count, endpoint=True).tolist()


def test_high_mul():
    first, second = values(1), values(2)
    got = saturating_rounding_doubling_high_mul(first, second)
    assert got.tolist() == [
        min(half_up(Fraction(a * b, 1 << 31)), INT32[1]) for a, b in zip(first, second, strict=True)
    ]
    assert saturating_rounding_doubling_high_mul(INT32[0], INT32[0]) == INT32[1]


@pytest.mark.parametrize("exponent", [0, 1, 2, 7, 30, 31])
def test_divide_by_power_of_two(exponent):
    # Every half of small magnitude, and the edges.
    numbers = [*values(3), *(k << exponent >> 1 for k in range(-9, 10))]
    got = rounding_divide_by_pot(numbers, exponent)
    assert got.tolist() == [half_away(Fraction(x, 1 << exponent)) for x in numbers]


@pytest.mark.parametrize("shift", [-31, -9, -1, 0, 1, 5, 30])
def test_multiply(shift):
    numbers = values(4)
    multiplier = 1_518_500_250
    high = [half_up(Fraction(wrap(x << max(shift, 0)) * multiplier, 1 << 31)) for x in numbers]
    expected = [half_away(Fraction(x, 1 << max(-shift, 0))) for x in high]
    assert multiply_by_quantised_multiplier(numbers, multiplier, shift).tolist() == expected


@pytest.mark.parametrize("shift", [-31, -9, -1, 0, 1, 5, 30])
def test_multiply_rounding_once(shift):
    numbers = values(5)
    multiplier = (1 << 31) - 1
    expected = [half_up(Fraction(x * multiplier, 1 << (31 - shift))) for x in numbers]
    assert multiply_rounding_once(numbers, multiplier, shift).tolist() == expected


@pytest.mark.parametrize("rounding", Rounding)
def test_requantise_each_channel_by_its_own_factor(rounding):
    scaling = Requantisation(np.array([1 << 30, (1 << 31) - 1, 0], np.int32), np.array([-3, 1, 0], np.int32), rounding)
    accumulator = np.arange(-300, 300, dtype=np.int32).reshape(-1, 3)
    together = requantise(accumulator, scaling, -7, (-100, 90))
    assert together.dtype == np.int8
    assert together.min() == -100 and together.max() == 90
    for channel in range(3):
        one = Requantisation(scaling.multiplier[[channel]], scaling.shift[[channel]], rounding)
        alone = requantise(accumulator[:, [channel]], one, -7, (-100, 90))
        np.testing.assert_array_equal(together[:, [channel]], alone)
    assert (together[:, 2] == -7).all()


def test_quantise_multiplier():
    rng = np.random.default_rng(6)
    for real in np.exp2(rng.uniform(-31, 29, 1000)):
        multiplier, shift = quantise_multiplier(real)
        assert 1 << 30 <= multiplier < 1 << 31
        assert abs(Fraction(multiplier) * Fraction(2) ** (shift - 31) / Fraction(real) - 1) <= Fraction(1, 1 << 31)


@pytest.mark.parametrize(
    ("real", "expected"),
    [
        (0.0, (0, 0)),
        (1.0, (1 << 30, 1)),
        (0.5, (1 << 30, 0)),
        (2.0**-32, (1 << 30, -31)),
        (2.0**-33, (0, 0)),
        (1 - 2.0**-40, (1 << 30, 1)),
    ],
)
def test_quantise_multiplier_edges(real, expected):
    assert quantise_multiplier(real) == expected


@pytest.mark.parametrize("real", [-1.0, float("nan"), float("inf"), 2.0**30])
def test_quantise_multiplier_refuses(real):
    with pytest.raises(ValueError, match="scaling factor"):
        quantise_multiplier(real)


def test_round_half_away():
    numbers = np.array([-2.5, -0.5, -0.49999997, 0.5, 1.5, 0.49999997, 2.0, -3.0], np.float32)
    assert round_half_away(numbers).tolist() == [-3, -1, 0, 1, 2, 0, 2, -3]
    assert round_half_away(numbers).dtype == np.float32


def test_wrap():
    assert wrap_int32([(1 << 31) - 1, 1 << 31, -(1 << 31) - 1]).tolist() == [INT32[1], INT32[0], INT32[1]]
