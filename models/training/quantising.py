"""From real weights and observed activations to int8: post-training quantisation.

Weights are symmetric with a scale for each output, so a zero stays a zero; activations are asymmetric with one scale
and zero point, which stands for 0.0 exactly. Rectified activations have the zero point -128: the lowest integer is
0.0, and saturation is the rectifier.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.tensor import Quantisation

_LEVELS = 255
_LOWEST, _HIGHEST = -128, 127
_LARGEST_WEIGHT = 127
_LARGEST_BIAS = 1 << 30
# Shares of the observed range that are tried.
_SHARES = np.linspace(0.4, 1, 31)


@dataclass(frozen=True, eq=False)
class QuantisedWeights:
    """A step's weights and biases.

    Attributes:
        weights: int8, outputs first.
        scales: float32[outputs].
        bias: int32[outputs], in steps of the input's scale times the weights'.
    """

    weights: npt.NDArray[np.int8]
    scales: npt.NDArray[np.float32]
    bias: npt.NDArray[np.int32]


def quantise_weights(
    weights: npt.NDArray[np.float32], bias: npt.NDArray[np.float32], input_scale: float
) -> QuantisedWeights:
    """Weights and biases in int8 and int32, with exactly the zeros that the real weights have.

    A weight too small for a step becomes one step, not 0: pruning has kept it, and partitions stay as full as they are.
    """
    rows = abs(weights).reshape(len(weights), -1).max(axis=1)
    # Where a kernel is next to nothing, its scale is still large enough for its bias to fit.
    scales = np.maximum(rows / _LARGEST_WEIGHT, abs(bias) / input_scale / _LARGEST_BIAS)
    scales = np.where(scales > 0, scales, 1).astype(np.float32)
    steps = weights / scales.reshape(-1, *[1] * (weights.ndim - 1))
    rounded = np.rint(steps)
    rounded = np.where(rounded == 0, np.sign(weights), rounded)
    integers = np.clip(rounded, -_LARGEST_WEIGHT, _LARGEST_WEIGHT).astype(np.int8)
    return QuantisedWeights(
        integers, scales, np.rint(bias / (scales.astype(np.float64) * input_scale)).astype(np.int32)
    )


def quantise_activations(values: npt.NDArray[np.float32]) -> Quantisation:
    """The scale and zero point with the least squared error on observed values.

    The range holds 0.0, and is that of the values or smaller: a few outliers saturate if the others gain more.
    """
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    if low == high:
        return Quantisation.per_tensor(1.0)
    candidates = [_affine(low * share, high * share) for share in _SHARES]
    errors = [_squared_error(values, candidate) for candidate in candidates]
    return candidates[int(np.argmin(errors))]


def _affine(low: float, high: float) -> Quantisation:
    """The quantisation of a range that holds 0.0; its scale is what a file holds, a float32."""
    scale = float(np.float32((high - low) / _LEVELS))
    return Quantisation.per_tensor(scale, int(np.clip(round(_LOWEST - low / scale), _LOWEST, _HIGHEST)))


def _squared_error(values: npt.NDArray[np.float32], quantisation: Quantisation) -> float:
    scale, zero = float(quantisation.scale[0]), int(quantisation.zero_point[0])
    integers = np.clip(np.rint(values / np.float32(scale)), _LOWEST - zero, _HIGHEST - zero)
    return float(np.square(integers * np.float32(scale) - values).sum(dtype=np.float64))
