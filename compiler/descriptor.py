"""Packing the descriptor of a layer, with the hardware's own layout."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from amaranth.hdl import Shape, ShapeLike
from amaranth.lib import data

from compiler.convolution import Convolution
from compiler.csc_walk import EdgeWalk, edge_walk
from compiler.errors import CompilerError
from compiler.mapping import Geometry, Mapping, ceil_div
from compiler.sparse_descriptor import sparse_fields
from hw.config import WORD_ELEMENTS, CoreConfig
from hw.control.descriptor import LayerDescriptor, Operation
from hw.dataflow.nullhop.layouts import axis_words

Fields = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where a feature map lies in the activation memory.

    Attributes:
        base: word with channel 0 of the first pixel's place; first_channel: of the pixels, where the map begins.
        pixel_words, row_words: from a pixel and from a row to the next. word_elements: of a word.
    """

    base: int
    pixel_words: int
    row_words: int
    first_channel: int = 0
    word_elements: int = WORD_ELEMENTS

    @property
    def first_word(self) -> int:
        """The word with the map's first channel."""
        return self.base + self.first_channel // self.word_elements

    def end(self, rows: int, columns: int, channels: int) -> int:
        """The word after the last one of a map of this shape, relative to `base`."""
        last_pixel = (rows - 1) * self.row_words + (columns - 1) * self.pixel_words
        return last_pixel + ceil_div(self.first_channel + channels, self.word_elements)


@dataclass(frozen=True)
class Places:
    """Where a layer's input and output lie, and whether both stay in memory or travel by stream."""

    input: Place
    output: Place
    streamed: bool = False


def streamed_places(conv: Convolution, mapping: Mapping, elements: int) -> Places:
    """Rings of rows, one behind the other, that feature maps stream through, in words of so many elements."""
    input_row = conv.size[1] * mapping.input_pixel_words
    output_row = conv.output_size[1] * mapping.output_pixel_words
    return Places(
        Place(0, mapping.input_pixel_words, input_row, word_elements=elements),
        Place(mapping.input_ring * input_row, mapping.output_pixel_words, output_row, word_elements=elements),
        streamed=True,
    )


def threshold(zero_point: int, config: CoreConfig) -> int:
    """The largest stored value that means a positive distance from the zero point."""
    return (1 << (config.activation_bits - 1)) - 1 - zero_point


def _walk(conv: Convolution, mapping: Mapping, config: CoreConfig) -> EdgeWalk:
    """How csc walks the channels."""
    return edge_walk(conv, config, mapping.channel_groups, mapping.rounds, packed=mapping.packed)


def _rows_axis(conv: Convolution, geometry: Geometry, mapping: Mapping, row_words: int, config: CoreConfig) -> Fields:
    """Rows live in a ring: word steps are reduced modulo its length.

    Only nullhop needs that: the other dataflows run on maps that lie whole in memory, where they are as columns are.
    """
    top = conv.padding[0][0]
    tap, pool = conv.dilation[0], geometry.stride_rows

    def words(rows: int) -> int:
        if mapping.run or mapping.sparse is not None:
            return rows * row_words % _modulus(config)
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


def _columns_axis(conv: Convolution, geometry: Geometry, place: Place, config: CoreConfig) -> Fields:
    """Columns lie in a row: offsets are modulo their own range, so that negative ones work. They count from word 0."""
    left = conv.padding[1][0]
    tap, pool = conv.dilation[1], conv.stride[1]
    modulus = _modulus(config)

    def words(columns: int) -> int:
        return columns * place.pixel_words % modulus

    return {
        "start": -left,
        "start_words": (place.first_word + words(-left)) % modulus,
        "unit_step": geometry.unit_columns,
        "unit_words": words(geometry.unit_columns),
        "pool_last": conv.pool[1] - 1,
        "pool_step": pool,
        "pool_words": words(pool),
        "tap_last": conv.kernel[1] - 1,
        "tap_step": tap,
        "tap_words": words(tap),
    }


def _packed_columns(conv: Convolution, geometry: Geometry, place: Place) -> Fields:
    """Columns that lie in the channels of a single pixel: coordinates are channels, and no step leaves the pixel."""
    return {
        "start": -conv.padding[1][0] * conv.channels,
        "start_words": place.first_word,
        "unit_step": geometry.unit_columns * conv.channels,
        "tap_step": 1,
    }


def _reach(conv: Convolution, mapping: Mapping) -> int:
    """The last row that a unit touches relative to its first; of rsnn that a segment touches."""
    reach = mapping.geometry.reach
    if mapping.sparse is not None:
        reach += (mapping.sparse.shape.folds - 1) * conv.stride[0]
    return reach


def _modulus(config: CoreConfig) -> int:
    """Of word offsets."""
    return 1 << Shape.cast(axis_words(config)).width


def _run(conv: Convolution, mapping: Mapping, places: Places, config: CoreConfig) -> Fields:
    """What csc needs to step from run to run; a row's last has no next."""
    if not mapping.run:
        return {}
    more = mapping.run < conv.output_size[1]
    columns = mapping.run * mapping.geometry.unit_columns * more
    return {
        "run": {
            "outputs_last": mapping.run - 1,
            "columns": columns * (conv.channels if mapping.packed else 1),
            "words": 0 if mapping.packed else columns * places.input.pixel_words % _modulus(config),
            "result_words": mapping.run * places.output.pixel_words * more,
        },
        "edges": _edges(_walk(conv, mapping, config), config),
    }


def _edges(walk: EdgeWalk, config: CoreConfig) -> Fields:
    return {
        "broadcast": walk.broadcast,
        "whole": walk.whole,
        "crosses": walk.crosses,
        "packed": walk.packed,
        "last": walk.fan - 1,
        "dilation": walk.dilation,
        "nodes": walk.nodes,
        "starts": [walk.starts[group % len(walk.starts)] for group in range(config.groups)],
        "round_step": walk.round_step,
        "pass_step": walk.pass_step,
        "phases_last": walk.phases - 1,
        "vectors_last": walk.vectors - 1,
        "vector_wrap": walk.last_vector,
    }


def _weight_strides(conv: Convolution, mapping: Mapping, config: CoreConfig) -> tuple[int, int, int]:
    """Weight words of a tap, of a row of taps - for csc, which goes column by column, of a column - and of a block."""
    if not mapping.run:
        block = conv.map_weights if mapping.sparse is None else mapping.sparse.words
        return conv.channels, conv.kernel[1] * conv.channels % config.weight_depth, block
    fan, (height, width) = _walk(conv, mapping, config).fan, conv.kernel
    return fan, height * fan % config.weight_depth, height * fan * (1 if mapping.packed else width)


def _sparse(conv: Convolution, mapping: Mapping, place: Place, config: CoreConfig) -> Fields:
    """The part of the rsnn dataflow."""
    if mapping.sparse is None:
        return {}
    modulus = _modulus(config)
    return {"sparse": sparse_fields(conv, mapping, place.pixel_words, place.row_words, modulus, config)}


def _packet(channels: int, elements: int) -> tuple[int, int]:
    """Index of the last word, of so many elements, of a pixel with so many channels, and those valid in it."""
    words = ceil_div(channels, elements)
    return words - 1, channels - (words - 1) * elements


def describe(
    conv: Convolution,
    mapping: Mapping,
    config: CoreConfig,
    *,
    sparse_input: bool,
    sparse_output: bool,
    places: Places | None = None,
    kept: int | None = None,
) -> Fields:
    """The fields of a convolution's descriptor.

    Its maps travel by stream, or lie in `places`; its weights stream in, or are `kept` from that word on.
    """
    places = places or streamed_places(conv, mapping, config.word_elements)
    geometry = mapping.geometry
    last_pass = mapping.passes - 1
    final_maps = mapping.maps_of_pass(last_pass, conv.maps)
    final_blocks = mapping.blocks_of_pass(last_pass, conv.maps, config.lanes)
    zero = conv.output_zero_point
    tap_weights, row_weights, block_weights = _weight_strides(conv, mapping, config)
    columns = (
        _packed_columns(conv, geometry, places.input)
        if mapping.packed
        else _columns_axis(conv, geometry, places.input, config)
    )
    return {
        "operation": int(Operation.CONVOLVE),
        **({"dataflow": mapping.number} if len(config.dataflows) > 1 else {}),
        **_run(conv, mapping, places, config),
        **_sparse(conv, mapping, places.input, config),
        "passes_last": last_pass,
        "split": config.splits.index((mapping.channel_groups, mapping.space_groups)),
        "weights": {
            "words": block_weights,
            "pass_words": mapping.rounds * block_weights,
            "blocks_last": mapping.blocks_of_pass(0, conv.maps, config.lanes) - 1,
            "final_blocks_last": final_blocks - 1,
            "kept": kept is not None,
            "base": kept or 0,
        },
        "input": {
            **input_fields(places.input, len(geometry.rows), *_pixels(conv, mapping)),
            "ring_rows_last": mapping.input_ring - 1,
            "ring_words": mapping.input_ring * places.input.row_words,
            "streamed": places.streamed,
            "resident": mapping.resident,
            "sparse": sparse_input,
            "threshold": threshold(conv.input_zero_point, config),
        },
        "window": {
            "rows": _rows_axis(conv, geometry, mapping, places.input.row_words, config),
            "columns": columns,
            "reach": _reach(conv, mapping),
            "channels": tap_weights,
            "row_weights": row_weights,
        },
        "output": _convolved(conv, mapping, places, sparse_output),
        "post": {
            "offset": 0,
            "lower": conv.activation[0] - zero,
            "upper": conv.activation[1] - zero,
            "final_beats_last": _final_beats(mapping, final_maps, final_blocks, config) - 1,
        },
    }


def _pixels(conv: Convolution, mapping: Mapping) -> tuple[int, int]:
    """Pixels of a row of the input, and channels of a pixel, as they lie in memory."""
    return (1, conv.size[1] * conv.channels) if mapping.packed else (conv.size[1], conv.channels)


def _final_beats(mapping: Mapping, maps: int, blocks: int, config: CoreConfig) -> int:
    """Beats of the last block of the last pass; of rsnn, whose collector does not look at blocks, all."""
    if mapping.sparse is not None:
        return config.post_beats
    return ceil_div(maps - (blocks - 1) * config.lanes, config.post_lanes)


def _convolved(conv: Convolution, mapping: Mapping, places: Places, sparse: bool) -> Fields:
    """The output's fields; with several passes that leave one by one, packets are those of a pass."""
    (rows, columns), place = conv.output_size, places.output
    fields = output_fields(place, rows, columns, conv.maps)
    if not mapping.merged:
        pass_last, pass_tail = _packet(min(mapping.pass_maps, conv.maps), place.word_elements)
        final_last, final_tail = _packet(mapping.maps_of_pass(mapping.passes - 1, conv.maps), place.word_elements)
        fields |= {"store_words_last": pass_last, "store_tail": pass_tail}
        fields |= {"final_store_words_last": final_last, "final_store_tail": final_tail}
    ring = {"ring_rows_last": mapping.output_ring - 1, "words": mapping.output_ring * place.row_words}
    return {
        **fields,
        **(ring if places.streamed else {}),
        "streamed": places.streamed,
        "merged": mapping.merged,
        "sparse": sparse,
        "pass_channels": mapping.pass_maps if mapping.merged else 0,
    }


def input_fields(place: Place, rows: int, columns: int, channels: int) -> Fields:
    """The fields of an input that arrives, if it does, in one block of channels."""
    return {
        "rows_last": rows - 1,
        "columns": columns,
        "blocks_last": 0,
        "block_channels": channels,
        "final_block_channels": channels,
        "block_words": ceil_div(channels, place.word_elements),
        "pixel_words": ceil_div(channels, place.word_elements),
        "row_words": place.row_words,
        "base": place.base,
    }


def output_fields(place: Place, rows: int, columns: int, channels: int) -> Fields:
    """The fields of an output that lies whole in memory and stays there."""
    words_last, tail = _packet(channels, place.word_elements)
    return {
        "rows_last": rows - 1,
        "columns_last": columns - 1,
        "base": place.base,
        "pixel_words": place.pixel_words,
        "row_words": place.row_words,
        "ring_rows_last": rows - 1,
        "words": place.end(rows, columns, channels),
        "streamed": False,
        "merged": True,
        "sparse": False,
        "first_channel": place.first_channel,
        "pass_channels": 0,
        "store_words_last": words_last,
        "store_tail": tail,
        "final_store_words_last": words_last,
        "final_store_tail": tail,
    }


@cache
def descriptor_layout(config: CoreConfig) -> LayerDescriptor:
    """The layout of a core's descriptors, made once."""
    return LayerDescriptor(config)


def pack(fields: Fields, config: CoreConfig, layer: str) -> int:
    """The descriptor's bits; fields that are left out are 0.

    Raises:
        CompilerError: a value does not fit its field.
    """
    layout = descriptor_layout(config)
    constant = layout.const(fields)
    for path, value, stored, shape in _leaves(layout, fields, constant):
        if int(value) != stored:
            raise CompilerError(
                f"layer {layer}: {path} is {value}, which does not fit this configuration's descriptor: "
                f"it has {Shape.cast(shape).width} bits"
            )
    return constant.as_bits()


def _leaves(
    layout: data.Layout, fields: Fields | list[Any], constant: data.Const, path: str = ""
) -> Iterator[tuple[str, int, int, ShapeLike]]:
    """Each field as (path, value wanted, value packed, shape)."""
    for name, value in fields.items() if isinstance(fields, dict) else enumerate(fields):
        shape = layout[name].shape
        if isinstance(value, dict | list):
            yield from _leaves(shape, value, constant[name], f"{path}{name}.")
        else:
            stored = constant[name]
            yield f"{path}{name}", value, getattr(stored, "value", stored), shape
