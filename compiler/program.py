"""The program of a layer: everything that travels to a core to run it, and how its answer is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from compiler.candidates import streamed_mappings
from compiler.convolution import Convolution
from compiler.csc_cycles import CscPass
from compiler.descriptor import Places, describe, pack
from compiler.errors import CompilerError
from compiler.mapping import Mapping, ceil_div
from compiler.rsnn_cycles import RsnnPass
from compiler.weights import Beats, weight_beats
from hw.config import PARAMETER_PLANES, CoreConfig

TYPICAL_DENSITY = 0.5
"""Share of non-zero activations that a mapping is chosen for; no input is known then."""


@dataclass(frozen=True, eq=False)
class LayerProgram:
    """A layer, mapped onto a core.

    Attributes:
        conv: what runs; mapping: how; config: on what.
        sparse_input, sparse_output: feature maps travel as SM/NZVL, or dense.
        places: where they lie, if they do not travel.
    """

    conv: Convolution
    mapping: Mapping
    config: CoreConfig
    sparse_input: bool = True
    sparse_output: bool = True
    places: Places | None = None

    @cached_property
    def descriptor(self) -> int:
        """The bits of the `LayerDescriptor`."""
        fields = describe(
            self.conv,
            self.mapping,
            self.config,
            sparse_input=self.sparse_input,
            sparse_output=self.sparse_output,
            places=self.places,
        )
        return pack(fields, self.config, self.conv.name)

    @cached_property
    def weights(self) -> Beats:
        """The beats of the weight stream."""
        return weight_beats(self.conv, self.mapping, self.config)

    def stored_input(self, tensor: npt.NDArray) -> npt.NDArray:
        """The rows that are sent, as stored activations [rows, columns, channels], of the input tensor for batch 1."""
        rows = tensor.reshape(*self.conv.size, self.conv.channels)[self.mapping.geometry.rows]
        return to_stored(rows, self.conv.input_zero_point, self.config)

    def stored_output(self, tensor: npt.NDArray) -> npt.NDArray:
        """The output tensor for batch 1 as stored activations [rows, columns, maps]."""
        shaped = tensor.reshape(*self.conv.output_size, self.conv.maps)
        return to_stored(shaped, self.conv.output_zero_point, self.config)

    def received_channels(self) -> list[slice]:
        """The output channels of each feature map that comes out, one after another."""
        if self.mapping.merged:
            return [slice(0, self.conv.maps)]
        size = self.mapping.pass_maps
        return [slice(i * size, min((i + 1) * size, self.conv.maps)) for i in range(self.mapping.passes)]

    def multiplies(self, operations: int) -> int:
        """Useful multiplications of so many operations: one for each map that an activation is multiplied for."""
        return self.mapping.multiplies(operations, self.conv.maps)


def to_stored(values: npt.NDArray, zero_point: int, config: CoreConfig) -> npt.NDArray:
    """Quantised values as stored activations: (q - z) modulo 2**activation_bits."""
    dtype = {8: np.uint8, 16: np.uint16}[config.activation_bits]
    return (values.astype(np.int32) - zero_point).astype(dtype)


def from_stored(stored: npt.NDArray, zero_point: int, config: CoreConfig) -> npt.NDArray:
    """The quantised values of stored activations."""
    dtype = {8: np.int8, 16: np.int16}[config.activation_bits]
    return (stored.astype(np.int32) + zero_point).astype(dtype)


def estimate(conv: Convolution, mapping: Mapping, config: CoreConfig, *, loads: bool = True) -> float:
    """Cycles of a mapping for an input of typical density: computing, loading, collecting or weights, the slowest."""
    if mapping.run:
        return _estimate_csc(conv, mapping, config)
    if mapping.sparse is not None:
        return _estimate_rsnn(conv, mapping, config)
    rows, columns = conv.output_size
    units = rows * columns
    unit = conv.map_weights * TYPICAL_DENSITY * conv.pool[0] * conv.pool[1]
    computing = mapping.passes * unit * ceil_div(units, mapping.space_groups)
    loading = loads * mapping.loads * len(mapping.geometry.rows) * conv.size[1] * mapping.input_pixel_words
    collecting = units * conv.pool[0] * conv.pool[1] * ceil_div(conv.maps, config.post_lanes)
    blocks = ceil_div(conv.maps, config.lanes)
    weights = blocks * (conv.map_weights + PARAMETER_PLANES * config.post_beats)
    # What waits for the others at both ends: rows to begin with, a unit's result at the end.
    ends = loads * (mapping.geometry.reach + 1) * conv.size[1] * mapping.input_pixel_words + unit
    return max(computing, loading, collecting, weights) + mapping.passes * ends


def _estimate_csc(conv: Convolution, mapping: Mapping, config: CoreConfig) -> float:
    """The same for csc, which depends on no input: each pass as modelled, and the first one's weights."""
    cycles = 0.0
    for index in range(mapping.passes):
        blocks = mapping.blocks_of_pass(index, conv.maps, config.lanes)
        beats = ceil_div(mapping.maps_of_pass(index, conv.maps), config.post_lanes)
        weights = blocks * (conv.map_weights + PARAMETER_PLANES * config.post_beats)
        cycles += max(CscPass(conv, mapping, config, blocks, beats).run(0), weights)
    return cycles


def _estimate_rsnn(conv: Convolution, mapping: Mapping, config: CoreConfig) -> float:
    """The same for rsnn, which depends on no input either."""
    assert mapping.sparse is not None
    cycles = 0.0
    for index in range(mapping.passes):
        weights = config.groups * (mapping.sparse.words + parameter_beats(config))
        cycles += max(RsnnPass(conv, mapping, config, index).run(0), weights)
    return cycles


def parameter_beats(config: CoreConfig) -> int:
    """Beats of the weight stream for the parameters of a block."""
    return PARAMETER_PLANES * config.post_beats * config.parameter_chunks


def fastest(conv: Convolution, candidates: Iterable[Mapping], config: CoreConfig, *, loads: bool = True) -> Mapping:
    """The mapping with the fewest estimated cycles; without `loads`, of an input that is in memory already."""
    return min(candidates, key=lambda candidate: estimate(conv, candidate, config, loads=loads))


def compile_layer(
    conv: Convolution,
    config: CoreConfig,
    *,
    channel_groups: int | None = None,
    sparse_input: bool = True,
    sparse_output: bool | None = None,
) -> LayerProgram:
    """Map a layer onto a core, in the fewest estimated cycles.

    Args:
        channel_groups: take this split instead of the best one.
        sparse_input, sparse_output: the maps travel as SM/NZVL or dense; always dense in a core without
            `sparse_streams`. The output's form, unless given, is the
            shorter one to expect: a layer that ends in a rectifier has many zeros, any other has few.

    Raises:
        CompilerError: the configuration cannot hold the layer, or not with this split.
    """
    found = streamed_mappings(conv, config)
    candidates = [mapping for mapping in found if channel_groups in (None, mapping.channel_groups)]
    if not candidates:
        raise CompilerError(
            f"layer {conv.name}: {channel_groups} channel groups do not divide the {config.groups} groups, or its "
            f"rows do not fit then: give one of {', '.join(str(mapping.channel_groups) for mapping in found)}"
        )
    mapping = fastest(conv, candidates, config)
    if sparse_output is None:
        sparse_output = conv.activation[0] == conv.output_zero_point
    sparse_input, sparse_output = (form and config.sparse_streams for form in (sparse_input, sparse_output))
    program = LayerProgram(conv, mapping, config, sparse_input, sparse_output)
    _ = program.descriptor  # packed now, so that a value that does not fit is refused here
    return program
