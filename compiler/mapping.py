"""Mapping: how a convolution is laid out on a core - split of the groups, passes, and rings of rows."""

from __future__ import annotations

from dataclasses import dataclass

from compiler.convolution import Convolution
from compiler.errors import CompilerError
from compiler.sparse_weights import SparsePlan
from hw.config import PARAMETER_PLANES, SUM_BITS, CoreConfig
from hw.control.descriptor import Dataflow
from hw.control.units import unit_window


def ceil_div(value: int, divisor: int) -> int:
    """The quotient, rounded up."""
    return -(-value // divisor)


def parameter_beats(config: CoreConfig) -> int:
    """Beats of the weight stream for the parameters of a block."""
    return PARAMETER_PLANES * config.post_beats * config.parameter_chunks


def block_cycles(words: int, config: CoreConfig) -> int:
    """Cycles to load a block of maps with so many weight words: its parameters, and a word or half a word a cycle."""
    return parameter_beats(config) + words * max(1, config.weight_bits // 8)


@dataclass(frozen=True)
class Geometry:
    """What the hardware walks over: the rows that are sent, and the steps of units in rows.

    A convolution whose windows leave rows out (1 x k kernels with a vertical stride) is sent without those rows, and
    has stride 1 then: rows are separate packets, so the sender only skips. A map that lies whole in memory is as it is.

    Attributes:
        rows: indices of the input's rows that are sent.
        stride_rows: vertical stride over the rows sent.
        unit_rows, unit_columns: steps from unit to unit (a unit is an output, or a pooling window of them).
        reach: last row of a unit relative to its first.
    """

    rows: range
    stride_rows: int
    unit_rows: int
    unit_columns: int
    reach: int

    @classmethod
    def of(cls, conv: Convolution, *, whole: bool = False) -> Geometry:
        """The geometry of a convolution; with all rows of an input that lies `whole` in memory."""
        stride, top = conv.stride[0], conv.padding[0][0]
        step = 1
        if not whole and conv.kernel[0] == 1 and conv.pool[0] == 1 and top == 0:
            step, stride = stride * conv.pool_stride[0], 1
            unit_rows = 1
        else:
            unit_rows = stride * conv.pool_stride[0]
        reach = (conv.kernel[0] - 1) * conv.dilation[0] + (conv.pool[0] - 1) * stride
        # The last row that any window touches, in rows as sent.
        last = (conv.output_size[0] - 1) * unit_rows - top + reach
        count = conv.size[0] if whole else min(last + 1, ceil_div(conv.size[0], step))
        return cls(
            rows=range(0, max(1, count) * step, step),
            stride_rows=stride,
            unit_rows=unit_rows,
            unit_columns=conv.stride[1] * conv.pool_stride[1],
            reach=reach,
        )


DATAFLOW_NAMES = {int(member): name.lower() for name, member in Dataflow.__members__.items()}
"""The dataflows by number."""


@dataclass(frozen=True)
class Mapping:
    """A convolution on a core.

    Attributes:
        channel_groups, space_groups: split of the groups.
        passes: over the input, each for `pass_maps` maps (the last may have fewer).
        input_ring, output_ring: rows held in the activation memory.
        resident: the whole input is held, and loaded once.
        merged: the whole output with all its channels is held, and leaves after the last pass.
        run: outputs side by side that a set of groups is given at once, for the csc dataflow; 0 for others.
        rounds: blocks of maps that a group works on in a pass, for the csc dataflow; packed: a row of the input lies as
            one pixel.
        sparse: for the rsnn dataflow; None for others.
    """

    geometry: Geometry
    channel_groups: int
    space_groups: int
    passes: int
    pass_maps: int
    input_ring: int
    output_ring: int
    resident: bool
    merged: bool
    input_pixel_words: int
    output_pixel_words: int
    run: int = 0
    rounds: int = 1
    packed: bool = False
    sparse: SparsePlan | None = None

    def maps_of_pass(self, index: int, maps: int) -> int:
        """Maps that pass `index` computes, of `maps`."""
        return min(self.pass_maps, maps - index * self.pass_maps)

    def blocks_of_pass(self, index: int, maps: int, lanes: int) -> int:
        """Blocks of `lanes` maps of pass `index`; of rsnn one for each group, whatever its maps are."""
        if self.sparse is not None:
            return self.channel_groups
        return ceil_div(self.maps_of_pass(index, maps), lanes)

    def multiplies(self, operations: int, maps: int) -> int:
        """Useful multiplications of so many operations, as `LayerReport` counts them, for a layer of so many maps."""
        if self.sparse is not None:
            return self.sparse.multiplies(operations)
        if not self.run:
            return operations * maps // self.passes
        blocks = sum(self.blocks_of_pass(index, maps, self.lanes) for index in range(self.passes))
        return operations * maps // blocks

    @property
    def number(self) -> int:
        """The dataflow, as the descriptor has it."""
        if self.sparse is not None:
            return int(Dataflow.RSNN)
        return int(Dataflow.CSC if self.run else Dataflow.NULLHOP)

    @property
    def dataflow(self) -> str:
        """Name of the front end that feeds the array."""
        return DATAFLOW_NAMES[self.number]

    @property
    def lanes(self) -> int:
        """Of a group."""
        return self.pass_maps // (self.channel_groups * self.rounds)

    @property
    def loads(self) -> int:
        """Times that the input is streamed in."""
        return 1 if self.resident else self.passes

    @property
    def stores(self) -> int:
        """Maps that are streamed out: the whole output, or one block of channels a pass."""
        return 1 if self.merged else self.passes


def suitable(conv: Convolution, config: CoreConfig) -> tuple[str, ...]:
    """The dataflows of a core that run layers of this kind as they are."""
    alone = conv.pool == (1, 1)
    if conv.edges is not None:
        return ("csc",) * config.csc
    return ("nullhop",) * config.nullhop + ("rsnn",) * (config.rsnn and alone) + ("csc",) * (config.csc and alone)


def check_limits(
    conv: Convolution, config: CoreConfig, *, whole: bool = False, dataflows: tuple[str, ...] | None = None
) -> None:
    """Refuse what no mapping of this configuration can hold, or none for an input that lies `whole` in memory.

    Args:
        dataflows: that it may run on; all that are `suitable` unless given.

    Raises:
        CompilerError: names the layer, the limit, and both values.
    """
    dataflows = suitable(conv, config) if dataflows is None else dataflows
    if not dataflows:
        needed = "csc" if conv.edges is not None else "nullhop"
        raise CompilerError(f"layer {conv.name}: it needs the {needed} dataflow, which this configuration leaves out")
    geometry = Geometry.of(conv, whole=whole)
    extents = [
        ("height", conv.size[0], "max_size", config.max_size),
        ("width", conv.size[1], "max_size", config.max_size),
        ("step between windows", max(geometry.unit_rows, geometry.unit_columns), "max_size", config.max_size),
        ("height of the window", geometry.reach, "max_size", config.max_size),
        ("padding", max(map(max, conv.padding)), "max_size", config.max_size),
        ("dilation", max(conv.dilation), "max_size", config.max_size),
        ("output's height", conv.output_size[0], "max_size", config.max_size),
        ("output's width", conv.output_size[1], "max_size", config.max_size),
        ("number of input channels", conv.channels, "max_channels", config.max_channels),
        ("number of maps", conv.maps, "max_channels", config.max_channels),
        ("kernel size", max(conv.kernel), "max_kernel", config.max_kernel),
        ("pooling window", max(conv.pool), "max_kernel", config.max_kernel),
        ("requantisation's left shift", int(conv.shift.max()), "max_left_shift", config.max_left_shift),
    ]
    if "rsnn" not in dataflows:
        extents.append(("number of weights of a map", conv.map_weights, "weight_depth", config.weight_depth))
    if config.accumulator_bits < SUM_BITS:
        bits = conv.sum_bits(config.activation_bits)
        extents.append(("number of bits of a sum", bits, "accumulator_bits", config.accumulator_bits))
    for what, value, limit, allowed in extents:
        if value > allowed:
            raise CompilerError(
                f"layer {conv.name}: its {what} is {value}, but {limit} of this configuration is {allowed}: raise it"
            )


def _leave_pass_by_pass(conv: Convolution, pass_maps: int, config: CoreConfig) -> bool:
    """Whether each pass's maps are whole words of a pixel, so that they can leave as a feature map of their own."""
    return pass_maps >= conv.maps or pass_maps % config.word_elements == 0


def least_words(conv: Convolution, config: CoreConfig, channel_groups: int) -> int:
    """Words of activation memory that a split needs: the smallest ring of input rows, and what must wait to leave."""
    geometry = Geometry.of(conv)
    rows_out, columns_out = conv.output_size
    input_rows = min(len(geometry.rows), geometry.reach + 1)
    pass_maps = channel_groups * config.lanes
    if _leave_pass_by_pass(conv, pass_maps, config):
        output_words = columns_out * ceil_div(min(pass_maps, conv.maps), config.word_elements)
    else:
        output_words = rows_out * columns_out * ceil_div(conv.maps, config.word_elements)
    return input_rows * conv.size[1] * ceil_div(conv.channels, config.word_elements) + output_words


def _map(conv: Convolution, config: CoreConfig, channel_groups: int) -> Mapping:
    """The mapping for a split whose `least_words` the activation memory has."""
    geometry = Geometry.of(conv)
    pass_maps = channel_groups * config.lanes
    rows_out, columns_out = conv.output_size
    rows_in = len(geometry.rows)
    in_words, out_words = ceil_div(conv.channels, config.word_elements), ceil_div(conv.maps, config.word_elements)
    in_row = conv.size[1] * in_words
    total = config.activation_words

    def mapping(output_ring: int, *, merged: bool, pixel_words: int) -> Mapping:
        """With as many input rows as there is room for."""
        input_ring = min(rows_in, (total - output_ring * columns_out * pixel_words) // in_row)
        return Mapping(
            geometry=geometry,
            channel_groups=channel_groups,
            space_groups=config.groups // channel_groups,
            passes=ceil_div(conv.maps, pass_maps),
            pass_maps=pass_maps,
            input_ring=input_ring,
            output_ring=output_ring,
            resident=input_ring == rows_in,
            merged=merged,
            input_pixel_words=in_words,
            output_pixel_words=pixel_words,
        )

    everything_fits = rows_out * columns_out * out_words + rows_in * in_row <= total
    if everything_fits or not _leave_pass_by_pass(conv, pass_maps, config):
        return mapping(rows_out, merged=True, pixel_words=out_words)
    leaving_words = ceil_div(min(pass_maps, conv.maps), config.word_elements)
    # Rows that the units under way may span; twice that, and rows are stored while others fill.
    span = ceil_div(unit_window(config), columns_out) + 1
    wanted = min(rows_in, geometry.reach + 1 + span * geometry.unit_rows)
    for output_ring in (2 * span, span, 2):
        found = mapping(min(rows_out, output_ring), merged=False, pixel_words=leaving_words)
        if found.output_ring > 1 and found.input_ring >= wanted:
            return found
    return mapping(1, merged=False, pixel_words=leaving_words)


def mappings(conv: Convolution, config: CoreConfig) -> list[Mapping]:
    """Every mapping of the convolution on nullhop that the configuration holds, one a split.

    Raises:
        CompilerError: the configuration cannot hold the layer.
    """
    check_limits(conv, config, dataflows=tuple(name for name in suitable(conv, config) if name == "nullhop"))
    needed = {channel_groups: least_words(conv, config, channel_groups) for channel_groups, _ in config.splits}
    least = min(needed.values())
    if least > config.activation_words:
        raise CompilerError(
            f"layer {conv.name}: its rows take at least {least} words of activation memory, but activation_banks x "
            f"activation_depth of this configuration is {config.activation_words}: raise activation_depth"
        )
    return [
        _map(conv, config, channel_groups)
        for channel_groups, words in needed.items()
        if words <= config.activation_words
    ]


def mappings_in_memory(conv: Convolution, config: CoreConfig, output_pixel_words: int) -> list[Mapping]:
    """Every nullhop mapping of a dense convolution whose input and output lie whole in memory, one a split.

    Raises:
        CompilerError: the configuration cannot hold the layer.
    """
    check_limits(conv, config, whole=True, dataflows=("nullhop",) * config.nullhop)
    return [
        Mapping(
            geometry=Geometry.of(conv, whole=True),
            channel_groups=channel_groups,
            space_groups=space_groups,
            passes=ceil_div(conv.maps, channel_groups * config.lanes),
            pass_maps=channel_groups * config.lanes,
            input_ring=conv.size[0],
            output_ring=conv.output_size[0],
            resident=True,
            merged=True,
            input_pixel_words=ceil_div(conv.channels, config.word_elements),
            output_pixel_words=output_pixel_words,
        )
        for channel_groups, space_groups in config.splits
    ]
