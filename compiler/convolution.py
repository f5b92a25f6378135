"""The operation that the array runs: a convolution, with what the post-processor does to its result."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from compiler.errors import CompilerError
from models.layers import Rounding, WeightedLayer, window_output
from models.network import Conv2D, CyclicConv2D, DepthwiseConv2D, FullyConnected, Layer, MaxPool2D, Network

Pair = tuple[int, int]


@dataclass(frozen=True)
class Edges:
    """Which input channels each map reads: edge j of map n is channel (base + j x `dilation`) mod `channels`.

    The base is that of the map's number n: `step` channels further after every `step_maps` maps, modulo `channels`. A
    dense convolution has `step` 0 and an edge for each channel, a depthwise one `step` 1 and one edge, a grouped one
    the channels of a group for the maps of a group, a cyclic one `step` 1 and a dilation (papers: Hosseini et al.,
    IEEE TVLSI 2021).
    """

    channels: int
    dilation: int = 1
    step: int = 0
    step_maps: int = 1

    def base(self, index: int) -> int:
        """The channel of edge 0 of a map."""
        return index // self.step_maps * self.step % self.channels

    def sources(self, maps: int, fan: int) -> npt.NDArray[np.int64]:
        """The channel of each edge: int64[maps, fan]."""
        bases = np.arange(maps) // self.step_maps * self.step
        return (bases[:, np.newaxis] + np.arange(fan) * self.dilation) % self.channels


@dataclass(frozen=True, eq=False)
class Convolution:
    """A layer as the array sees it, with non-overlapping max-pooling behind it.

    Dense; or with `edges`, and nothing is behind it then.

    Attributes:
        name: of the network's layer; op: its operator.
        size: height and width of the input; channels: of the input.
        weights: int8[maps, kernel height, kernel width, fan], where `fan` are the channels that a map reads.
        bias, multiplier, shift: int32[maps]; rounding: of the requantisation.
        input_zero_point, output_zero_point; activation: lowest and highest output in the quantised domain.
        input, output: names of the tensors that enter and leave.
        stride, dilation: (vertical, horizontal); padding: ((top, bottom), (left, right)).
        pool, pool_stride: window and stride of the max-pooling, (1, 1) without.
        edges: which channels each map reads; None if all maps read all channels in order.
    """

    name: str
    op: str
    size: Pair
    weights: npt.NDArray[np.int8]
    bias: npt.NDArray[np.int32]
    multiplier: npt.NDArray[np.int32]
    shift: npt.NDArray[np.int32]
    rounding: Rounding
    input_zero_point: int
    output_zero_point: int
    activation: Pair
    input: str
    output: str
    stride: Pair = (1, 1)
    dilation: Pair = (1, 1)
    padding: tuple[Pair, Pair] = ((0, 0), (0, 0))
    pool: Pair = (1, 1)
    pool_stride: Pair = (1, 1)
    edges: Edges | None = None

    @property
    def maps(self) -> int:
        """Output channels."""
        return self.weights.shape[0]

    @property
    def kernel(self) -> Pair:
        """Height and width."""
        return self.weights.shape[1], self.weights.shape[2]

    @property
    def channels(self) -> int:
        """Input channels."""
        return self.fan if self.edges is None else self.edges.channels

    @property
    def fan(self) -> int:
        """Input channels that a map reads."""
        return self.weights.shape[3]

    @property
    def depthwise(self) -> bool:
        """Whether each map has an input channel of its own."""
        return self.edges is not None and self.fan == self.edges.step == self.edges.step_maps == 1

    @property
    def map_weights(self) -> int:
        """Weights of one map: kernel height x width x the channels that it reads."""
        return self.weights[0].size

    def expanded(self) -> Convolution:
        """The same as a dense convolution, with weights of 0 for the channels that a map does not read."""
        if self.edges is None:
            return self
        shape = (*self.weights.shape[:3], self.channels)
        dense = np.zeros(shape, self.weights.dtype)
        sources = self.edges.sources(self.maps, self.fan)[:, np.newaxis, np.newaxis]
        np.put_along_axis(dense, np.broadcast_to(sources, self.weights.shape), self.weights, axis=3)
        return replace(self, weights=dense, edges=None)

    def sum_bits(self, activation_bits: int) -> int:
        """Bits that hold every map's sum of products, whatever the input; the bias is not part of it."""
        lowest = -(1 << (activation_bits - 1)) - self.input_zero_point
        highest = lowest + (1 << activation_bits) - 1
        weights = self.weights.reshape(self.maps, -1).astype(np.int64)
        positive, negative = np.maximum(weights, 0).sum(axis=1), np.minimum(weights, 0).sum(axis=1)
        largest = int((highest * positive + lowest * negative).max())
        least = int((lowest * positive + highest * negative).min())
        return max(largest, -1 - least).bit_length() + 1

    @property
    def convolved_size(self) -> Pair:
        """Height and width of the convolution, before pooling."""
        height, width = (
            window_output(self.size[i], self.kernel[i], self.stride[i], self.dilation[i], self.padding[i])
            for i in range(2)
        )
        return height, width

    @property
    def output_size(self) -> Pair:
        """Height and width of the output."""
        height, width = (
            window_output(self.convolved_size[i], self.pool[i], self.pool_stride[i], 1, (0, 0)) for i in range(2)
        )
        return height, width

    @property
    def macs(self) -> int:
        """Dense multiply-accumulates of the convolution, padding positions counted."""
        return int(np.prod(self.convolved_size)) * self.weights.size


def _of(layer: WeightedLayer, size: Pair, weights: npt.NDArray[np.int8], **window: Any) -> Convolution:
    return Convolution(
        name=layer.name,
        op=layer.op,
        size=size,
        weights=weights,
        bias=layer.bias,
        multiplier=layer.requantisation.multiplier,
        shift=layer.requantisation.shift,
        rounding=layer.requantisation.rounding,
        input_zero_point=layer.input_zero_point,
        output_zero_point=layer.output_zero_point,
        activation=layer.activation,
        input=layer.inputs[0],
        output=layer.output,
        **window,
    )


def from_layer(layer: Layer, network: Network, *, dtype: npt.DTypeLike = np.int8) -> Convolution | None:
    """The layer as a convolution for the array, or None if the array does not run its kind.

    Grouped, depthwise and cyclic layers have `edges`. A fully connected layer is a 1x1 convolution; the rows of its
    input, if there are several, become the columns of a feature map.

    Raises:
        CompilerError: a tensor that enters or leaves is not of `dtype`.
    """
    if isinstance(layer, Conv2D | DepthwiseConv2D | CyclicConv2D):
        _, height, width, channels = network.tensors[layer.inputs[0]].shape
        window = {"stride": layer.stride, "dilation": layer.dilation, "padding": layer.padding}
        weights, edges = _read_by(layer, channels)
        convolution = _of(layer, (height, width), weights, edges=edges, **window)
    elif isinstance(layer, FullyConnected):
        outputs, depth = layer.weights.shape
        rows = network.tensors[layer.inputs[0]].size // depth
        convolution = _of(layer, (1, rows), layer.weights.reshape(outputs, 1, 1, depth))
    else:
        return None
    return _of_type(convolution, network, np.dtype(dtype))


def _read_by(
    layer: Conv2D | DepthwiseConv2D | CyclicConv2D, channels: int
) -> tuple[npt.NDArray[np.int8], Edges | None]:
    """Weights [maps, kernel height, kernel width, fan] and edges of a layer."""
    if isinstance(layer, CyclicConv2D):
        return layer.weights.transpose(0, 2, 3, 1), Edges(channels, layer.cyclic_dilation % channels, step=1)
    if isinstance(layer, DepthwiseConv2D):
        # With one channel all maps read it.
        edges = Edges(channels, step=1, step_maps=layer.depth_multiplier) if channels > 1 else None
        return layer.weights.transpose(3, 1, 2, 0), edges
    fan = layer.weights.shape[3]
    maps = len(layer.weights) // layer.groups
    return layer.weights, Edges(channels, step=fan, step_maps=maps) if layer.groups > 1 else None


def _of_type(convolution: Convolution, network: Network, wanted: np.dtype) -> Convolution:
    for name in (convolution.input, convolution.output):
        dtype = network.tensors[name].dtype
        if dtype != wanted:
            raise CompilerError(
                f"layer {convolution.name}: tensor {name!r} is {dtype}, but the array takes and gives {wanted}"
            )
    return convolution


def with_pooling(convolution: Convolution, pooling: MaxPool2D) -> Convolution | None:
    """The convolution with the max-pooling that follows it, or None if its windows overlap, are padded, or clamp."""
    apart = all(stride >= size for stride, size in zip(pooling.stride, pooling.kernel, strict=True))
    low, high = pooling.activation
    clamps = low > convolution.activation[0] or high < convolution.activation[1]
    if not apart or clamps or any(map(any, pooling.padding)):
        return None
    return replace(convolution, pool=pooling.kernel, pool_stride=pooling.stride, output=pooling.output)


def with_more_maps(convolution: Convolution, maps: int) -> Convolution:
    """The convolution with so many maps; those that it does not have are zeros."""
    more = maps - convolution.maps
    if not more:
        return convolution
    vectors = ((0, more),)
    return replace(
        convolution,
        weights=np.pad(convolution.weights, (*vectors, (0, 0), (0, 0), (0, 0))),
        bias=np.pad(convolution.bias, vectors),
        multiplier=np.pad(convolution.multiplier, vectors),
        shift=np.pad(convolution.shift, vectors),
    )


def convolutions(network: Network, *, fuse: bool = True, dtype: npt.DTypeLike = np.int8) -> dict[str, Convolution]:
    """Every dense layer that the array runs, by name, in order.

    To `fuse` is to take a max-pooling that alone reads a convolution with it. `dtype` is that of the activations: int16
    for a core whose activations have 16 bits.

    Raises:
        CompilerError: a layer is of a kind that the array runs, but its tensors are not.
    """
    readers: dict[str, list[Layer]] = {}
    for layer in network.layers:
        for name in layer.inputs:
            readers.setdefault(name, []).append(layer)
    result: dict[str, Convolution] = {}
    for layer in network.layers:
        convolution = from_layer(layer, network, dtype=dtype)
        if convolution is None or convolution.edges is not None:
            continue
        following = readers.get(layer.output, [])
        if fuse and len(following) == 1 and isinstance(following[0], MaxPool2D) and layer.output not in network.outputs:
            convolution = with_pooling(convolution, following[0]) or convolution
        result[layer.name] = convolution
    return result
