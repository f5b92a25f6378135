"""What a name of the graph stands for while it is imported: an activation, a constant, or a sum not yet rounded."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from models.golden.fixed_point import INT8_RANGE
from models.importers.onnx.layout import Order, natural_order
from models.layers import Pair
from models.network import NetworkError, Quantisation, Shape, Tensor

UNSIGNED_OFFSET = 128
"""A uint8 with zero point z is stored as the int8 that is this much less, with zero point z - 128."""


@dataclass(frozen=True, eq=False)
class Activation:
    """Values computed at run time.

    Attributes:
        tensor: where they are stored: int8, or float32 for a network's real-valued input.
        shape: as ONNX has it, for batch 1.
        order: how they lie in the tensor (see `models.importers.onnx.layout`); None is the natural order.
        integers: "INT8" or "UINT8" where the graph sees the integers; None where it sees the real values.
    """

    tensor: Tensor
    shape: Shape
    order: Order | None = None
    integers: str | None = None

    @property
    def full_order(self) -> Order:
        """The order, spelled out."""
        return natural_order(self.shape) if self.order is None else self.order

    @property
    def quantisation(self) -> Quantisation:
        """Scale and zero point; raises NetworkError if it is stored as float32."""
        if self.tensor.quantisation is None:
            raise NetworkError(f"its input {self.tensor.name!r} is not quantised")
        return self.tensor.quantisation

    @property
    def is_float(self) -> bool:
        """Whether it is stored as float32: not quantised yet."""
        return self.tensor.dtype != np.int8


@dataclass(frozen=True, eq=False)
class Constant:
    """Values that the file holds, or that follow from it.

    Attributes:
        data: the elements, in ONNX's order; of a dequantised constant, the integers.
        quantisation: of a dequantised constant, as the file states it; None if ``data`` are the values.
    """

    data: npt.NDArray
    quantisation: Quantisation | None = None

    @property
    def shape(self) -> Shape:
        """The dimensions."""
        return self.data.shape

    @property
    def real(self) -> npt.NDArray[np.float64]:
        """The real values."""
        values = self.data.astype(np.float64)
        quantisation = self.quantisation
        if quantisation is None:
            return values
        spread = [1] * values.ndim
        if quantisation.axis is not None:
            spread[quantisation.axis] = -1
        return (values - quantisation.zero_point.reshape(spread)) * quantisation.scale.reshape(spread)


@dataclass(frozen=True, eq=False)
class Target:
    """What a layer's output is to be: its name, its quantisation in int8, and its lowest and highest value."""

    name: str
    quantisation: Quantisation
    clamp: Pair = INT8_RANGE


@dataclass(frozen=True, eq=False)
class Pending:
    """Real values of an operator between DequantizeLinear and QuantizeLinear: a layer once the latter is reached.

    Attributes:
        shape: as ONNX has it.
        finish: adds the layer, and returns its output as real values.
        low, high: bounds of the rectifiers that followed; None is no bound.
        with_bias: the same values with a constant added to each channel, if the layer can do that.
    """

    shape: Shape
    finish: Callable[[Target], Activation]
    low: float | None = None
    high: float | None = None
    with_bias: Callable[[Constant], "Pending"] | None = None

    def clipped(self, low: float | None, high: float | None) -> "Pending":
        """The same values, clipped."""

        def clip(bound: float | None) -> float | None:
            if bound is None:
                return None
            raised = bound if low is None else max(bound, low)
            return raised if high is None else min(raised, high)

        return replace(
            self,
            low=low if self.low is None else clip(self.low),
            high=high if self.high is None else clip(self.high),
            with_bias=None,
        )


Value = Activation | Constant | Pending
