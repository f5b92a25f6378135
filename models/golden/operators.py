"""Which golden operator computes which kind of layer."""

from collections.abc import Mapping
from functools import singledispatch

import numpy as np
import numpy.typing as npt

from models import layers as kinds
from models.golden import convolution, elementwise, pooling
from models.golden.softmax import softmax
from models.golden.table_softmax import table_softmax
from models.layers import Layer
from models.network import Network, NetworkError
from models.tensor import Shape, batched

Array = npt.NDArray


def run_layer(network: Network, layer: Layer, tensors: Mapping[str, Array]) -> Array:
    """The output of one layer.

    Args:
        network: the layer's network; supplies constant inputs and the output's shape.
        layer: which layer.
        tensors: arrays of the layer's inputs, by name, with any batch first.

    Raises:
        NetworkError: an input that is neither given nor constant.
    """
    return _compute(layer, [_input(network, layer, name, tensors) for name in layer.inputs], _shape(network, layer))


def _input(network: Network, layer: Layer, name: str, tensors: Mapping[str, Array]) -> Array:
    if name in tensors:
        return tensors[name]
    data = network.tensors[name].data
    if data is None:
        raise layer.refuse(f"its input {name!r} was not given")
    return data


def _shape(network: Network, layer: Layer) -> Shape:
    return network.tensors[layer.output].shape


@singledispatch
def _compute(layer: Layer, inputs: list[Array], output: Shape) -> Array:
    """Inputs to output; ``output`` is the output's shape for batch 1."""
    raise NetworkError(f"layer {layer.name}: there is no golden operator for {layer.op}")


@_compute.register
def _(layer: kinds.Conv2D, inputs: list[Array], output: Shape) -> Array:
    return convolution.conv_2d(layer, inputs[0], output)


@_compute.register
def _(layer: kinds.DepthwiseConv2D, inputs: list[Array], output: Shape) -> Array:
    return convolution.depthwise_conv_2d(layer, inputs[0], output)


@_compute.register
def _(layer: kinds.CyclicConv2D, inputs: list[Array], output: Shape) -> Array:
    return convolution.cyclic_conv_2d(layer, inputs[0], output)


@_compute.register
def _(layer: kinds.FullyConnected, inputs: list[Array], output: Shape) -> Array:
    return convolution.fully_connected(layer, inputs[0], output)


@_compute.register
def _(layer: kinds.Add, inputs: list[Array], output: Shape) -> Array:
    return elementwise.add(layer, inputs[0], inputs[1])


@_compute.register
def _(layer: kinds.AveragePool2D, inputs: list[Array], output: Shape) -> Array:
    return pooling.average_pool_2d(layer, inputs[0])


@_compute.register
def _(layer: kinds.RescaledAveragePool2D, inputs: list[Array], output: Shape) -> Array:
    return pooling.rescaled_average_pool_2d(layer, inputs[0])


@_compute.register
def _(layer: kinds.MaxPool2D, inputs: list[Array], output: Shape) -> Array:
    return pooling.max_pool_2d(layer, inputs[0])


@_compute.register
def _(layer: kinds.Mean, inputs: list[Array], output: Shape) -> Array:
    return pooling.mean(layer, inputs[0])


@_compute.register
def _(layer: kinds.Reshape, inputs: list[Array], output: Shape) -> Array:
    return inputs[0].reshape(batched(output, len(inputs[0])))


@_compute.register
def _(layer: kinds.Pad, inputs: list[Array], output: Shape) -> Array:
    return np.pad(inputs[0], layer.paddings, constant_values=layer.value)


@_compute.register
def _(layer: kinds.Concatenation, inputs: list[Array], output: Shape) -> Array:
    batch = max(len(x) for x in inputs)
    return np.concatenate([np.broadcast_to(x, batched(x.shape, batch)) for x in inputs], axis=layer.axis)


@_compute.register
def _(layer: kinds.Softmax, inputs: list[Array], output: Shape) -> Array:
    return softmax(layer, inputs[0])


@_compute.register
def _(layer: kinds.TableSoftmax, inputs: list[Array], output: Shape) -> Array:
    return table_softmax(layer, inputs[0])


@_compute.register
def _(layer: kinds.Relu, inputs: list[Array], output: Shape) -> Array:
    return elementwise.relu(layer, inputs[0])


@_compute.register
def _(layer: kinds.Quantize, inputs: list[Array], output: Shape) -> Array:
    return elementwise.quantize(layer, inputs[0])


@_compute.register
def _(layer: kinds.Requantize, inputs: list[Array], output: Shape) -> Array:
    return elementwise.requantize(layer, inputs[0])


@_compute.register
def _(layer: kinds.Dequantize, inputs: list[Array], output: Shape) -> Array:
    return elementwise.dequantize(layer, inputs[0])
