"""What the small random networks do not reach: long sums, large maps, wrapping accumulators, memory."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from models.golden.convolution import conv_2d, exact_float, fully_connected
from models.golden.fixed_point import requantise
from models.layers import Conv2D, FullyConnected, Requantisation
from models.tensor import Shape


def scaling(outputs: int, factor_shift: int) -> Requantisation:
    multipliers = np.full(outputs, 1_500_000_000, np.int32)
    return Requantisation(multipliers, np.full(outputs, factor_shift, np.int32))


def convolution(weights: np.ndarray, bias: np.ndarray, pad: int, shift: int) -> Conv2D:
    return Conv2D(
        name="conv_2d_0",
        inputs=("x",),
        output="y",
        weights=weights,
        bias=bias.astype(np.int32),
        stride=(1, 1),
        padding=((pad, pad), (pad, pad)),
        requantisation=scaling(len(weights), shift),
        input_zero_point=-128,
        output_zero_point=0,
        activation=(-128, 127),
    )


def wide_sums(layer: Conv2D, x: np.ndarray, pad: int) -> np.ndarray:
    """In 64-bit integers, one kernel position after the other."""
    centred = np.pad(x.astype(np.int64) - layer.input_zero_point, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    height, width = (size - kernel + 1 for size, kernel in zip(centred.shape[1:3], layer.kernel, strict=True))
    total = np.zeros((len(x), height, width, len(layer.weights)), np.int64) + layer.bias
    for row, column in np.ndindex(*layer.kernel):
        tap = centred[:, row : row + height, column : column + width]
        total += np.tensordot(tap, layer.weights[:, row, column].astype(np.int64), axes=(3, 1))
    return total


def expected(layer: Conv2D, x: np.ndarray, pad: int) -> np.ndarray:
    """What comes out of those sums, in accumulators of 32 bits."""
    return requantise(wide_sums(layer, x, pad).astype(np.int32), layer.requantisation, 0, (-128, 127))


@pytest.mark.parametrize(("channels", "dtype"), [(400, np.float32), (2000, np.float64)])
def test_long_sums_are_exact(channels, dtype):
    """The longer ones pass 2^24, beyond which float32 leaves integers out."""
    rng = np.random.default_rng(channels)
    weights = rng.choice([127, 126, -1], (3, 1, 1, channels), p=[0.8, 0.1, 0.1]).astype(np.int8)
    assert exact_float(weights, -128) is dtype
    layer = convolution(weights, np.zeros(3), 0, -19)
    x = rng.integers(100, 128, (2, 3, 3, channels), dtype=np.int8)
    got = conv_2d(layer, x, (1, 3, 3, 3))
    np.testing.assert_array_equal(got, expected(layer, x, 0))
    assert len(np.unique(got)) > 1


@pytest.mark.parametrize("largest", [200, 32767])
def test_activations_and_weights_of_16_bits(largest):
    """Sums of the largest weights wrap."""
    rng = np.random.default_rng(largest)
    weights = rng.integers(-largest, largest + 1, (3, 3, 3, 40), dtype=np.int16)
    narrow = convolution(weights, rng.integers(-5000, 5000, 3), 1, -14)
    layer = replace(narrow, input_zero_point=-32768, activation=(-32768, 32767))
    x = rng.integers(-32768, 32768, (2, 5, 6, 40), dtype=np.int16)
    got = conv_2d(layer, x, (1, 5, 6, 3))
    assert got.dtype == np.int16 and len(np.unique(got)) > 50
    total = wide_sums(layer, x, 1)
    assert (abs(total).max() >= 1 << 31) == (largest > 200)
    scaled = requantise(total.astype(np.int32), layer.requantisation, 0, (-32768, 32767), np.int16)
    np.testing.assert_array_equal(got, scaled)


def test_accumulators_wrap():
    """A bias at the end of int32 makes the sum wrap, as a 32-bit accumulator does."""
    weights = np.full((2, 1, 1, 4), 127, np.int8)
    layer = convolution(weights, np.array([(1 << 31) - 1, -(1 << 31)]), 0, -24)
    x = np.arange(-128, 128, dtype=np.int64).astype(np.int8).reshape(1, 8, 8, 4)
    x[0, 0, 0] = -128
    got = conv_2d(layer, x, (1, 8, 8, 2))
    np.testing.assert_array_equal(got, expected(layer, x, 0))
    assert (got[..., 0].min() < 0) and (got[..., 0].max() > 0)


@pytest.mark.parametrize("batch", [1, 3])
def test_large_map_within_bounded_memory(batch):
    """A map whose unfolded patches would take 58 MB an image."""
    rng = np.random.default_rng(0)
    layer = convolution(rng.integers(-127, 128, (8, 3, 3, 32), dtype=np.int8), np.zeros(8), 1, -12)
    x = rng.integers(-128, 128, (batch, 225, 225, 32), dtype=np.int8)
    tracemalloc.start()
    got = conv_2d(layer, x, (1, 225, 225, 8))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Two padded images in float32 of 6.6 MB, the result, and a few blocks of 1 MB.
    assert peak < 18e6 + got.nbytes
    np.testing.assert_array_equal(got, expected(layer, x, 1))


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (3, 20)])
def test_fully_connected_of_any_size(shape: Shape):
    rng = np.random.default_rng(0)
    outputs, depth = shape
    layer = FullyConnected(
        name="fully_connected_0",
        inputs=("x",),
        output="y",
        weights=rng.integers(-127, 128, shape, dtype=np.int8),
        bias=rng.integers(-999, 999, outputs).astype(np.int32),
        requantisation=scaling(outputs, -8),
        input_zero_point=5,
        output_zero_point=-3,
        activation=(-100, 100),
    )
    x = rng.integers(-128, 128, (4, depth), dtype=np.int8)
    total = (x.astype(np.int64) - 5) @ layer.weights.T.astype(np.int64) + layer.bias
    got = fully_connected(layer, x, (1, outputs))
    np.testing.assert_array_equal(got, requantise(total, layer.requantisation, -3, (-100, 100)))
