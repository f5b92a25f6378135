"""Fixed-point factors against the floating-point requantisation that they stand for."""

from dataclasses import replace

import numpy as np
import pytest

from models.golden.fixed_point import requantise
from models.importers.onnx.rounding import requantisation
from models.layers import Rounding
from models.network import NetworkError

INT8 = (-128, 127)


def draw(seed: int) -> tuple[np.float32, np.ndarray]:
    """A factor as float32, and every accumulator (or 100,000 of them) that does not saturate."""
    rng = np.random.default_rng(seed)
    factor = np.float32(np.exp(rng.uniform(np.log(1e-6), 0)))
    reach = int(127 / factor)
    return factor, np.arange(-reach, reach + 1) if reach < 50_000 else rng.integers(-reach, reach + 1, 100_000)


def reference(accumulators: np.ndarray, factor: np.float32) -> np.ndarray:
    """ONNX Runtime's requantisation to zero point 0."""
    return np.clip(np.rint(accumulators.astype(np.float32) * factor), *INT8)


def wrong(accumulators: np.ndarray, factor: np.float32, rounding: Rounding = Rounding.SINGLE) -> np.ndarray:
    scaling = replace(requantisation([float(factor)]), rounding=rounding)
    return requantise(accumulators[:, np.newaxis], scaling, 0, INT8)[:, 0] - reference(accumulators, factor)


@pytest.mark.parametrize("seed", range(30))
def test_differs_only_where_float32_cannot_tell_a_half(seed):
    factor, accumulators = draw(seed)
    difference = wrong(accumulators, factor)
    product = accumulators * float(factor)
    from_half = abs(product - np.floor(product) - 0.5)
    differs = difference != 0
    assert abs(difference).max() <= 1 and (from_half[differs] <= abs(product[differs]) * 2.0**-23).all(), f"seed {seed}"


def test_differences_are_rare():
    differs = np.concatenate([wrong(accumulators, factor) != 0 for factor, accumulators in map(draw, range(100))])
    assert 0 < differs.mean() < 1e-4


def test_double_rounding_would_differ_more():
    factor = np.float32(0.73 * 2**-5)
    accumulators = np.arange(-4000, 4000)
    assert (
        np.mean(wrong(accumulators, factor) != 0) < 0.001 < np.mean(wrong(accumulators, factor, Rounding.DOUBLE) != 0)
    )


@pytest.mark.parametrize("shift", range(1, 12))
def test_powers_of_two_differ_at_every_second_half(shift):
    accumulators = np.arange(-(1 << shift) * 126, (1 << shift) * 126)
    difference = wrong(accumulators, np.float32(2.0**-shift))
    halves = accumulators % (1 << shift) == 1 << (shift - 1)
    assert set(np.unique(difference)) == {0, 1} and not difference[~halves].any()
    assert difference[halves].mean() == 0.5


@pytest.mark.parametrize("factor", [-1.0, float("nan"), 2.0**30])
def test_impossible_factors_are_refused(factor):
    with pytest.raises(NetworkError, match="scaling factor"):
        requantisation([factor])
