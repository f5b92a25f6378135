"""Seeded feature maps with a given share of zeros, for layers whose true inputs cannot be had."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_SPREAD = 4.0
"""Shape of the gamma distribution of the channels' activities: their standard deviation is half of their mean."""


def feature_map(
    shape: tuple[int, int, int], zero_share: float, seed: int, bits: int = 8
) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """A map as a rectifier leaves it: uint8, or uint16, [height, width, channels], 0 where the real value is.

    The share of zeros is exact, to one element. They are spread as in trained networks: some channels are active nearly
    everywhere, others nearly nowhere. An element is not zero if it is among the largest of u^(1/activity), u uniform.
    """
    rng = np.random.default_rng(seed)
    values = rng.integers(1, 1 << bits, shape, dtype={8: np.uint8, 16: np.uint16}[bits])
    activity = rng.gamma(_SPREAD, size=shape[2])
    rank = np.log(rng.random(shape, dtype=np.float32)) / activity.astype(np.float32)
    zeros = round(zero_share * values.size)
    if zeros:
        values.ravel()[np.argpartition(rank, zeros - 1, axis=None)[:zeros]] = 0
    return values
