"""Layers that only move elements: reshape, pad and concatenation."""

from dataclasses import dataclass
from math import prod

from models.layers.base import Layer, Pair
from models.tensor import Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Reshape(Layer):
    """The same elements in the same order; ``shape`` is the output's for batch 1."""

    op = "reshape"
    shape: Shape

    def infer_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if prod(shape) != prod(self.shape):
            raise self.refuse(f"{list(shape)} cannot be reshaped to {list(self.shape)}")
        return self.shape


@dataclass(frozen=True, eq=False, kw_only=True)
class Pad(Layer):
    """``paddings[d] = (before, after)`` elements of ``value`` (quantised) around dimension d."""

    op = "pad"
    paddings: tuple[Pair, ...]
    value: int

    def infer_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        if len(shape) != len(self.paddings) or any(min(pair) < 0 for pair in self.paddings) or any(self.paddings[0]):
            raise self.refuse(f"paddings {[list(p) for p in self.paddings]} do not fit an input of shape {list(shape)}")
        return tuple(size + sum(pair) for size, pair in zip(shape, self.paddings, strict=True))


@dataclass(frozen=True, eq=False, kw_only=True)
class Concatenation(Layer):
    """Inputs of equal quantisation, one after the other along ``axis``, which is not the batch."""

    op = "concatenation"
    axis: int

    def infer_shape(self, *shapes: Shape) -> Shape:
        first = shapes[0]
        rest = {shape[: self.axis] + shape[self.axis + 1 :] for shape in shapes}
        if not 0 < self.axis < len(first) or len(rest) != 1 or any(len(shape) != len(first) for shape in shapes):
            raise self.refuse(f"shapes {[list(s) for s in shapes]} cannot be joined along dimension {self.axis}")
        return (*first[: self.axis], sum(shape[self.axis] for shape in shapes), *first[self.axis + 1 :])
