"""What a lowering needs to know of a network before it chooses places: readers, views, padding and joined tensors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from compiler.errors import CompilerError
from compiler.feature_maps import map_shape
from compiler.host_steps import ADVICE, HostParts, host_parts
from compiler.vector import NO_PADDING
from models.layers import Concatenation, Layer, Pad, Padding, Reshape
from models.network import Network


@dataclass(frozen=True)
class Padded:
    """A tensor as a pad layer shows it: `padding` rows and columns of `value` around tensor `source`."""

    source: str
    padding: Padding
    value: int


@dataclass(frozen=True)
class Join:
    """A piece of a joined tensor: after so many pixels or channels of tensor `whole`."""

    whole: str
    first_pixel: int
    first_channel: int


class Graph:
    """A network divided between host and accelerator, and how its tensors hang together.

    Raises:
        CompilerError: a tensor or a layer that the accelerator cannot have; names it and says what to do.
    """

    def __init__(self, network: Network) -> None:
        self.network = network
        self.host: HostParts = host_parts(network)
        aside = {*self.host.before, *self.host.after}
        self.layers = tuple(layer for layer in network.layers if layer.name not in aside)
        if not self.layers:
            raise CompilerError(f"{network.name} has no layer for the accelerator: the host computes all of it")
        self._roots: dict[str, str] = {}
        self._padded: dict[str, Padded] = {}
        for layer in self.layers:
            self._check_tensors(layer)
            if isinstance(layer, Reshape):
                self._roots[layer.output] = self.root(layer.inputs[0])
            elif isinstance(layer, Pad):
                self._padded[layer.output] = self._pad(layer)

    def _check_tensors(self, layer: Layer) -> None:
        for name in (*layer.inputs, layer.output):
            tensor = self.network.tensors[name]
            if tensor.is_constant:
                raise CompilerError(
                    f"layer {layer.name}: its input {name!r} is a constant, which the accelerator does not hold: "
                    f"{ADVICE}"
                )
            if tensor.dtype != np.int8:
                raise CompilerError(
                    f"layer {layer.name}: tensor {name!r} is {tensor.dtype}, but must be int8: {ADVICE}"
                )

    def _pad(self, layer: Pad) -> Padded:
        source, before, value = self.padded(layer.inputs[0])
        rank = len(layer.paddings)
        if rank != 4 or any(layer.paddings[3]):
            raise CompilerError(
                f"layer {layer.name}: it pads something else than the rows and columns of a feature map: {ADVICE}"
            )
        if before != NO_PADDING and value != layer.value:
            raise CompilerError(f"layer {layer.name}: it pads with another value than the pad layer before: {ADVICE}")
        (top, bottom), (left, right) = layer.paddings[1:3]
        (inner_top, inner_bottom), (inner_left, inner_right) = before
        padding = ((top + inner_top, bottom + inner_bottom), (left + inner_left, right + inner_right))
        return Padded(source, padding, layer.value)

    def padded(self, name: str) -> tuple[str, Padding, int]:
        """The tensor that is really there, its padding, and the value of that."""
        found = self._padded.get(name)
        return (name, NO_PADDING, 0) if found is None else (found.source, found.padding, found.value)

    def root(self, name: str) -> str:
        """The tensor whose elements these are, before it was reshaped."""
        if name in self._padded:
            raise CompilerError(
                f"tensor {name!r} is padded, but something else than a convolution or a pooling layer reads it: "
                f"{ADVICE}"
            )
        return self._roots.get(name, name)

    @cached_property
    def readers(self) -> dict[str, list[Layer]]:
        """The layers of the accelerator that read each tensor, pad layers and reshapes passed over, by its root."""
        found: dict[str, list[Layer]] = {}
        for layer in self.layers:
            if not isinstance(layer, Reshape | Pad):
                for name in layer.inputs:
                    found.setdefault(self.root(self.padded(name)[0]), []).append(layer)
        return found

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The tensors that are loaded, in order: int8 inputs of the network, and those that the host quantises."""
        before = [layer for layer in self.network.layers if layer.name in self.host.before]
        found = []
        for name in self.network.inputs:
            quantised = [layer.output for layer in before if layer.inputs[0] == name]
            found += quantised if self.network.tensors[name].dtype != np.int8 else [name]
        return tuple(found)

    @cached_property
    def leaving(self) -> tuple[str, ...]:
        """The tensors that leave the accelerator, in order: outputs, and what the host goes on with."""
        made_after = {layer.output for layer in self.network.layers if layer.name in self.host.after}
        wanted = [name for name in self.network.outputs if name not in made_after]
        for layer in self.network.layers:
            if layer.name in self.host.after:
                wanted += [name for name in layer.inputs if name not in made_after]
        return tuple(dict.fromkeys(wanted))

    def joins(self, layer: Concatenation) -> list[Join]:
        """Where the pieces of a concatenation go, in order.

        Raises:
            CompilerError: the pieces do not lie one after another in the joined tensor.
        """
        shapes = [self.network.tensors[name].shape for name in layer.inputs]
        along_channels = layer.axis == len(shapes[0]) - 1
        if not along_channels and any(size != 1 for size in shapes[0][1 : layer.axis]):
            raise CompilerError(
                f"layer {layer.name}: it joins along dimension {layer.axis}, but feature maps can be joined along "
                f"their channels or their rows only: {ADVICE}"
            )
        found, pixel, channel = [], 0, 0
        for shape in shapes:
            rows, columns, channels = map_shape(shape)
            found.append(Join(layer.output, pixel, channel))
            pixel, channel = (pixel, channel + channels) if along_channels else (pixel + rows * columns, channel)
        return found
