"""Packing the descriptor of a layer, with the hardware's own layout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from amaranth.hdl import Shape, ShapeLike
from amaranth.lib import data

from compiler.convolution import Convolution
from compiler.errors import CompilerError
from compiler.mapping import Geometry, Mapping, ceil_div
from hw.config import WORD_ELEMENTS, CoreConfig
from hw.control.descriptor import LayerDescriptor, Operation
from hw.dataflow.nullhop.layouts import axis_words


def _rows_axis(conv: Convolution, geometry: Geometry, mapping: Mapping) -> dict[str, int]:
    """Rows live in a ring: word steps are reduced modulo its length."""
    row_words = conv.size[1] * mapping.input_pixel_words
    top = conv.padding[0][0]
    tap, pool = conv.dilation[0], geometry.stride_rows

    def words(rows: int) -> int:
        return rows % mapping.input_ring * row_words

    return {
        "start": -top,
        "start_words": words(-top),
        "unit_step": geometry.unit_rows,
        "unit_words": words(geometry.unit_rows),
        "pool_last": conv.pool[0] - 1,
        "pool_step": pool,
        "pool_words": words(pool),
        "tap_last": conv.kernel[0] - 1,
        "tap_step": tap,
        "tap_words": words(tap),
    }


def _columns_axis(conv: Convolution, geometry: Geometry, mapping: Mapping, config: CoreConfig) -> dict[str, int]:
    """Columns lie in a row: offsets are modulo their own range, so that negative ones work."""
    left = conv.padding[1][0]
    tap, pool = conv.dilation[1], conv.stride[1]
    modulus = 1 << Shape.cast(axis_words(config)).width

    def words(columns: int) -> int:
        return columns * mapping.input_pixel_words % modulus

    return {
        "start": -left,
        "start_words": words(-left),
        "unit_step": geometry.unit_columns,
        "unit_words": words(geometry.unit_columns),
        "pool_last": conv.pool[1] - 1,
        "pool_step": pool,
        "pool_words": words(pool),
        "tap_last": conv.kernel[1] - 1,
        "tap_step": tap,
        "tap_words": words(tap),
    }


def _packet(channels: int) -> tuple[int, int]:
    """Index of the last word of a pixel with so many channels, and the elements valid in it."""
    words = ceil_div(channels, WORD_ELEMENTS)
    return words - 1, channels - (words - 1) * WORD_ELEMENTS


def describe(
    conv: Convolution, mapping: Mapping, config: CoreConfig, *, sparse_input: bool, sparse_output: bool
) -> dict[str, Any]:
    """The fields of a layer's descriptor."""
    geometry = mapping.geometry
    rows, columns = conv.output_size
    last_pass = mapping.passes - 1
    final_maps = mapping.maps_of_pass(last_pass, conv.maps)
    final_blocks = mapping.blocks_of_pass(last_pass, conv.maps, config.lanes)
    stored, final_stored = (conv.maps, conv.maps) if mapping.merged else (mapping.pass_maps, final_maps)
    store_words_last, store_tail = _packet(min(stored, conv.maps))
    final_store_words_last, final_store_tail = _packet(final_stored)
    row_words = conv.size[1] * mapping.input_pixel_words
    zero = conv.output_zero_point
    return {
        "operation": Operation.CONVOLVE.value,
        "passes_last": last_pass,
        "split": config.splits.index((mapping.channel_groups, mapping.space_groups)),
        "weights": {
            "words": conv.map_weights,
            "blocks_last": mapping.blocks_of_pass(0, conv.maps, config.lanes) - 1,
            "final_blocks_last": final_blocks - 1,
        },
        "input": {
            "rows_last": len(geometry.rows) - 1,
            "columns": conv.size[1],
            "blocks_last": 0,
            "block_channels": conv.channels,
            "final_block_channels": conv.channels,
            "block_words": mapping.input_pixel_words,
            "pixel_words": mapping.input_pixel_words,
            "row_words": row_words,
            "ring_rows_last": mapping.input_ring - 1,
            "base": 0,
            "ring_words": mapping.input_ring * row_words,
            "streamed": True,
            "resident": mapping.resident,
            "sparse": sparse_input,
            "threshold": (1 << (config.activation_bits - 1)) - 1 - conv.input_zero_point,
        },
        "window": {
            "rows": _rows_axis(conv, geometry, mapping),
            "columns": _columns_axis(conv, geometry, mapping, config),
            "reach": geometry.reach,
            "channels": conv.channels,
            "row_weights": conv.kernel[1] * conv.channels % config.weight_depth,
        },
        "output": {
            "rows_last": rows - 1,
            "columns_last": columns - 1,
            "base": mapping.input_ring * row_words,
            "pixel_words": mapping.output_pixel_words,
            "row_words": columns * mapping.output_pixel_words,
            "ring_rows_last": mapping.output_ring - 1,
            "words": mapping.output_ring * columns * mapping.output_pixel_words,
            "streamed": True,
            "merged": mapping.merged,
            "sparse": sparse_output,
            "first_channel": 0,
            "pass_channels": mapping.pass_maps if mapping.merged else 0,
            "store_words_last": store_words_last,
            "store_tail": store_tail,
            "final_store_words_last": final_store_words_last,
            "final_store_tail": final_store_tail,
        },
        "post": {
            "offset": 0,
            "lower": conv.activation[0] - zero,
            "upper": conv.activation[1] - zero,
            "final_beats_last": ceil_div(final_maps - (final_blocks - 1) * config.lanes, config.post_lanes) - 1,
        },
    }


def pack(fields: dict[str, Any], config: CoreConfig, layer: str) -> int:
    """The descriptor's bits.

    Raises:
        CompilerError: a value does not fit its field.
    """
    layout = LayerDescriptor(config)
    constant = layout.const(fields)
    for path, value, stored, shape in _leaves(layout, fields, constant):
        if int(value) != stored:
            raise CompilerError(
                f"layer {layer}: {path} is {value}, which does not fit this configuration's descriptor: "
                f"it has {Shape.cast(shape).width} bits"
            )
    return constant.as_bits()


def _leaves(
    layout: data.StructLayout, fields: dict[str, Any], constant: data.Const, path: str = ""
) -> Iterator[tuple[str, int, int, ShapeLike]]:
    """Each field as (path, value wanted, value packed, shape)."""
    for name, value in fields.items():
        shape = layout.members[name]
        if isinstance(value, dict):
            yield from _leaves(shape, value, constant[name], f"{path}{name}.")
        else:
            yield f"{path}{name}", value, constant[name], shape
