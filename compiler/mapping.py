"""Mapping: how a convolution is laid out on a core - split of the groups, passes, and rings of rows."""

from __future__ import annotations

from dataclasses import dataclass

from compiler.convolution import Convolution
from compiler.errors import CompilerError
from hw.config import WORD_ELEMENTS, CoreConfig
from hw.control.units import unit_window


def ceil_div(value: int, divisor: int) -> int:
    """The quotient, rounded up."""
    return -(-value // divisor)


@dataclass(frozen=True)
class Geometry:
    """What the hardware walks over: the rows that are sent, and the steps of units in rows.

    A convolution whose windows leave rows out (1 x k kernels with a vertical stride) is sent without those rows, and
    has stride 1 then: rows are separate packets, so the sender only skips.

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
    def of(cls, conv: Convolution) -> Geometry:
        """The geometry of a convolution."""
        (stride, stride_columns), (top, _) = conv.stride, conv.padding[0]
        step = 1
        if conv.kernel[0] == 1 and conv.pool[0] == 1 and top == 0:
            step, stride = stride * conv.pool_stride[0], 1
            unit_rows = 1
        else:
            unit_rows = stride * conv.pool_stride[0]
        reach = (conv.kernel[0] - 1) * conv.dilation[0] + (conv.pool[0] - 1) * stride
        # The last row that any window touches, in rows as sent.
        last = (conv.output_size[0] - 1) * unit_rows - top + reach
        count = min(last + 1, ceil_div(conv.size[0], step))
        return cls(
            rows=range(0, max(1, count) * step, step),
            stride_rows=stride,
            unit_rows=unit_rows,
            unit_columns=conv.stride[1] * conv.pool_stride[1],
            reach=reach,
        )


@dataclass(frozen=True)
class Mapping:
    """A convolution on a core.

    Attributes:
        channel_groups, space_groups: split of the groups.
        passes: over the input, each for `pass_maps` maps (the last may have fewer).
        input_ring, output_ring: rows held in the activation memory.
        resident: the whole input is held, and loaded once.
        merged: the whole output with all its channels is held, and leaves after the last pass.
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

    def maps_of_pass(self, index: int, maps: int) -> int:
        """Maps that pass `index` computes, of `maps`."""
        return min(self.pass_maps, maps - index * self.pass_maps)

    def blocks_of_pass(self, index: int, maps: int, lanes: int) -> int:
        """Blocks of `lanes` maps of pass `index`."""
        return ceil_div(self.maps_of_pass(index, maps), lanes)

    @property
    def loads(self) -> int:
        """Times that the input is streamed in."""
        return 1 if self.resident else self.passes

    @property
    def stores(self) -> int:
        """Maps that are streamed out: the whole output, or one block of channels a pass."""
        return 1 if self.merged else self.passes


def check_limits(conv: Convolution, config: CoreConfig) -> None:
    """Refuse what no mapping of this configuration can hold; the message names the limit."""
    geometry = Geometry.of(conv)
    extents = [
        ("height", conv.size[0], "max_size", config.max_size),
        ("width", conv.size[1], "max_size", config.max_size),
        ("step between windows", max(geometry.unit_rows, geometry.unit_columns), "max_size", config.max_size),
        ("height of the window", geometry.reach, "max_size", config.max_size),
        ("padding", max(map(max, conv.padding)), "max_size", config.max_size),
        ("dilation", max(conv.dilation), "max_size", config.max_size),
        ("number of input channels", conv.channels, "max_channels", config.max_channels),
        ("number of maps", conv.maps, "max_channels", config.max_channels),
        ("kernel size", max(conv.kernel), "max_kernel", config.max_kernel),
        ("pooling window", max(conv.pool), "max_kernel", config.max_kernel),
    ]
    for what, value, limit, allowed in extents:
        if value > allowed:
            raise CompilerError(
                f"layer {conv.name}: its {what} is {value}, but {limit} of this configuration is {allowed}: raise it"
            )
    words = conv.kernel[0] * conv.kernel[1] * conv.channels
    if words > config.weight_depth:
        raise CompilerError(
            f"layer {conv.name}: a map has {words} weights, but weight_depth of this configuration is "
            f"{config.weight_depth}: raise it"
        )
    largest = int(conv.shift.max())
    if largest > config.max_left_shift:
        raise CompilerError(
            f"layer {conv.name}: its requantisation shifts left by {largest}, but max_left_shift of this "
            f"configuration is {config.max_left_shift}: raise it"
        )


def _rings(conv: Convolution, config: CoreConfig, geometry: Geometry, channel_groups: int) -> Mapping | None:
    """The mapping for a split, or None if its rows do not fit the activation memory."""
    pass_maps = channel_groups * config.lanes
    passes = ceil_div(conv.maps, pass_maps)
    rows_out, columns_out = conv.output_size
    rows_in = len(geometry.rows)
    in_words, out_words = ceil_div(conv.channels, WORD_ELEMENTS), ceil_div(conv.maps, WORD_ELEMENTS)
    in_row = conv.size[1] * in_words
    total = config.activation_words
    # Rows that the units under way may span.
    span = ceil_div(unit_window(config), columns_out) + 1

    def mapping(input_ring: int, output_ring: int, merged: bool, pixel_words: int) -> Mapping:
        return Mapping(
            geometry=geometry,
            channel_groups=channel_groups,
            space_groups=config.groups // channel_groups,
            passes=passes,
            pass_maps=pass_maps,
            input_ring=input_ring,
            output_ring=output_ring,
            resident=input_ring >= rows_in,
            merged=merged,
            input_pixel_words=in_words,
            output_pixel_words=pixel_words,
        )

    least_in = min(rows_in, geometry.reach + 1)
    out_row = columns_out * out_words
    merged_out = rows_out * out_row
    if merged_out + rows_in * in_row <= total:
        return mapping(rows_in, rows_out, True, out_words)
    if passes > 1 and pass_maps % WORD_ELEMENTS == 0:
        out_words = ceil_div(pass_maps, WORD_ELEMENTS)
        out_row = columns_out * out_words
    elif passes > 1:
        # Channel blocks that are no whole words cannot leave one by one: only a merged output will do.
        input_ring = min(rows_in, (total - merged_out) // in_row)
        return mapping(input_ring, rows_out, True, out_words) if input_ring >= least_in else None
    for output_ring in (min(rows_out, 2 * span), min(rows_out, span), min(rows_out, 2), 1):
        input_ring = min(rows_in, (total - output_ring * out_row) // in_row)
        wanted = min(rows_in, geometry.reach + 1 + span * geometry.unit_rows)
        if input_ring >= (wanted if output_ring > 1 else least_in):
            return mapping(input_ring, output_ring, False, out_words)
    return None


def mappings(conv: Convolution, config: CoreConfig) -> list[Mapping]:
    """Every mapping of the convolution that the configuration holds, one a split.

    Raises:
        CompilerError: the configuration cannot hold the layer.
    """
    check_limits(conv, config)
    geometry = Geometry.of(conv)
    found = [_rings(conv, config, geometry, channel_groups) for channel_groups, _ in config.splits]
    usable = [mapping for mapping in found if mapping is not None]
    if not usable:
        in_row = conv.size[1] * ceil_div(conv.channels, WORD_ELEMENTS)
        needed = min(len(geometry.rows), geometry.reach + 1) * in_row
        raise CompilerError(
            f"layer {conv.name}: {needed} words of input rows and its output rows do not fit the "
            f"{config.activation_words} words of the activation memory: raise activation_depth"
        )
    return usable
