"""Which buffer each tensor of a network lies in, and where in it."""

from __future__ import annotations

from functools import cache

from compiler.convolution import from_layer
from compiler.csc_mapping import prefers_packed
from compiler.errors import CompilerError
from compiler.feature_maps import Buffer, FeatureMap, MapShape, map_shape
from compiler.graph import Graph, Join
from compiler.host_steps import ADVICE
from hw.config import CoreConfig
from models.layers import Concatenation, Conv2D, FullyConnected, Layer


class Placement:
    """Buffers for the tensors of a network; pieces of a joined tensor lie in its buffer from the start.

    Attributes:
        buffers: by name, each named after the tensor that fills it.
        copied: pieces that cannot lie there from the start, by layer and index of its input.

    Raises:
        CompilerError: tensors that cannot be joined.
    """

    def __init__(self, graph: Graph, config: CoreConfig) -> None:
        self.graph, self.config = graph, config
        self.buffers: dict[str, Buffer] = {}
        self.copied: dict[tuple[str, int], Join] = {}
        self._joined: dict[str, tuple[str, Join]] = {}
        self._find = cache(self._place)
        # The outer of two joined tensors comes later, and decides where the inner one lies.
        for layer in reversed(graph.layers):
            if isinstance(layer, Concatenation):
                self._join(layer)

    def __call__(self, name: str) -> FeatureMap:
        """Where a tensor lies, in the shape in which its root lies there."""
        return self._find(self.graph.root(name))

    def as_shaped(self, name: str, layer: str) -> FeatureMap:
        """Where a tensor lies, in its own shape, for a layer.

        Raises:
            CompilerError: its elements do not lie that way.
        """
        lying, shape = self(name), self._shape(name)
        found = lying.viewed(shape)
        if found is None:
            raise CompilerError(
                f"layer {layer}: its tensor {name!r} was reshaped from {list(lying.shape)} to {list(shape)}, which "
                f"would move channels to other pixels; only a fully connected layer can read it like that: {ADVICE}"
            )
        return found

    def _shape(self, name: str) -> MapShape:
        return map_shape(self.graph.network.tensors[name].shape)

    def _place(self, root: str) -> FeatureMap:
        zero_point = self.graph.network.tensors[root].zero_point
        if root in self._joined:
            piece, join = self._joined[root]
            part = self.part(piece, join).viewed(self._shape(root))
            assert part is not None  # the piece has as many channels
            return part
        shape = self._input_shape(root) if root in self.graph.inputs else self._shape(root)
        rows, columns, channels = shape
        buffer = self.buffers.setdefault(root, Buffer(root, rows * columns, channels, self.config.word_elements))
        return FeatureMap.filling(buffer, shape, zero_point)

    def part(self, piece: str, join: Join) -> FeatureMap:
        """Where a piece of a joined tensor lies."""
        whole = self.as_shaped(join.whole, join.whole)
        place = {"first_pixel": join.first_pixel, "first_channel": join.first_channel}
        return whole.part(self.graph.root(piece), self._shape(piece), **place)

    def _input_shape(self, root: str) -> MapShape:
        """An input arrives in the shape in which it is read.

        It is a vector for fully connected layers alone, and has a pixel a row for a convolution that prefers it so.
        """
        readers = self.graph.readers.get(root, [])
        if self._packs(root, readers):
            rows, columns, channels = self._shape(root)
            return rows, 1, columns * channels
        shapes = [
            self._shape(source)
            for layer in readers
            if not isinstance(layer, FullyConnected)
            for source in (self.graph.padded(name)[0] for name in layer.inputs)
            if self.graph.root(source) == root
        ]
        if shapes:
            return shapes[0]
        size = self.graph.network.tensors[root].size
        if readers and size <= self.config.max_channels and not any(_reads_rows(layer, size) for layer in readers):
            return 1, 1, size
        return self._shape(root)

    def _packs(self, root: str, readers: list[Layer]) -> bool:
        """Whether an input is read by a single convolution, which has each row as a pixel."""
        if len(readers) != 1 or not isinstance(readers[0], Conv2D) or root in self.graph.leaving:
            return False
        conv = from_layer(readers[0], self.graph.network)
        return conv is not None and conv.size == self._shape(root)[:2] and prefers_packed(conv, self.config)

    def _join(self, layer: Concatenation) -> None:
        whole = self.graph.network.tensors[layer.output]
        for index, (name, join) in enumerate(zip(layer.inputs, self.graph.joins(layer), strict=True)):
            if self.graph.network.tensors[name].zero_point != whole.zero_point:
                raise CompilerError(f"layer {layer.name}: its input {name!r} has another zero point than its output")
            part, root, lanes = self.part(name, join), self.graph.root(name), self.config.post_lanes
            if part.first_channel % lanes or (part.channels % lanes and not part.ends_pixel):
                raise CompilerError(
                    f"layer {layer.name}: its input {name!r} would take channels {part.first_channel} to "
                    f"{part.end_channel - 1}, but joined channels begin and end at multiples of post_lanes ({lanes}) "
                    f"of this configuration: lower post_lanes, or {ADVICE}"
                )
            if root in self._joined or not self._can_lie_in(part, root, layer):
                self.copied[layer.name, index] = join
            else:
                self._joined[root] = (name, join)

    def _can_lie_in(self, part: FeatureMap, root: str, layer: Concatenation) -> bool:
        """Whether a tensor can lie in a joined one from the start: those who read it alone must find it as it is."""
        if part.channels != self._shape(root)[2]:
            return False
        others = list(self.graph.readers[root])
        others.remove(layer)  # once: a tensor that is joined twice is copied from the place where it lies
        alone = part.readable or not (others or root in self.graph.inputs)
        return alone and not any(isinstance(reader, FullyConnected) for reader in others)


def _reads_rows(layer: Layer, size: int) -> bool:
    """Whether a fully connected layer reads its input of so many elements as several rows."""
    return isinstance(layer, FullyConnected) and layer.weights.shape[1] != size
