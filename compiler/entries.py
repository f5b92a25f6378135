"""The entries of a program: descriptors and weights of every operation, for the places that its maps have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import singledispatch

import numpy as np

from compiler.candidates import candidates, is_packed
from compiler.descriptor import (
    Fields,
    Place,
    Places,
    input_fields,
    output_fields,
    pack,
    threshold,
)
from compiler.errors import CompilerError
from compiler.feature_maps import FeatureMap, ceil_div
from compiler.operations import Convolve, HardwareOperation, Hold, Load, Operand, Slide, Store, VectorOperation
from compiler.program import LayerProgram, fastest
from compiler.weights import Beats, scaling_beats
from hw.config import CoreConfig
from hw.control.descriptor import Operation

Locate = Callable[[FeatureMap], Place]


@dataclass(frozen=True, eq=False)
class Entry:
    """An operation, ready to run.

    Attributes:
        operation: what it does.
        descriptor: bits of the `LayerDescriptor`.
        weights: beats of the weight stream, uint8[beats, lanes].
        packet_beats: of each packet of a `Load`, otherwise 0.
        layer: the mapping of a `Convolve`, otherwise None.
    """

    operation: HardwareOperation
    descriptor: int
    weights: Beats
    packet_beats: int = 0
    layer: LayerProgram | None = None


def locator(bases: dict[str, int]) -> Locate:
    """From feature maps to places, for buffers that begin at these words."""

    def locate(map: FeatureMap) -> Place:
        base = bases[map.buffer] + map.offset
        return Place(base, map.pixel_words, map.row_words, map.first_channel, map.word_elements)

    return locate


def check_map(name: str, map: FeatureMap, config: CoreConfig) -> None:
    """Refuse a map that no descriptor of this configuration holds; raises CompilerError."""
    limits = (
        ("height", map.rows, "max_size", config.max_size),
        ("width", map.columns, "max_size", config.max_size),
        ("number of channels", map.channels, "max_channels", config.max_channels),
        ("words of a pixel", map.pixel_words, "max_channels", config.max_channel_words),
    )
    for what, value, limit, allowed in limits:
        if value > allowed:
            raise CompilerError(
                f"layer {name}: the {what} of {map.tensor!r}: {value}, but at most {allowed} in this configuration: "
                f"raise {limit}"
            )


def make_entry(operation: HardwareOperation, locate: Locate, config: CoreConfig, *, kept: int | None = None) -> Entry:
    """The entry of an operation.

    Args:
        kept: where the weights of a convolution stay in the weight memories, None if they stream in.

    Raises:
        CompilerError: a limit of the configuration.
    """
    for map in (*operation.reads, *([operation.output] if operation.output else [])):
        check_map(operation.name, map, config)
    if isinstance(operation, Convolve):
        return _convolution(operation, locate, config, kept)
    return _entry(operation, locate, config)


@singledispatch
def _entry(operation: HardwareOperation, locate: Locate, config: CoreConfig) -> Entry:
    raise TypeError(operation)


def _no_weights(config: CoreConfig) -> Beats:
    return np.zeros((0, config.lanes), np.uint8)


def _start_of(place: Place) -> Place:
    """The place counted from the word with the map's first channel."""
    first_channel = place.first_channel % place.word_elements
    return replace(place, base=place.first_word, first_channel=first_channel)


@_entry.register
def _(operation: Load, locate: Locate, config: CoreConfig) -> Entry:
    map, place = operation.output, _start_of(locate(operation.output))
    fields = {
        "operation": int(Operation.LOAD),
        "input": {
            **input_fields(place, *map.shape),
            "pixel_words": map.pixel_words,
            "ring_rows_last": map.rows - 1,
            "ring_words": place.end(*map.shape),
            "streamed": True,
            "resident": True,
            "sparse": False,
            "threshold": threshold(map.zero_point, config),
        },
    }
    beats = ceil_div(map.columns * map.channels, config.stream_units)
    return Entry(operation, pack(fields, config, operation.name), _no_weights(config), beats)


@_entry.register
def _(operation: Store, locate: Locate, config: CoreConfig) -> Entry:
    map, place = operation.input, _start_of(locate(operation.input))
    fields = {
        "operation": int(Operation.STORE),
        "output": {**output_fields(place, *map.shape), "streamed": True},
    }
    return Entry(operation, pack(fields, config, operation.name), _no_weights(config))


def hold_entry(layer: LayerProgram) -> Entry:
    """The entry that brings the weights of a layer to where they are kept."""
    fields = {"operation": int(Operation.HOLD), **layer.hold_fields}
    name = f"hold_{layer.conv.name}"
    return Entry(Hold(name), pack(fields, layer.config, name), layer.held_weights)


def _convolution(operation: Convolve, locate: Locate, config: CoreConfig, kept: int | None) -> Entry:
    places = Places(locate(operation.input), locate(operation.output))
    conv, packed = operation.computed, is_packed(operation.conv, operation.input)
    found = candidates(conv, config, operation.output.pixel_words, packed=packed)
    one = fastest(found, config, kept=kept is not None)
    layer = LayerProgram(
        one.conv, one.mapping, config, sparse_input=False, sparse_output=False, places=places, kept=kept
    )
    return Entry(operation, layer.descriptor, layer.weights, layer=layer)


@_entry.register
def _(operation: VectorOperation, locate: Locate, config: CoreConfig) -> Entry:
    weights = scaling_beats(operation.scalings, config)
    map, place = operation.output, locate(operation.output)
    source = operation.operands[0].map
    operands = [_operand(operand, locate, config) for operand in operation.operands]
    words_last = ceil_div(operation.elements, config.word_elements) - 1
    beats = ceil_div(operation.elements - words_last * config.word_elements, config.post_lanes)
    blocks_last = ceil_div(len(operation.scalings), config.post_beats) - 1
    fields = {
        "operation": int(operation.kind),
        "weights": {"words": 0, "blocks_last": blocks_last, "final_blocks_last": blocks_last},
        "output": output_fields(place, *map.shape),
        "post": {
            "offset": operation.offset,
            "lower": operation.lower,
            "upper": operation.upper,
            "final_beats_last": config.post_beats - 1,
        },
        "vector": {
            "operands": operands,
            "multiplier": operation.operands[-1].multiplier,
            "right_shift": operation.operands[-1].right_shift,
            "rows": _slide(operation.rows, source.rows),
            "columns": _slide(operation.columns, source.columns),
            "words_last": words_last,
            "beats_last": beats - 1,
            "parameters_by_count": operation.by_count,
        },
    }
    return Entry(operation, pack(fields, config, operation.name), weights)


def _operand(operand: Operand, locate: Locate, config: CoreConfig) -> Fields:
    place = _start_of(locate(operand.map))
    return {
        "base": place.base,
        "pixel_words": place.pixel_words,
        # Of a single row as long as the memory, the distance to the next has no room in the field, and no use.
        "row_words": place.row_words if operand.map.rows > 1 else 0,
        "threshold": threshold(operand.map.zero_point, config),
    }


def _slide(slide: Slide, size: int) -> Fields:
    return {"start": slide.start, "step": slide.step, "taps_last": slide.taps - 1, "input_last": size - 1}
