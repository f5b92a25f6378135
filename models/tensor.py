"""Tensors and their quantisation."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np
import numpy.typing as npt

from models.errors import SkipstoneError

Shape = tuple[int, ...]


class NetworkError(SkipstoneError):
    """A network, layer or tensor that contradicts itself; the message names it."""


@dataclass(frozen=True, eq=False)
class Quantisation:
    """Affine quantisation: ``real = scale * (q - zero_point)``.

    Attributes:
        scale: float64[n], positive and finite; n = 1, or the length of ``axis``. Values read from a file are
            float32 values held exactly.
        zero_point: int64[n].
        axis: the dimension that the n entries belong to, or None when one entry serves the whole tensor.

    Raises:
        NetworkError: lengths differ, a scale is not positive and finite, or n is not 1 without an axis.
    """

    scale: npt.NDArray[np.float64]
    zero_point: npt.NDArray[np.int64]
    axis: int | None = None

    def __post_init__(self) -> None:
        if self.scale.ndim != 1 or self.scale.shape != self.zero_point.shape or not self.scale.size:
            raise NetworkError(
                f"quantisation has {self.scale.size} scales and {self.zero_point.size} zero points; "
                "they must be equally many, at least one"
            )
        if not (np.isfinite(self.scale).all() and (self.scale > 0).all()):
            raise NetworkError("a quantisation scale is not a positive, finite number")
        if self.axis is None and self.scale.size != 1:
            raise NetworkError(f"{self.scale.size} quantisation scales without an axis")

    @classmethod
    def per_tensor(cls, scale: float, zero_point: int = 0) -> "Quantisation":
        """One scale and zero point for a whole tensor."""
        return cls(np.array([scale], np.float64), np.array([zero_point], np.int64))

    @property
    def uniform(self) -> bool:
        """Whether one scale and zero point serve the whole tensor."""
        return self.scale.size == 1


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of a network, for batch 1.

    Attributes:
        name: unique in its network.
        shape: the dimensions; activations have the batch, 1, first, and feature maps are NHWC.
        dtype: of the elements.
        quantisation: None for real-valued and index tensors.
        data: the elements of a constant, of ``shape`` and ``dtype``; None for an activation.

    Raises:
        NetworkError: a dimension below 1, or data or quantisation that does not fit the shape.
    """

    name: str
    shape: Shape
    dtype: np.dtype
    quantisation: Quantisation | None = None
    data: npt.NDArray | None = None

    def __post_init__(self) -> None:
        if any(size < 1 for size in self.shape):
            raise NetworkError(f"tensor {self.name!r}: shape {list(self.shape)} has an empty dimension")
        if self.data is not None and (self.data.shape, self.data.dtype) != (self.shape, self.dtype):
            raise NetworkError(
                f"tensor {self.name!r}: data is {self.data.dtype}{list(self.data.shape)}, "
                f"not {self.dtype}{list(self.shape)}"
            )
        quantisation = self.quantisation
        if quantisation is not None and quantisation.axis is not None:
            axis = quantisation.axis
            if not 0 <= axis < len(self.shape) or quantisation.scale.size not in (1, self.shape[axis]):
                raise NetworkError(
                    f"tensor {self.name!r}: {quantisation.scale.size} scales on dimension {axis} "
                    f"of shape {list(self.shape)}"
                )

    @property
    def is_constant(self) -> bool:
        """Whether the file holds the tensor's values."""
        return self.data is not None

    @cached_property
    def size(self) -> int:
        """Elements, for batch 1."""
        return prod(self.shape)

    @property
    def scale(self) -> float:
        """The scale of a tensor quantised as a whole."""
        return float(self._uniform().scale[0])

    @property
    def zero_point(self) -> int:
        """The zero point of a tensor quantised as a whole."""
        return int(self._uniform().zero_point[0])

    def _uniform(self) -> Quantisation:
        if self.quantisation is None or not self.quantisation.uniform:
            raise NetworkError(f"tensor {self.name!r} is not quantised with one scale and zero point")
        return self.quantisation


def batched(shape: Sequence[int], batch: int) -> Shape:
    """An activation's shape for a batch: the leading 1 becomes ``batch``."""
    return (batch, *shape[1:])
