"""Layers and tensors of the network while it grows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from models.golden.fixed_point import INT8_RANGE
from models.importers.onnx.layout import Order, simplified, stored_shape
from models.importers.onnx.reader import Node
from models.importers.onnx.rounding import requantisation
from models.importers.onnx.values import Activation, Target
from models.layers import Clip, Layer, Pair, Relu, Requantize, Reshape
from models.network import NetworkError, Quantisation, Shape, Tensor


class NodeError(NetworkError):
    """A `NetworkError` that names the node."""


@contextmanager
def naming(node: Node) -> Iterator[None]:
    """Errors inside name the node, unless they name one already."""
    try:
        yield
    except NodeError:
        raise
    except NetworkError as error:
        reason = str(error)
        if reason.startswith("layer "):  # a layer's own checks name it as the network will
            reason = reason.partition(": ")[2]
        raise NodeError(f"{node.label}: {reason}") from None


def same_quantisation(first: Quantisation, second: Quantisation) -> bool:
    """Whether two quantisations of whole tensors are equal."""
    return bool(first.scale[0] == second.scale[0] and first.zero_point[0] == second.zero_point[0])


@dataclass(eq=False)
class Builder:
    """Collects layers and tensors, with names of their own."""

    layers: list[Layer] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)
    _names: set[str] = field(default_factory=set)
    _renamed: dict[str, str] = field(default_factory=dict)
    _finished: dict[tuple[Callable[[Target], Activation], float, int, Pair], Activation] = field(default_factory=dict)

    def add_tensor(self, tensor: Tensor) -> Tensor:
        """Keep a tensor; if its name is taken, under another name."""
        name, copy = tensor.name, 1
        while tensor.name in self.tensors:
            copy += 1
            tensor = replace(tensor, name=f"{name}#{copy}")
        self.tensors[tensor.name] = tensor
        return tensor

    def current(self, tensor: Tensor) -> Tensor:
        """A tensor under the name that it has now."""
        name = tensor.name
        while name in self._renamed:
            name = self._renamed[name]
        return self.tensors[name]

    def rename(self, old: str, new: str) -> None:
        """Give a tensor another name, which must be free, everywhere."""
        self._renamed[old] = new
        tensors = [replace(tensor, name=new) if name == old else tensor for name, tensor in self.tensors.items()]
        self.tensors = {tensor.name: tensor for tensor in tensors}

        def renamed(name: str) -> str:
            return new if name == old else name

        self.layers = [
            replace(layer, inputs=tuple(map(renamed, layer.inputs)), output=renamed(layer.output))
            for layer in self.layers
        ]

    def add_layer(
        self,
        kind: type[Layer],
        node: Node,
        sources: tuple[Tensor, ...],
        output: str,
        quantisation: Quantisation | None,
        *,
        dtype: npt.DTypeLike = np.int8,
        **fields: Any,
    ) -> Tensor:
        """Add a layer and its output, whose shape follows from the layer; returns the output.

        Raises:
            NetworkError: the sources do not fit the layer.
        """
        name, copy = f"{kind.op}_{node.index}", 1
        while name in self._names:
            copy += 1
            name = f"{kind.op}_{node.index}_{copy}"
        layer = kind(name=name, inputs=tuple(source.name for source in sources), output=output, **fields)
        shape = layer.infer_shape(*(source.shape for source in sources))
        tensor = self.add_tensor(Tensor(output, shape, np.dtype(dtype), quantisation))
        self._names.add(name)
        self.layers.append(replace(layer, output=tensor.name))
        return tensor

    def reshaped(self, node: Node, source: Activation, shape: Shape, order: Order, name: str) -> Activation:
        """The same elements under another shape and order, with a layer where the stored shape changes.

        There is none for an order that is not natural, which only some operators can read, unless it is that of
        a flattened activation: a fully connected layer reads that.
        """
        natural = simplified(order)
        moved = replace(source, shape=shape, order=natural)
        stored = stored_shape(shape) if natural is None or len(shape) == 2 else source.tensor.shape
        if stored == source.tensor.shape:
            return moved
        output = self.add_layer(
            Reshape, node, (source.tensor,), name, source.tensor.quantisation, dtype=source.tensor.dtype, shape=stored
        )
        return replace(moved, tensor=output)

    def rescaled(self, node: Node, source: Activation, target: Target) -> Activation:
        """The activation in another quantisation and clamped; itself, if both change nothing."""
        before, after = source.quantisation, target.quantisation
        if same_quantisation(before, after) and target.clamp == INT8_RANGE:
            return source
        zero = int(before.zero_point[0])
        fields: dict[str, Any] = {
            "requantisation": requantisation([float(before.scale[0]) / float(after.scale[0])]),
            "input_zero_point": zero,
            "output_zero_point": int(after.zero_point[0]),
        }
        kind: type[Layer] = Requantize
        if target.clamp != INT8_RANGE:
            fields["activation"] = target.clamp
            kind = Relu if target.clamp == (max(INT8_RANGE[0], int(after.zero_point[0])), INT8_RANGE[1]) else Clip
        output = self.add_layer(kind, node, (source.tensor,), target.name, target.quantisation, **fields)
        return replace(source, tensor=output)

    def finish(self, finish: Callable[[Target], Activation], target: Target) -> Activation:
        """The layer of a pending operator; the same one if it is asked for the same output twice."""
        scale, zero = float(target.quantisation.scale[0]), int(target.quantisation.zero_point[0])
        key = (finish, scale, zero, target.clamp)
        if key not in self._finished:
            self._finished[key] = finish(target)
        return self._finished[key]
