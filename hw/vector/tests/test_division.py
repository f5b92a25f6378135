"""One multiplication, rounded once, is the reference's division: for all sums that a window can have."""

import numpy as np
import pytest

from hw.vector.tests.division import division
from models.golden.fixed_point import multiply_rounding_once
from models.golden.pooling import average_pool_2d
from models.layers import AveragePool2D

ALL_SUMS = (*range(1, 65), 81, 100, 121, 125, 128, 144, 169, 196, 225)
"""Counts up to the largest kernel, each with every sum."""

LARGE = (256, 325, 625, 1024, 4095, 4096, 511 * 511)


def golden_averages(count: int, sums: np.ndarray) -> np.ndarray:
    """The average pool of windows with these sums: one a channel, its values as equal as can be."""
    low, rest = np.divmod(sums, count)
    values = (low + (np.arange(count)[:, None] < rest)).astype(np.int8)
    layer = AveragePool2D(
        name="pool",
        inputs=("x",),
        output="y",
        kernel=(1, count),
        stride=(1, 1),
        padding=((0, 0), (0, 0)),
        activation=(-128, 127),
    )
    return average_pool_2d(layer, values[None, None])[0, 0, 0]


def check(count: int, sums: np.ndarray, golden: np.ndarray) -> None:
    """For three zero points, and within the post-processor's limits."""
    for zero_point in (-128, 0, 127):
        fields = division(count, zero_point)
        assert 0 < fields["multiplier"] < 1 << 31 and -31 <= fields["shift"] <= 1
        accumulator = sums - count * zero_point
        total = accumulator + fields["bias"]
        assert abs(total).max() < 1 << 31
        averages = multiply_rounding_once(total, fields["multiplier"], fields["shift"])
        wrong = np.flatnonzero(averages != golden)
        assert not len(wrong), f"{count} positions, sum {sums[wrong[0]]}: {averages[wrong[0]]}, not {golden[wrong[0]]}"


@pytest.mark.parametrize("count", ALL_SUMS)
def test_every_sum(count):
    sums = np.arange(-128 * count, 127 * count + 1)
    check(count, sums, golden_averages(count, sums))


@pytest.mark.parametrize("count", LARGE)
def test_sums_around_halves_of_large_windows(count):
    """Every half between two averages, and what is next to it."""
    halves = (2 * np.arange(-128, 127) + 1) * count // 2
    sums = np.unique(np.clip(halves[:, None] + np.arange(-2, 3), -128 * count, 127 * count))
    magnitude = (abs(sums) + count // 2) // count
    golden = np.copysign(magnitude, sums).astype(np.int64)
    check(count, sums, golden)
    if count <= 1024:
        assert (golden == golden_averages(count, sums)).all()
