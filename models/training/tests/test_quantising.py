import numpy as np
import pytest

from models.training.quantising import quantise_activations, quantise_weights


@pytest.mark.parametrize("shape", [(1, 2), (5, 7), (4, 3, 3, 3)])
def test_weights_are_within_half_a_step_and_keep_their_zeros(shape):
    rng = np.random.default_rng(0)
    weights = (rng.normal(size=shape) * (rng.random(shape) < 0.7)).astype(np.float32)
    weights.flat[0] = 1e-9  # far below a step, but not pruned
    bias = rng.normal(size=shape[0]).astype(np.float32)
    quantised = quantise_weights(weights, bias, 0.02)
    steps = quantised.scales.reshape(-1, *[1] * (len(shape) - 1))
    assert ((quantised.weights == 0) == (weights == 0)).all()
    error = abs(quantised.weights * steps - weights) / steps
    assert error.max() < 1 and (error > 0.5).sum() <= ((weights != 0) & (abs(weights) < steps / 2)).sum()
    assert quantised.weights.dtype == np.int8 and abs(quantised.weights.astype(int)).max() == 127
    np.testing.assert_allclose(quantised.bias * quantised.scales * 0.02, bias, atol=float(steps.max()) * 0.02)


def test_kernels_of_next_to_nothing_have_a_scale_and_a_bias():
    weights = np.array([[0, 0], [0, 1e-30], [0, 0]], np.float32)
    bias = np.array([1, -1, 0], np.float32)
    quantised = quantise_weights(weights, bias, 0.5)
    assert (quantised.weights != 0).tolist() == (weights != 0).tolist()
    np.testing.assert_allclose(quantised.bias * quantised.scales.astype(np.float64) * 0.5, bias, rtol=1e-6)


@pytest.mark.parametrize(("low", "high"), [(0, 6), (-3, 5), (-4, 0), (2, 3)])
def test_activations_are_within_half_a_step_and_zero_is_exact(low, high):
    values = np.linspace(low, high, 1000, dtype=np.float32)
    quantisation = quantise_activations(values)
    scale, zero = float(quantisation.scale[0]), int(quantisation.zero_point[0])
    assert scale == np.float32(scale) and -128 <= zero <= 127
    assert zero == -128 or low < 0
    assert zero == 127 or high > 0
    integers = np.clip(np.rint(values / scale) + zero, -128, 127)
    assert abs((integers - zero) * scale - values).max() <= scale * 1.01


def test_a_rare_outlier_saturates():
    values = np.append(np.random.default_rng(1).uniform(0, 1, 1_000_000), 2.2).astype(np.float32)
    assert 1.0 <= float(quantise_activations(values).scale[0]) * 255 < 1.5


def test_an_activation_that_is_always_zero():
    quantisation = quantise_activations(np.zeros(5, np.float32))
    assert float(quantisation.scale[0]) > 0
