"""What the accelerator does for a network, one entry of its program after another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from compiler.convolution import Convolution, Pair, with_more_maps
from compiler.feature_maps import FeatureMap
from hw.control.descriptor import Operation
from models.layers import Rounding


@dataclass(frozen=True)
class Load:
    """A network's input arrives in the activation memory."""

    name: str
    output: FeatureMap

    kind = Operation.LOAD
    layers: tuple[str, ...] = ()

    @property
    def reads(self) -> tuple[FeatureMap, ...]:
        """Nothing."""
        return ()


@dataclass(frozen=True)
class Store:
    """A feature map leaves; it stays in memory too."""

    name: str
    input: FeatureMap

    kind = Operation.STORE
    layers: tuple[str, ...] = ()
    output = None

    @property
    def reads(self) -> tuple[FeatureMap, ...]:
        """What leaves."""
        return (self.input,)


@dataclass(frozen=True)
class Hold:
    """The weights of a convolution arrive, and stay for every later run."""

    name: str

    kind = Operation.HOLD
    layers: tuple[str, ...] = ()
    output = None

    @property
    def reads(self) -> tuple[FeatureMap, ...]:
        """Nothing."""
        return ()


def elements_written(output: FeatureMap, *, fills_word: bool) -> int:
    """Channels that are computed for a pixel: the map's, and zeros to the end of the word if it `fills_word`."""
    if not (fills_word and output.ends_pixel):
        return output.channels
    return output.channels + -output.end_channel % output.word_elements


@dataclass(frozen=True, eq=False)
class Convolve:
    """A convolution on the array.

    Attributes:
        name: of the layer; layers: all that it computes (with a max-pooling behind it).
        conv: the layer; input, output: its feature maps.
        fills_word: the output's last word is filled up with zeros, for a convolution that reads it.
    """

    name: str
    layers: tuple[str, ...]
    conv: Convolution
    input: FeatureMap
    output: FeatureMap
    fills_word: bool = False

    kind = Operation.CONVOLVE

    @property
    def reads(self) -> tuple[FeatureMap, ...]:
        """Its input."""
        return (self.input,)

    @cached_property
    def computed(self) -> Convolution:
        """What the array computes: the layer, and maps of zeros that fill up a word."""
        return with_more_maps(self.conv, elements_written(self.output, fills_word=self.fills_word))

    @property
    def bounds(self) -> Pair:
        """The clamp, relative to the output's zero point."""
        low, high = (bound - self.conv.output_zero_point for bound in self.conv.activation)
        return low, high


@dataclass(frozen=True)
class Scaling:
    """An entry of the post-processor's parameters: (x + bias) x multiplier x 2**(shift - 31)."""

    multiplier: int
    shift: int
    bias: int = 0
    rounding: Rounding = Rounding.DOUBLE


UNCHANGED = Scaling((1 << 31) - 1, 0)
"""Keeps whole numbers below 2**30 as they are: what is missing to a factor of 1 is rounded away."""


@dataclass(frozen=True)
class Operand:
    """A map that the vector unit reads; for an addition scaled by multiplier x 2**-(31 + right_shift)."""

    map: FeatureMap
    multiplier: int = 0
    right_shift: int = 0


@dataclass(frozen=True)
class Slide:
    """One axis of a window: it begins at `start`, moves on by `step`, and covers `taps` positions."""

    start: int = 0
    step: int = 1
    taps: int = 1

    def inside(self, outputs: int, size: int) -> np.ndarray:
        """How many positions of each of so many windows lie in a map of this size: int64[outputs]."""
        first = self.start + self.step * np.arange(outputs)
        return np.minimum(first + self.taps, size) - np.maximum(first, 0)


@dataclass(frozen=True, eq=False)
class VectorOperation:
    """An operation of the vector unit.

    Attributes:
        name: of the layer, or of a part of what it needs; layers: as in `Convolve`.
        kind: `Operation.ADD`, `SUM` or `MAXIMUM`.
        operands: two for `ADD`, otherwise one; output: the result.
        scalings: the parameters, one entry, or with `by_count` one for each number of positions inside the map.
        offset: added to the scaled value; lower, upper: the clamp, relative to the output's zero point.
        rows, columns: the window.
    """

    name: str
    layers: tuple[str, ...]
    kind: int
    operands: tuple[Operand, ...]
    output: FeatureMap
    scalings: tuple[Scaling, ...]
    lower: int
    upper: int
    offset: int = 0
    rows: Slide = Slide()
    columns: Slide = Slide()
    by_count: bool = False
    fills_word: bool = False

    @property
    def reads(self) -> tuple[FeatureMap, ...]:
        """Its operands."""
        return tuple(operand.map for operand in self.operands)

    @property
    def element_wise(self) -> bool:
        """Whether an output depends on the operands' elements at its own place alone."""
        return self.rows == self.columns == Slide()

    @cached_property
    def elements(self) -> int:
        """Channels computed for a pixel; see `elements_written`."""
        return elements_written(self.output, fills_word=self.fills_word)

    @property
    def bounds(self) -> Pair:
        """The clamp, relative to the output's zero point."""
        return self.lower, self.upper


OPERATION_NAMES = {int(member): name for name, member in Operation.__members__.items()}
"""The operations by number."""

HardwareOperation = Load | Store | Hold | Convolve | VectorOperation
