"""Sliding windows over feature maps."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from models.layers import Padding, Pair

# Bytes worked on at a time: they stay in the cache, and memory does not grow with the batch.
_BLOCK_BYTES = 1 << 20


def surround(x: npt.NDArray, padding: Padding, dtype: npt.DTypeLike, fill: int = 0, offset: int = 0) -> npt.NDArray:
    """``x - offset`` in ``dtype``, with ``fill`` around the rows and columns of x[N, H, W, C]."""
    (top, bottom), (left, right) = padding
    batch, height, width, channels = x.shape
    out = np.full((batch, top + height + bottom, left + width + right, channels), fill, dtype)
    np.subtract(x, offset, out=out[:, top : top + height, left : left + width], dtype=dtype)
    return out


def windows(x: npt.NDArray, kernel: Pair, stride: Pair, dilation: Pair = (1, 1)) -> npt.NDArray:
    """A view of every window of x[N, H, W, C]: (N, H_out, W_out, kernel height, kernel width, C)."""
    reach = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))
    view = np.lib.stride_tricks.sliding_window_view(x, reach, axis=(1, 2))
    view = view[:, :: stride[0], :: stride[1], :, :: dilation[0], :: dilation[1]]
    return view.transpose(0, 1, 2, 4, 5, 3)


def blocks(batch: int, bytes_per_image: int) -> Iterator[slice]:
    """Slices of a batch, each of one image or more, that take about `_BLOCK_BYTES`."""
    step = max(1, _BLOCK_BYTES // bytes_per_image)
    return (slice(first, first + step) for first in range(0, batch, step))
