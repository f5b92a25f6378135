"""The intermediate representation: a network of typed layers and tensors, for batch 1."""

from dataclasses import dataclass
from functools import cached_property

from models.layers import (
    Add,
    AveragePool2D,
    Concatenation,
    Conv2D,
    CyclicConv2D,
    DepthwiseConv2D,
    Dequantize,
    FullyConnected,
    Layer,
    MaxPool2D,
    Mean,
    Pad,
    Quantize,
    Relu,
    Relu6,
    Requantisation,
    Requantize,
    Reshape,
    Rounding,
    Softmax,
)
from models.tensor import NetworkError, Quantisation, Shape, Tensor

__all__ = [
    "Add",
    "AveragePool2D",
    "Concatenation",
    "Conv2D",
    "CyclicConv2D",
    "DepthwiseConv2D",
    "Dequantize",
    "FullyConnected",
    "Layer",
    "MaxPool2D",
    "Mean",
    "Network",
    "NetworkError",
    "Pad",
    "Quantisation",
    "Quantize",
    "Relu",
    "Relu6",
    "Requantisation",
    "Requantize",
    "Reshape",
    "Rounding",
    "Shape",
    "Softmax",
    "Tensor",
]


@dataclass(frozen=True, eq=False)
class Network:
    """A network: layers in an order in which they can run, and every tensor by name.

    Attributes:
        name: of the file or the zoo entry.
        tensors: activations and constants, keyed by name.
        layers: each reads constants, network inputs and outputs of earlier layers.
        inputs, outputs: names of activations.

    Raises:
        NetworkError: an unknown or doubly written tensor, a layer before its input, a duplicate layer name,
            a batch other than 1, or a shape that does not follow from the layer's parameters.
    """

    name: str
    tensors: dict[str, Tensor]
    layers: tuple[Layer, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def __post_init__(self) -> None:
        if not (self.layers and self.inputs and self.outputs):
            raise NetworkError("a network needs an input, a layer and an output")
        known = {name for name, tensor in self.tensors.items() if tensor.is_constant}
        for name in self.inputs:
            self._check_written("the network's inputs", name, known)
            known.add(name)
        names: set[str] = set()
        for layer in self.layers:
            if layer.name in names:
                raise NetworkError(f"two layers are named {layer.name}")
            names.add(layer.name)
            self._check_layer(layer, known)
            known.add(layer.output)
        for name in self.outputs:
            if name not in known:
                raise NetworkError(f"the network's output {name!r} is not written by any layer")

    def _check_written(self, writer: str, name: str, known: set[str]) -> None:
        if name not in self.tensors:
            raise NetworkError(f"{writer}: there is no tensor {name!r}")
        if name in known:
            raise NetworkError(f"{writer}: tensor {name!r} already has a value")
        shape = self.tensors[name].shape
        if not shape or shape[0] != 1:
            raise NetworkError(f"{writer}: tensor {name!r} of shape {list(shape)} has no leading batch dimension of 1")

    def _check_layer(self, layer: Layer, known: set[str]) -> None:
        for name in layer.inputs:
            if name not in known:
                raise layer.refuse(f"its input {name!r} has no value yet")
        self._check_written(f"layer {layer.name}", layer.output, known)
        expected = layer.infer_shape(*(self.tensors[name].shape for name in layer.inputs))
        shape = self.tensors[layer.output].shape
        if shape != expected:
            raise layer.refuse(f"its output has shape {list(shape)}, but {list(expected)} follows from its inputs")

    @cached_property
    def _by_name(self) -> dict[str, Layer]:
        return {layer.name: layer for layer in self.layers}

    def layer(self, name: str) -> Layer:
        """The layer called ``name``; raises NetworkError if there is none."""
        if name not in self._by_name:
            raise NetworkError(f"{self.name} has no layer {name!r}; its layers are {', '.join(self._by_name)}")
        return self._by_name[name]

    def input_shapes(self, layer: Layer) -> tuple[Shape, ...]:
        """Shapes of a layer's inputs."""
        return tuple(self.tensors[name].shape for name in layer.inputs)

    @cached_property
    def macs(self) -> int:
        """Dense multiply-accumulates of all layers, for batch 1."""
        return sum(layer.macs(self) for layer in self.layers)
