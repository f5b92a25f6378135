"""Lowering: from the layers of a network to the operations of the accelerator, with a place for every tensor."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from compiler.candidates import candidates, is_packed
from compiler.convolution import Convolution, from_layer, with_pooling
from compiler.errors import CompilerError
from compiler.feature_maps import Buffer, FeatureMap, map_shape
from compiler.graph import Graph
from compiler.host_steps import ADVICE
from compiler.mapping import ceil_div, check_limits
from compiler.operations import Convolve, HardwareOperation, Load
from compiler.placement import Placement
from compiler.program import estimate
from compiler.unused import with_zeros
from compiler.vector import KINDS, NO_PADDING, Surroundings, copy, vector_operation
from hw.config import CoreConfig
from models.golden.fixed_point import INT8_RANGE
from models.layers import (
    AveragePool2D,
    Concatenation,
    Conv2D,
    CyclicConv2D,
    DepthwiseConv2D,
    FullyConnected,
    Layer,
    MaxPool2D,
    Mean,
    Pad,
    Padding,
    RescaledAveragePool2D,
    Reshape,
)
from models.network import Network

Weighted = Conv2D | DepthwiseConv2D | CyclicConv2D | FullyConnected
"""The layers that the array runs."""


@dataclass(frozen=True, eq=False)
class Lowered:
    """A network as operations of the accelerator.

    Attributes:
        graph: the network, divided.
        operations: in order, `Load` of each input first.
        buffers: what lies in the activation memory, by name.
        maps: the tensors that lie there, by name, pieces and reshaped ones included.
    """

    graph: Graph
    operations: tuple[HardwareOperation, ...]
    buffers: dict[str, Buffer]
    maps: dict[str, FeatureMap]

    def stored_with(self, name: str) -> FeatureMap:
        """The map that is stored when a tensor is asked for: its own, or of all that shares its words.

        Named after the first tensor that lies so.
        """
        lying = self.maps[name]
        if lying.first_channel % lying.word_elements:
            return self.maps[lying.buffer]
        return self.maps[lying.tensor]


def lower(network: Network, config: CoreConfig) -> Lowered:
    """Lower a network for a core.

    Raises:
        CompilerError: a layer that does not run on the accelerator, or not in this configuration; names it and says
            what to do.
    """
    return _Lowering(network, config).run()


class _Lowering:
    def __init__(self, network: Network, config: CoreConfig) -> None:
        self.network, self.config = network, config
        self.graph = Graph(network)
        self.place = Placement(self.graph, config)
        self.operations: list[HardwareOperation] = []
        self.fused: set[str] = set()
        self.absent: set[str] = set()

    def run(self) -> Lowered:
        for index, name in enumerate(self.graph.inputs):
            self.operations.append(Load(f"load_{index}", self.place(name)))
        for layer in self.graph.layers:
            if isinstance(layer, Weighted):
                self._convolve(layer)
            elif isinstance(layer, Concatenation):
                self._copy_pieces(layer)
            elif type(layer) in KINDS:
                if layer.name not in self.fused:
                    self._compute(layer)
            elif isinstance(layer, Reshape | Pad):
                self._check_zero_points(layer)
            else:
                raise CompilerError(
                    f"layer {layer.name}: the operator {layer.op} does not run on the accelerator yet: {ADVICE}"
                )
        operations = with_zeros(self.operations, self.config)
        return Lowered(self.graph, operations, self.place.buffers, self._maps())

    def _maps(self) -> dict[str, FeatureMap]:
        """Every tensor in memory, in the shape in which it lies there."""
        written = (layer.output for layer in self.graph.layers if not isinstance(layer, Pad))
        held = (*self.graph.inputs, *written, *self.graph.leaving)
        names = [name for name in held if self.graph.root(name) not in self.absent]
        return {name: self.place(name) for name in dict.fromkeys(names)}

    def _check_zero_points(self, layer: Layer) -> None:
        zeros = {self.network.tensors[name].zero_point for name in (*layer.inputs, layer.output)}
        if len(zeros) > 1:
            raise CompilerError(f"layer {layer.name}: the zero points of its input and its output differ")

    def _convolve(self, layer: Weighted) -> None:
        conv = from_layer(layer, self.network)
        assert conv is not None  # of a kind that the array runs
        name, padding, value = self.graph.padded(layer.inputs[0])
        if padding != NO_PADDING and (isinstance(layer, FullyConnected) or value != conv.input_zero_point):
            raise self._unpadded(layer, value)
        source = self._source(layer, name)
        if not isinstance(layer, FullyConnected):
            conv = replace(conv, padding=_sum(conv.padding, padding))
        if isinstance(layer, FullyConnected):
            conv = replace(conv, weights=conv.weights.reshape(conv.maps, *_kernel(conv, source), -1))
        rows, columns, _ = map_shape(self.network.tensors[name].shape) if self._packed(source) else source.shape
        conv = replace(conv, input=name, size=(rows, columns))
        if source.zero_point != conv.input_zero_point:
            raise CompilerError(f"layer {layer.name}: its zero point is not that of its input {name!r}")
        conv, layers = self._with_pooling(conv, layer)
        output = self.place(conv.output).viewed((*conv.output_size, conv.maps))
        assert output is not None  # it has as many channels
        if output.zero_point != conv.output_zero_point:
            raise CompilerError(f"layer {layer.name}: its zero point is not that of its output {conv.output!r}")
        candidates(conv, self.config, output.pixel_words, packed=is_packed(conv, source))  # there is at least one
        self.operations.append(Convolve(layer.name, layers, conv, source, output))

    def _source(self, layer: Weighted, name: str) -> FeatureMap:
        """The input of a layer as the map that its kernel slides over."""
        lying = self.place(name)
        if isinstance(layer, Conv2D) and self._packed(lying):
            return lying
        if not isinstance(layer, FullyConnected):
            return self.place.as_shaped(name, layer.name)
        if layer.weights.shape[1] != lying.rows * lying.columns * lying.channels:
            return self.place.as_shaped(name, layer.name)  # each pixel is multiplied by itself
        fitting = [v for v in lying.flattened(self.config.max_kernel) if v.channels <= self.config.max_channels]
        if not fitting:
            raise CompilerError(
                f"layer {layer.name}: its input, a map of {lying.rows} x {lying.columns} x {lying.channels}, is larger "
                f"than a kernel can be, but max_kernel of this configuration is {self.config.max_kernel}: raise it, or "
                "max_channels"
            )
        return fitting[0]

    def _packed(self, source: FeatureMap) -> bool:
        """Whether each row of a map of several columns lies as one pixel."""
        rows, columns, channels = map_shape(self.network.tensors[source.tensor].shape)
        return columns > 1 and source.shape == (rows, 1, columns * channels)

    def _with_pooling(self, conv: Convolution, layer: Layer) -> tuple[Convolution, tuple[str, ...]]:
        """The convolution with a max-pooling that alone reads it, if the array can do both at once."""
        readers = self.graph.readers.get(conv.output, [])
        leaves = any(self.graph.root(name) == conv.output for name in self.graph.leaving)
        if conv.edges is not None or len(readers) != 1 or leaves or readers[0].inputs != (conv.output,):
            return conv, (layer.name,)
        (pooling,) = readers
        fused = with_pooling(conv, pooling) if isinstance(pooling, MaxPool2D) else None
        if fused is None:
            return conv, (layer.name,)
        try:
            check_limits(fused, self.config, whole=True)
        except CompilerError:
            return conv, (layer.name,)
        if self.config.rsnn and not self._fusing_pays(conv, fused):
            return conv, (layer.name,)
        self.fused.add(pooling.name)
        self.absent.add(conv.output)
        return fused, (layer.name, pooling.name)

    def _fusing_pays(self, conv: Convolution, fused: Convolution) -> bool:
        """Whether a layer with its pooling is faster than on rsnn, which leaves the pooling to the vector unit."""
        words = ceil_div(conv.maps, self.config.word_elements)

        def cycles(one: Convolution) -> float:
            ways = candidates(one, self.config, words)
            return min(estimate(way.conv, way.mapping, self.config, loads=False) for way in ways)

        read = prod(fused.output_size) * words * prod(fused.pool)
        return cycles(fused) <= cycles(conv) + read

    def _compute(self, layer: Layer) -> None:
        """A layer on the vector unit."""
        name, padding, value = self.graph.padded(layer.inputs[0])
        if padding != NO_PADDING and not self._counts_for_nothing(layer, name, value):
            raise self._unpadded(layer, value)
        names = (name, *layer.inputs[1:])
        inputs = tuple(self.place.as_shaped(name, layer.name) for name in names)
        output = self.place.as_shaped(layer.output, layer.name)
        if isinstance(layer, Mean):
            output = self._reduced(layer, inputs[0], output)
        self.operations.append(vector_operation(layer, Surroundings(inputs, output, self.config, padding)))

    def _counts_for_nothing(self, layer: Layer, source: str, value: int) -> bool:
        """Whether a pooling layer may leave out the padding of a pad layer."""
        if isinstance(layer, AveragePool2D | RescaledAveragePool2D):
            return value == self.network.tensors[source].zero_point
        return isinstance(layer, MaxPool2D) and value <= max(INT8_RANGE[0], layer.activation[0])

    def _unpadded(self, layer: Layer, value: int) -> CompilerError:
        return CompilerError(
            f"layer {layer.name}: the padding of {value} in front of it cannot become padding of its own: {ADVICE}"
        )

    def _reduced(self, layer: Mean, source: FeatureMap, output: FeatureMap) -> FeatureMap:
        """The output of a mean, with the dimensions that it leaves out."""
        rank = len(self.network.tensors[layer.inputs[0]].shape)
        axes = {axis - rank for axis in layer.axes}
        if rank > 4 or -1 in axes:
            raise CompilerError(
                f"layer {layer.name}: a mean over anything but the rows and columns of a feature map does not run on "
                f"the accelerator yet: {ADVICE}"
            )
        rows, columns = (1 if axis in axes else size for axis, size in ((-3, source.rows), (-2, source.columns)))
        found = output.viewed((rows, columns, source.channels))
        assert found is not None  # it has as many channels
        return found

    def _copy_pieces(self, layer: Concatenation) -> None:
        for index, name in enumerate(layer.inputs):
            join = self.place.copied.get((layer.name, index))
            if join is None:
                continue
            part = self.place.part(name, join)
            source = self.place.as_shaped(name, layer.name)
            self.operations.append(copy(f"{layer.name}_{index}", layer, source, part, self.config))


def _kernel(conv: Convolution, source: FeatureMap) -> tuple[int, int]:
    """A kernel that has as many weights: a fully connected layer's covers the map."""
    same = conv.channels == source.channels
    return conv.kernel if same else (source.rows, source.columns)


def _sum(first: Padding, second: Padding) -> Padding:
    (top, bottom), (left, right) = first
    (more_top, more_bottom), (more_left, more_right) = second
    return (top + more_top, bottom + more_bottom), (left + more_left, right + more_right)
