"""Packing descriptors, and what they make the hardware walk over."""

from typing import Any

import pytest

from compiler.convolution import Convolution
from compiler.descriptor import describe, pack
from compiler.errors import CompilerError
from compiler.mapping import Mapping, mappings
from compiler.tests.layers import CONFIGS, convolution, random_layers
from hw.config import CoreConfig
from hw.control.descriptor import LayerDescriptor
from sim.harness import payload

PER_CONFIG = pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.groups}x{config.lanes}")


@PER_CONFIG
def test_what_is_packed_comes_out_again(config):
    for seed, layer in random_layers(range(40)):
        conv = layer.conv
        for mapping in mappings(conv, config):
            sparse_input, sparse_output = seed % 2 == 0, seed % 3 == 0
            fields = describe(conv, mapping, config, sparse_input=sparse_input, sparse_output=sparse_output)
            bits = pack(fields, config, conv.name)
            unpacked = payload.unpack(LayerDescriptor(config), bits)
            assert {name: unpacked[name] for name in fields} == fields, f"seed {seed}"
            assert (fields["input"]["sparse"], fields["output"]["sparse"]) == (sparse_input, sparse_output)


def _fields() -> dict[str, Any]:
    conv, config = convolution(), CoreConfig()
    return describe(conv, mappings(conv, config)[0], config, sparse_input=True, sparse_output=True)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("passes_last",), 1 << 12),
        (("split",), -1),
        (("input", "rows_last"), 512),
        (("input", "threshold"), 256),
        (("window", "rows", "start"), -2049),
        (("window", "columns", "tap_last"), 16),
        (("output", "merged"), 2),
        (("post", "upper"), 256),
        (("post", "lower"), -257),
    ],
)
def test_a_value_that_does_not_fit_is_refused(path, value):
    fields = _fields()
    inner = fields
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    with pytest.raises(CompilerError) as refused:
        pack(fields, CoreConfig(), "conv_2d_3")
    assert str(refused.value).startswith(f"layer conv_2d_3: {'.'.join(path)} is {value}, which does not fit")


def _walk(axis: dict[str, int], units: int, modulus: int) -> dict[tuple[int, int, int], tuple[int, int]]:
    """Coordinate and word offset of each (unit, output of the pooling window, tap), by nothing but additions."""
    places = {}
    unit_at, unit_words = axis["start"], axis["start_words"]
    for unit in range(units):
        pool_at, pool_words = unit_at, unit_words
        for pool in range(axis["pool_last"] + 1):
            at, words = pool_at, pool_words
            for tap in range(axis["tap_last"] + 1):
                places[unit, pool, tap] = at, words
                at, words = at + axis["tap_step"], (words + axis["tap_words"]) % modulus
            pool_at, pool_words = pool_at + axis["pool_step"], (pool_words + axis["pool_words"]) % modulus
        unit_at, unit_words = unit_at + axis["unit_step"], (unit_words + axis["unit_words"]) % modulus
    return places


def _check_walk(conv: Convolution, mapping: Mapping, config: CoreConfig, context: str) -> None:
    fields = describe(conv, mapping, config, sparse_input=True, sparse_output=True)
    window, row_words = fields["window"], fields["input"]["row_words"]
    sent = list(mapping.geometry.rows)
    rows = _walk(window["rows"], conv.output_size[0], fields["input"]["ring_words"])
    for (unit, pool, tap), (at, words) in rows.items():
        row = (unit * conv.pool_stride[0] + pool) * conv.stride[0] + tap * conv.dilation[0] - conv.padding[0][0]
        inside = 0 <= at < len(sent)
        assert inside == (0 <= row < conv.size[0]), context
        if inside:
            assert sent[at] == row, context
            assert words == at % mapping.input_ring * row_words, context
            assert 0 <= at - rows[unit, 0, 0][0] <= window["reach"], context
    columns = _walk(window["columns"], conv.output_size[1], 2 * config.activation_words)
    for (unit, pool, tap), (at, words) in columns.items():
        assert at == (unit * conv.pool_stride[1] + pool) * conv.stride[1] + tap * conv.dilation[1] - conv.padding[1][0]
        if 0 <= at < conv.size[1]:
            assert words == at * mapping.input_pixel_words, context


@PER_CONFIG
def test_the_steps_lead_to_the_words_of_every_window(config):
    for seed, layer in random_layers(range(40)):
        conv = layer.conv
        for mapping in mappings(conv, config):
            _check_walk(conv, mapping, config, f"seed {seed}, {mapping}")


def test_the_packets_of_a_merged_map_and_of_separate_passes():
    config = CoreConfig.sized(1, 16)
    conv = convolution((6, 6), 16, 40)
    (merged,) = mappings(conv, config)
    output = describe(conv, merged, config, sparse_input=True, sparse_output=True)["output"]
    assert (output["merged"], output["pass_channels"], output["pixel_words"]) == (True, 16, 3)
    assert (output["store_words_last"], output["store_tail"]) == (2, 8)
    assert (output["final_store_words_last"], output["final_store_tail"]) == (2, 8)
    smaller = config.with_changes(activation_banks=1, activation_depth=32)
    (apart,) = mappings(conv, smaller)
    output = describe(conv, apart, smaller, sparse_input=True, sparse_output=True)["output"]
    assert (output["merged"], output["pass_channels"], output["pixel_words"]) == (False, 0, 1)
    assert (output["store_words_last"], output["store_tail"]) == (0, 16)
    assert (output["final_store_words_last"], output["final_store_tail"]) == (0, 8)


@pytest.mark.parametrize("zero_point", [-128, -1, 0, 5, 127])
def test_clamp_and_threshold_are_distances_from_the_zero_points(zero_point):
    conv = convolution(input_zero_point=zero_point, output_zero_point=zero_point, activation=(-100, 90))
    config = CoreConfig()
    fields = describe(conv, mappings(conv, config)[0], config, sparse_input=True, sparse_output=True)
    assert (fields["post"]["lower"], fields["post"]["upper"]) == (-100 - zero_point, 90 - zero_point)
    assert fields["input"]["threshold"] == 127 - zero_point
