"""Random layers with golden results: what the property tests and the sweeps run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from compiler.convolution import Convolution, convolutions
from models import golden
from models.golden.fixed_point import quantise_multiplier
from models.layers import Rounding, window_output
from models.network import (
    Conv2D,
    FullyConnected,
    Layer,
    MaxPool2D,
    Network,
    Quantisation,
    Requantisation,
    Tensor,
)

INPUT, CONVOLVED, POOLED = "input", "convolved", "pooled"


@dataclass(frozen=True)
class LayerShape:
    """What a random layer looks like; its values are drawn.

    Attributes:
        size: height and width of the input; channels, maps: input and output channels.
        kernel, stride, dilation: (vertical, horizontal); padding: ((top, bottom), (left, right)).
        pool: side of a non-overlapping max-pooling window behind it, 1 without.
        density: share of non-zero activations; weight_density: of non-zero weights.
        fully_connected: the layer is one, `size` (1, rows).
    """

    size: tuple[int, int]
    channels: int
    maps: int
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: tuple[tuple[int, int], tuple[int, int]] = ((0, 0), (0, 0))
    pool: int = 1
    density: float = 0.5
    weight_density: float = 1.0
    fully_connected: bool = False


@dataclass(frozen=True, eq=False)
class RandomLayer:
    """A layer with an input and its golden output (both for batch 1)."""

    shape: LayerShape
    conv: Convolution
    input: npt.NDArray[np.signedinteger]
    output: npt.NDArray[np.signedinteger]


@dataclass(frozen=True)
class _Values:
    """What values of a type are drawn: weights up to `largest_weight`, sums of products of about `spread` outputs.

    The sums of 16 bit values stay within an accumulator, all but impossible ones.
    """

    dtype: np.dtype
    largest_weight: int
    spread: float

    @classmethod
    def of(cls, bits: int, depth: int) -> _Values:
        """Of layers whose sums have `depth` products."""
        if bits == 8:
            return cls(np.dtype(np.int8), 127, 40.0 * np.sqrt(depth))
        return cls(np.dtype(np.int16), int((2**15 - 1) / np.sqrt(depth)), 2.0**16)

    @property
    def limits(self) -> tuple[int, int]:
        """The lowest and the highest value."""
        return int(np.iinfo(self.dtype).min), int(np.iinfo(self.dtype).max)

    def weights(self, rng: np.random.Generator, density: float, *shape: int) -> npt.NDArray[np.signedinteger]:
        """Drawn weights."""
        weights = rng.integers(-self.largest_weight, self.largest_weight + 1, shape, dtype=self.dtype)
        return weights if density == 1 else np.where(rng.random(shape) < density, weights, self.dtype.type(0))

    def input(self, rng: np.random.Generator, shape: LayerShape, zero_point: int) -> npt.NDArray[np.signedinteger]:
        """A drawn input."""
        low, high = self.limits
        dense = rng.integers(low, high + 1, (1, *shape.size, shape.channels), dtype=self.dtype)
        return np.where(rng.random(dense.shape) < shape.density, dense, self.dtype.type(zero_point))

    def activation(self, tensor: str, shape: tuple[int, ...], zero_point: int) -> Tensor:
        """A tensor of the type."""
        return Tensor(tensor, shape, self.dtype, Quantisation.per_tensor(0.05, zero_point))


def _requantisation(rng: np.random.Generator, maps: int, spread: float) -> Requantisation:
    """Scales that bring sums of that spread to the range of the outputs, some of them too large for it."""
    scales = rng.uniform(0.2, 2.0, maps) / spread
    pairs = [quantise_multiplier(float(scale)) for scale in scales]
    return Requantisation(
        np.array([pair[0] for pair in pairs], np.int32), np.array([pair[1] for pair in pairs], np.int32)
    )


def make_layer(
    shape: LayerShape, seed: int, rectified: npt.NDArray[np.uint8] | npt.NDArray[np.uint16] | None = None
) -> RandomLayer:
    """Draw weights, scales and input of a layer and compute its golden output.

    Args:
        shape: of the layer; seed: of everything drawn.
        rectified: the input as distances from its zero point, uint8[height, width, channels], in place of a drawn one.
            The layer then lies between two rectifiers: both zero points are the lowest value, where its output ends.
            As uint16 it makes a layer of 16 bit activations and weights.
    """
    rng = np.random.default_rng(seed)
    input_zero, output_zero = (int(rng.choice([-128, 127, int(rng.integers(-128, 128))])) for _ in range(2))
    bits = 8 if rectified is None else 8 * rectified.itemsize
    drawn = _Values.of(bits, shape.channels * shape.kernel[0] * shape.kernel[1])
    lowest, highest = drawn.limits
    if rectified is not None:
        input_zero = output_zero = lowest
    low = output_zero if rng.random() < 0.5 else lowest
    common: dict[str, Any] = {
        "inputs": (INPUT,),
        "output": CONVOLVED,
        "bias": rng.integers(-2000, 2000, shape.maps, dtype=np.int32),
        "input_zero_point": input_zero,
        "output_zero_point": output_zero,
        "activation": (low, highest),
    }
    requantisation = _requantisation(rng, shape.maps, drawn.spread)
    layer: Layer
    values = drawn.input(rng, shape, input_zero)
    if rectified is not None:
        values = (rectified.astype(np.int32) + input_zero).astype(drawn.dtype)[np.newaxis]
    if shape.fully_connected:
        layer = FullyConnected(
            name="fully_connected_0",
            weights=drawn.weights(rng, shape.weight_density, shape.maps, shape.channels),
            keep_dims=True,
            requantisation=Requantisation(requantisation.multiplier, requantisation.shift, Rounding.SINGLE),
            **common,
        )
        values = values.reshape(shape.size[1], shape.channels)[np.newaxis]
        convolved: tuple[int, ...] = layer.infer_shape(values.shape)
    else:
        layer = Conv2D(
            name="conv_2d_0",
            weights=drawn.weights(rng, shape.weight_density, shape.maps, *shape.kernel, shape.channels),
            requantisation=requantisation,
            stride=shape.stride,
            dilation=shape.dilation,
            padding=shape.padding,
            **common,
        )
        convolved = layer.infer_shape(values.shape)
    layers: list[Layer] = [layer]
    tensors = [drawn.activation(INPUT, values.shape, input_zero), drawn.activation(CONVOLVED, convolved, output_zero)]
    if shape.pool > 1:
        window = (shape.pool, shape.pool)
        pooling = MaxPool2D(
            name="max_pool_2d_1",
            inputs=(CONVOLVED,),
            output=POOLED,
            kernel=window,
            stride=window,
            padding=((0, 0), (0, 0)),
            activation=(lowest, highest),
        )
        layers.append(pooling)
        tensors.append(drawn.activation(POOLED, pooling.infer_shape(convolved), output_zero))
    network = Network("random", {t.name: t for t in tensors}, tuple(layers), (INPUT,), (layers[-1].output,))
    (conv,) = convolutions(network, dtype=drawn.dtype).values()
    result = golden.run(network, values)
    return RandomLayer(shape, conv, values[0], result[conv.output][0])


def random_shape(rng: np.random.Generator, *, largest: int = 12) -> LayerShape:
    """A layer of any kind the array runs, small enough to simulate in a moment; odd sizes and extremes are frequent."""
    if rng.random() < 0.1:
        return LayerShape(
            (1, 1),
            int(rng.integers(1, 200)),
            int(rng.integers(1, 60)),
            density=_density(rng),
            fully_connected=True,
        )
    while True:
        kernel = (int(rng.integers(1, 8)), int(rng.integers(1, 8))) if rng.random() < 0.5 else (3, 3)
        shape = LayerShape(
            size=(int(rng.integers(1, largest + 1)), int(rng.integers(1, largest + 1))),
            channels=int(rng.choice([1, 2, 3, 8, 15, 16, 17, 32, 33])),
            maps=int(rng.choice([1, 2, 3, 7, 16, 17, 32, 40])),
            kernel=kernel,
            stride=(int(rng.integers(1, 5)), int(rng.integers(1, 5))) if rng.random() < 0.5 else (1, 1),
            dilation=(int(rng.integers(1, 4)), int(rng.integers(1, 4))) if rng.random() < 0.2 else (1, 1),
            padding=(
                (int(rng.integers(0, kernel[0])), int(rng.integers(0, kernel[0]))),
                (int(rng.integers(0, kernel[1])), int(rng.integers(0, kernel[1]))),
            ),
            pool=int(rng.choice([1, 1, 1, 2, 3])),
            density=_density(rng),
        )
        if _fits(shape):
            return shape


def _density(rng: np.random.Generator) -> float:
    return float(rng.choice([0.0, 0.05, 0.3, 0.5, 0.9, 1.0]))


def _fits(shape: LayerShape) -> bool:
    """Whether at least one window of the convolution and of the pooling lies in the input."""
    for axis in range(2):
        out = window_output(
            shape.size[axis],
            shape.kernel[axis],
            shape.stride[axis],
            shape.dilation[axis],
            shape.padding[axis],
        )
        if out < shape.pool:
            return False
    return shape.channels * shape.kernel[0] * shape.kernel[1] <= 1024
