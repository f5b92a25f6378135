"""What a network's layers cost, and how much of it is zeros."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import singledispatch

import numpy as np
import numpy.typing as npt

from models.golden.windows import surround, windows
from models.layers import (
    Conv2D,
    Convolution,
    CyclicConv2D,
    DepthwiseConv2D,
    FullyConnected,
    Layer,
    Pair,
    Pool2D,
    WeightedLayer,
)
from models.network import Network, Shape


@dataclass(frozen=True)
class LayerStatistics:
    """One layer, for batch 1.

    Attributes:
        name, op: of the layer.
        input_shape, output_shape: of its first input and its output.
        kernel, stride: (height, width); None for layers without a window.
        macs: dense multiply-accumulates, padding positions counted.
        parameters: weights and biases.
        zero_weights: share of the weights that are 0; None without weights.
        zero_activations: share of the first input's elements that stand for 0; None if no input was given,
            or the elements are not quantised.
        skippable_macs: share of the multiply-accumulates whose activation is 0 or padding; None for layers
            without multiply-accumulates, or if no input was given.
    """

    name: str
    op: str
    input_shape: Shape
    output_shape: Shape
    kernel: Pair | None
    stride: Pair | None
    macs: int
    parameters: int
    zero_weights: float | None
    zero_activations: float | None
    skippable_macs: float | None

    def as_dict(self) -> dict[str, object]:
        """Plain values, for JSON."""
        return asdict(self)


def gather(network: Network, tensors: Mapping[str, npt.NDArray] | None = None) -> list[LayerStatistics]:
    """Statistics of every layer, in order.

    Args:
        network: whose layers.
        tensors: every activation by name, as `models.golden.run` returns them, averaged over their batch.
    """
    return [_layer_statistics(network, layer, tensors) for layer in network.layers]


def _layer_statistics(network: Network, layer: Layer, tensors: Mapping[str, npt.NDArray] | None) -> LayerStatistics:
    weights = layer.weights if isinstance(layer, WeightedLayer) else None
    non_zero = None if tensors is None else _non_zero(network, layer, tensors)
    macs = layer.macs(network)
    skippable = None
    if non_zero is not None and macs:
        skippable = 1 - _useful_macs(layer, non_zero) / (macs * len(non_zero))
    return LayerStatistics(
        name=layer.name,
        op=layer.op,
        input_shape=network.tensors[layer.inputs[0]].shape,
        output_shape=network.tensors[layer.output].shape,
        kernel=layer.kernel if isinstance(layer, Convolution | Pool2D) else None,
        stride=layer.stride if isinstance(layer, Convolution | Pool2D) else None,
        macs=macs,
        parameters=layer.parameters,
        zero_weights=None if weights is None else float((weights == 0).mean()),
        zero_activations=None if non_zero is None else float(1 - non_zero.mean()),
        skippable_macs=skippable,
    )


def _non_zero(network: Network, layer: Layer, tensors: Mapping[str, npt.NDArray]) -> npt.NDArray[np.bool_] | None:
    """Which elements of the layer's first input stand for a value other than 0."""
    name = layer.inputs[0]
    if name not in tensors or network.tensors[name].quantisation is None:
        return None
    return np.asarray(tensors[name] != network.tensors[name].zero_point)


@singledispatch
def _useful_macs(layer: Layer, non_zero: npt.NDArray[np.bool_]) -> int:
    """Multiply-accumulates of a batch whose activation is not 0."""
    raise NotImplementedError(f"{layer.op} has multiply-accumulates that are not counted")


@_useful_macs.register
def _(layer: FullyConnected, non_zero: npt.NDArray[np.bool_]) -> int:
    return int(non_zero.sum()) * len(layer.weights)


@_useful_macs.register
def _(layer: Conv2D, non_zero: npt.NDArray[np.bool_]) -> int:
    return _window_count(layer, non_zero) * (len(layer.weights) // layer.groups)


@_useful_macs.register
def _(layer: DepthwiseConv2D, non_zero: npt.NDArray[np.bool_]) -> int:
    return _window_count(layer, non_zero) * layer.depth_multiplier


@_useful_macs.register
def _(layer: CyclicConv2D, non_zero: npt.NDArray[np.bool_]) -> int:
    readers = np.bincount(layer.support.sources.ravel(), minlength=layer.in_nodes)
    return int(_channel_counts(layer, non_zero) @ readers)


def _window_count(layer: Convolution, non_zero: npt.NDArray[np.bool_]) -> int:
    """Non-zero elements of all windows together."""
    return int(_channel_counts(layer, non_zero).sum())


def _channel_counts(layer: Convolution, non_zero: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Non-zero elements of all windows together, of each channel."""
    padded = surround(non_zero.view(np.int8), layer.padding, np.int8)
    patches = windows(padded, layer.kernel, layer.stride, layer.dilation)
    counts = np.zeros(padded.shape[-1], np.int64)
    for row, column in np.ndindex(*layer.kernel):
        counts += patches[:, :, :, row, column].sum(axis=(0, 1, 2), dtype=np.int64)
    return counts


def weighted_share(pairs: Iterable[tuple[float | None, int]]) -> float | None:
    """The mean of shares by weight, those that are None left out; None if nothing is left."""
    known = [(share, weight) for share, weight in pairs if share is not None]
    total = sum(weight for _, weight in known)
    return sum(share * weight for share, weight in known) / total if total else None
