"""The program of a layer: everything that travels to a core to run it, and how its answer is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from compiler.candidates import Candidate, streamed_mappings
from compiler.convolution import Convolution
from compiler.csc_cycles import csc_estimate, simulated_cycles
from compiler.csc_walk import edge_walk
from compiler.descriptor import Fields, Places, describe, pack
from compiler.errors import CompilerError
from compiler.mapping import Mapping, block_cycles, ceil_div
from compiler.rsnn_cycles import RsnnPass
from compiler.weights import Beats, Part, weight_beats
from hw.config import CoreConfig

TYPICAL_DENSITY = 0.5
"""Share of non-zero activations that a mapping is chosen for; no input is known then."""

SIMULATED = 4
"""Ways of csc to share the work, and runs of the best of them, that are simulated to find the fastest."""


@dataclass(frozen=True, eq=False)
class LayerProgram:
    """A layer, mapped onto a core.

    Attributes:
        conv: what runs; mapping: how; config: on what.
        sparse_input, sparse_output: feature maps travel as SM/NZVL, or dense.
        places: where they lie, if they do not travel.
        kept: the word of the weight memories where its weights stay between runs, None if they stream in each time.
    """

    conv: Convolution
    mapping: Mapping
    config: CoreConfig
    sparse_input: bool = True
    sparse_output: bool = True
    places: Places | None = None
    kept: int | None = None

    @cached_property
    def descriptor(self) -> int:
        """The bits of the `LayerDescriptor`."""
        return pack(self._fields, self.config, self.conv.name)

    @cached_property
    def _fields(self) -> Fields:
        return describe(
            self.conv,
            self.mapping,
            self.config,
            sparse_input=self.sparse_input,
            sparse_output=self.sparse_output,
            places=self.places,
            kept=self.kept,
        )

    @cached_property
    def weights(self) -> Beats:
        """The beats of the weight stream."""
        part = Part.ALL if self.kept is None else Part.PARAMETERS
        return weight_beats(self.conv, self.mapping, self.config, part)

    @property
    def held_weights(self) -> Beats:
        """The beats that bring its weights to where they are kept."""
        return weight_beats(self.conv, self.mapping, self.config, Part.WORDS)

    @property
    def hold_fields(self) -> Fields:
        """The fields of a descriptor that say where weights go."""
        return {name: self._fields[name] for name in ("passes_last", "split", "weights")}

    @property
    def memory_words(self) -> int:
        """Words of the weight memories for all its weights."""
        return self.mapping.passes * int(self._fields["weights"]["pass_words"])

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

    def multiplies(self, operations: int, maps: int | None = None) -> int:
        """Useful multiplications of so many operations: one for each map that an activation is multiplied for.

        `maps`: those that count, if not all. Where a block of maps spans several groups of channels, those of a map's
        own group count.
        """
        all_edges = self.mapping.multiplies(operations, self.conv.maps if maps is None else maps)
        if not self.mapping.run or self.mapping.packed:
            return all_edges
        mapping = self.mapping
        return (
            all_edges * self.conv.fan // edge_walk(self.conv, self.config, mapping.channel_groups, mapping.rounds).fan
        )


def to_stored(values: npt.NDArray, zero_point: int, config: CoreConfig) -> npt.NDArray:
    """Quantised values as stored activations: (q - z) modulo 2**activation_bits."""
    dtype = {8: np.uint8, 16: np.uint16}[config.activation_bits]
    return (values.astype(np.int32) - zero_point).astype(dtype)


def from_stored(stored: npt.NDArray, zero_point: int, config: CoreConfig) -> npt.NDArray:
    """The quantised values of stored activations."""
    dtype = {8: np.int8, 16: np.int16}[config.activation_bits]
    return (stored.astype(np.int32) + zero_point).astype(dtype)


def estimate(
    conv: Convolution, mapping: Mapping, config: CoreConfig, *, loads: bool = True, kept: bool = False
) -> float:
    """Cycles of a mapping for an input of typical density: computing, loading, collecting or weights, the slowest.

    Args:
        loads: the input arrives meanwhile; kept: the weights are there already.
    """
    if mapping.run:
        return csc_estimate(conv, mapping, config, kept)
    if mapping.sparse is not None:
        return _estimate_rsnn(conv, mapping, config, kept)
    rows, columns = conv.output_size
    units = rows * columns
    taps = conv.kernel[0] * conv.kernel[1] * conv.pool[0] * conv.pool[1]
    # A controller takes a step for each tap and for each of its words, whatever is in them.
    unit = taps * max(conv.fan * TYPICAL_DENSITY, 1 + mapping.input_pixel_words)
    computing = mapping.passes * unit * ceil_div(units, mapping.space_groups)
    loading = loads * mapping.loads * len(mapping.geometry.rows) * conv.size[1] * mapping.input_pixel_words
    collecting = units * conv.pool[0] * conv.pool[1] * ceil_div(conv.maps, config.post_lanes)
    blocks = ceil_div(conv.maps, config.lanes)
    weights = blocks * block_cycles(0 if kept else conv.map_weights, config)
    # What waits for the others at both ends: rows to begin with, a unit's result at the end.
    ends = loads * (mapping.geometry.reach + 1) * conv.size[1] * mapping.input_pixel_words + unit
    return max(computing, loading, collecting, weights) + mapping.passes * ends


def fastest(found: Sequence[Candidate], config: CoreConfig, *, loads: bool = False, kept: bool = False) -> Candidate:
    """The candidate with the fewest estimated cycles.

    Args:
        loads: the input arrives meanwhile; kept: the weights are there already.

    What csc takes depends on no input: where it is likely to be the fastest, it is simulated.
    """
    estimates = {one: estimate(one.conv, one.mapping, config, loads=loads, kept=kept) for one in found}
    best = min(found, key=lambda one: (estimates[one], bool(one.mapping.run)))
    if not best.mapping.run:
        return best
    of_csc = sorted((one for one in found if one.mapping.run), key=estimates.__getitem__)

    def measured(one: Candidate) -> float:
        if one.mapping.run:
            return simulated_cycles(one.conv, one.mapping, config, kept)
        return estimates[one]

    # How the groups share the work decides most: the best run of each way, and then the other runs of the best way.
    ways = {_shares(one.mapping): one for one in reversed(of_csc)}
    first = min(sorted(ways.values(), key=estimates.__getitem__)[:SIMULATED], key=measured)
    others = [one for one in of_csc if _shares(one.mapping) == _shares(first.mapping)][:SIMULATED]
    return min([first, *others, *(one for one in found if not one.mapping.run)], key=measured)


def _shares(mapping: Mapping) -> tuple[int, int]:
    return mapping.channel_groups, mapping.rounds


def _estimate_rsnn(conv: Convolution, mapping: Mapping, config: CoreConfig, kept: bool) -> float:
    """The same for rsnn, which depends on no input either."""
    assert mapping.sparse is not None
    cycles = 0.0
    for index in range(mapping.passes):
        weights = config.groups * block_cycles(0 if kept else mapping.sparse.words, config)
        cycles += max(RsnnPass(conv, mapping, config, index).run(0), weights)
    return cycles


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
    mapping = fastest([Candidate(conv, mapping) for mapping in candidates], config, loads=True).mapping
    if sparse_output is None:
        sparse_output = conv.activation[0] == conv.output_zero_point
    sparse_input, sparse_output = (form and config.sparse_streams for form in (sparse_input, sparse_output))
    program = LayerProgram(conv, mapping, config, sparse_input, sparse_output)
    _ = program.descriptor  # packed now, so that a value that does not fit is refused here
    return program
