"""Layers that reduce: pooling and mean."""

from dataclasses import dataclass

from models.layers.base import Layer, Pair, Requantisation, WindowLayer
from models.tensor import Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Pool2D(WindowLayer):
    """Pooling over a window; padding positions take no part. ``kernel`` is (height, width)."""

    kernel: Pair
    activation: Pair

    def infer_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        return (1, *self._slide(shape, self.kernel), shape[3])


@dataclass(frozen=True, eq=False, kw_only=True)
class AveragePool2D(Pool2D):
    """Average of the window's positions inside the input, halves rounded away from zero."""

    op = "average_pool_2d"


@dataclass(frozen=True, eq=False, kw_only=True)
class RescaledAveragePool2D(Pool2D):
    """Average, and a change of scale, rounded once (ONNX Runtime's QLinearAveragePool).

    A window's sum of ``q - input_zero_point`` over its positions inside the input is requantised by a factor that
    includes the division.

    Attributes:
        counts: the divisors that windows have, ascending: positions inside the input, or (``padding_counts``) all.
        requantisation: one factor for each of them.
    """

    op = "average_pool_2d"
    counts: tuple[int, ...]
    padding_counts: bool
    requantisation: Requantisation
    input_zero_point: int
    output_zero_point: int


@dataclass(frozen=True, eq=False, kw_only=True)
class MaxPool2D(Pool2D):
    """Maximum of the window's positions inside the input."""

    op = "max_pool_2d"


@dataclass(frozen=True, eq=False, kw_only=True)
class Mean(Layer):
    """Mean over ``axes``, which exclude the batch.

    The fixed-point factor ``multiplier * 2 ** (shift - 31)`` includes the division by the number of
    elements; its multiplier may therefore lie below 2^30.
    """

    op = "mean"
    axes: tuple[int, ...]
    keep_dims: bool
    multiplier: int
    shift: int
    input_zero_point: int
    output_zero_point: int

    def infer_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if any(not 0 < axis < len(shape) for axis in self.axes):
            raise self.refuse(f"mean over dimensions {list(self.axes)} of an input of shape {list(shape)}")
        sizes = (
            (1 if i in self.axes else size) for i, size in enumerate(shape) if self.keep_dims or i not in self.axes
        )
        return tuple(sizes)
