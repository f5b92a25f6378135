"""Geometry, rings and limits."""

from dataclasses import replace

import numpy as np
import pytest

from compiler.convolution import Convolution
from compiler.errors import CompilerError
from compiler.mapping import Geometry, Mapping, least_words, mappings
from compiler.tests.layers import CONFIGS, convolution, random_layers
from hw.config import WORD_ELEMENTS, CoreConfig

SMALL = CoreConfig.sized(2, 16).with_changes(activation_banks=1, activation_depth=64)


def touched_rows(conv: Convolution) -> set[int]:
    """Rows of the input that some window reads."""
    return {
        (row * conv.pool_stride[0] + pool) * conv.stride[0] + tap * conv.dilation[0] - conv.padding[0][0]
        for row in range(conv.output_size[0])
        for pool in range(conv.pool[0])
        for tap in range(conv.kernel[0])
    } & set(range(conv.size[0]))


@pytest.mark.parametrize(
    ("conv", "rows", "stride_rows", "unit_rows", "reach"),
    [
        pytest.param(convolution((6, 6)), range(6), 1, 1, 2, id="3x3"),
        pytest.param(convolution((9, 6), kernel=(1, 3), stride=(4, 1)), range(0, 12, 4), 1, 1, 0, id="rows left out"),
        pytest.param(
            convolution((9, 6), kernel=(1, 3), stride=(2, 1), pool_stride=(2, 1)),
            range(0, 12, 4),
            1,
            1,
            0,
            id="rows left out by both strides",
        ),
        pytest.param(
            convolution((9, 6), kernel=(1, 3), stride=(4, 1), padding=((1, 0), (0, 0))), range(8), 4, 4, 0, id="padded"
        ),
        pytest.param(
            convolution((9, 6), kernel=(1, 1), stride=(2, 2), pool=(2, 2), pool_stride=(2, 2)),
            range(7),
            2,
            4,
            2,
            id="pooled",
        ),
        pytest.param(convolution((9, 6), kernel=(2, 2), stride=(4, 1)), range(6), 4, 4, 1, id="trailing rows"),
        pytest.param(convolution((11, 6), kernel=(3, 3), dilation=(3, 1)), range(11), 1, 1, 6, id="dilated"),
        pytest.param(
            convolution((1, 1), kernel=(5, 5), padding=((8, 0), (2, 2)), stride=(4, 1)),
            range(1),
            4,
            4,
            4,
            id="windows above the map",
        ),
    ],
)
def test_geometry(conv, rows, stride_rows, unit_rows, reach):
    geometry = Geometry.of(conv)
    assert geometry == Geometry(rows, stride_rows, unit_rows, conv.stride[1] * conv.pool_stride[1], reach)


def test_the_rows_sent_are_enough_and_end_with_the_last_that_is_read():
    for seed, layer in random_layers(range(200)):
        geometry, touched = Geometry.of(layer.conv), touched_rows(layer.conv)
        sent = set(geometry.rows)
        assert touched <= sent <= set(range(layer.conv.size[0])), f"seed {seed}"
        # The last tap of a dilated kernel may fall below the map; the rows above it, between two taps, are sent.
        assert not touched or max(sent) - max(touched) < layer.conv.dilation[0], f"seed {seed}"


def _check(conv: Convolution, mapping: Mapping, config: CoreConfig, context: str) -> None:
    """What the hardware relies on."""
    rows_in, (rows_out, columns_out) = len(mapping.geometry.rows), conv.output_size
    words = mapping.input_ring * conv.size[1] * mapping.input_pixel_words
    words += mapping.output_ring * columns_out * mapping.output_pixel_words
    assert words <= config.activation_words, context
    assert min(rows_in, mapping.geometry.reach + 1) <= mapping.input_ring <= rows_in, context
    assert 1 <= mapping.output_ring <= rows_out, context
    assert mapping.resident == (mapping.input_ring == rows_in), context
    assert not mapping.merged or mapping.output_ring == rows_out, context
    assert mapping.channel_groups * mapping.space_groups == config.groups, context
    assert mapping.pass_maps == mapping.channel_groups * config.lanes, context
    assert sum(mapping.maps_of_pass(index, conv.maps) for index in range(mapping.passes)) == conv.maps, context
    assert mapping.maps_of_pass(mapping.passes - 1, conv.maps) >= 1, context
    held = conv.maps if mapping.merged else min(mapping.pass_maps, conv.maps)
    assert (mapping.output_pixel_words - 1) * WORD_ELEMENTS < held <= mapping.output_pixel_words * WORD_ELEMENTS
    # A pass's maps that leave by themselves, and are not the last ones, are whole words.
    assert mapping.merged or mapping.passes == 1 or mapping.pass_maps % WORD_ELEMENTS == 0, context
    assert mapping.loads == (1 if mapping.resident else mapping.passes), context
    assert mapping.stores == (1 if mapping.merged else mapping.passes), context


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.groups}x{config.lanes}")
def test_no_mapping_asks_for_more_than_there_is(config):
    refused = 0
    for seed, layer in random_layers(range(120)):
        conv = layer.conv
        for depth in (2, 8, 64, 1024):
            smaller = config.with_changes(activation_depth=depth)
            context = f"seed {seed}, depth {depth}"
            words = {split: least_words(conv, smaller, split) for split, _ in smaller.splits}
            fitting = [split for split, least in words.items() if least <= smaller.activation_words]
            if not fitting:
                refused += 1
                with pytest.raises(CompilerError, match="activation_depth"):
                    mappings(conv, smaller)
                continue
            found = mappings(conv, smaller)
            assert [mapping.channel_groups for mapping in found] == fitting, context
            for mapping in found:
                _check(conv, mapping, smaller, context)
    assert refused, "no layer was too large: the test shows nothing of refusals"


def test_a_layer_that_fits_is_resident_and_merged():
    (mapping,) = mappings(convolution((4, 4), 16, 40), CoreConfig.sized(1, 16))
    assert (mapping.passes, mapping.input_ring, mapping.output_ring) == (3, 4, 2)
    assert mapping.resident and mapping.merged
    assert (mapping.loads, mapping.stores) == (1, 1)
    assert (mapping.input_pixel_words, mapping.output_pixel_words) == (1, 3)


def test_one_pass_streams_through_two_rings():
    split = mappings(convolution((40, 6), 16, 16), SMALL)[0]
    assert (split.channel_groups, split.passes, split.resident, split.merged) == (1, 1, False, False)
    assert split.geometry.reach + 1 < split.input_ring < 40
    assert 1 <= split.output_ring < 38


def test_several_passes_leave_one_by_one():
    first, second = mappings(convolution((40, 6), 16, 64), SMALL)
    assert (first.channel_groups, first.passes, first.loads, first.stores) == (1, 4, 4, 4)
    assert (first.output_pixel_words, second.output_pixel_words) == (1, 2)
    assert not first.resident and not first.merged


def test_a_resident_input_is_loaded_once_though_the_passes_leave_one_by_one():
    config = SMALL.with_changes(activation_depth=128)
    first = mappings(convolution((8, 6), 16, 128), config)[0]
    assert first.resident and not first.merged
    assert (first.loads, first.stores) == (1, 8)


def test_passes_of_no_whole_words_merge_or_do_not_fit():
    config = CoreConfig.sized(1, 8).with_changes(activation_banks=1, activation_depth=64)
    (mapping,) = mappings(convolution((8, 6), 16, 16), config)
    assert mapping.merged and not mapping.resident
    assert (mapping.passes, mapping.loads, mapping.stores) == (2, 2, 1)
    assert (mapping.input_ring, mapping.output_ring) == (6, 6)
    with pytest.raises(CompilerError, match="raise activation_depth"):
        mappings(convolution((14, 6), 16, 16), config)


def test_the_smallest_memory_holds_the_rows_of_a_window_and_one_to_leave():
    conv = convolution((40, 8), 16, 16)
    config = CoreConfig.sized(1, 16).with_changes(activation_banks=1, activation_depth=32)
    assert least_words(conv, config, 1) == 3 * 8 + 6
    (mapping,) = mappings(conv, config)
    assert (mapping.input_ring, mapping.output_ring) == (3, 1)


LIMITS = [
    (convolution((512, 1), kernel=(1, 1)), {}, "its height is 512", "max_size of this configuration is 511"),
    (convolution((1, 512), kernel=(1, 1)), {}, "its width is 512", "max_size of this configuration is 511"),
    (
        convolution((511, 1), kernel=(1, 1), padding=((1, 0), (0, 0))),
        {},
        "its output's height is 512",
        "max_size of this configuration is 511",
    ),
    (
        convolution((1, 511), kernel=(1, 1), padding=((0, 0), (0, 1))),
        {},
        "its output's width is 512",
        "max_size of this configuration is 511",
    ),
    (
        convolution((12, 12), stride=(1, 8)),
        {"max_size": 12},
        "its step between windows is 16",
        "max_size of this configuration is 12",
    ),
    (
        convolution((40, 4), kernel=(3, 3), dilation=(16, 1)),
        {"max_size": 31},
        "its height is 40",
        "max_size of this configuration is 31",
    ),
    (
        convolution(channels=18),
        {"max_channels": 17},
        "input channels is 18",
        "max_channels of this configuration is 17",
    ),
    (convolution(maps=18), {"max_channels": 17}, "number of maps is 18", "max_channels of this configuration is 17"),
    (convolution(kernel=(1, 4)), {"max_kernel": 3}, "kernel size is 4", "max_kernel of this configuration is 3"),
    (
        convolution(pool=(4, 1), pool_stride=(4, 1)),
        {"max_kernel": 3},
        "pooling window is 4",
        "max_kernel of this configuration is 3",
    ),
    (convolution(), {"weight_depth": 32}, "weights of a map is 36", "weight_depth of this configuration is 32"),
    (
        replace(convolution(), weights=np.full((6, 3, 3, 4), -127, np.int8)),
        {"accumulator_bits": 21},
        "bits of a sum is 22",
        "accumulator_bits of this configuration is 21",
    ),
    (
        convolution(shift=np.array([0, 2, 1, 0, -5, 1], np.int32)),
        {},
        "left shift is 2",
        "max_left_shift of this configuration is 1",
    ),
    (
        convolution((8, 8)),
        {"activation_banks": 1, "activation_depth": 16},
        "at least 30 words",
        "configuration is 16: raise activation_depth",
    ),
]


@pytest.mark.parametrize(("conv", "changes", "what", "limit"), LIMITS, ids=[limit[2] for limit in LIMITS])
def test_every_limit_is_refused_in_one_line(conv, changes, what, limit):
    if what.startswith("its step"):
        conv = replace(conv, pool_stride=(1, 2))
    with pytest.raises(CompilerError) as refused:
        mappings(conv, CoreConfig(**changes))
    line = str(refused.value)
    assert line.startswith("layer conv_2d_7: ") and "\n" not in line
    assert what in line and limit in line


@pytest.mark.parametrize(
    ("conv", "changes"),
    [
        (convolution((511, 1), kernel=(1, 1)), {}),
        (convolution((1, 511), kernel=(1, 1)), {}),
        (convolution(channels=17), {"max_channels": 17}),
        (convolution(maps=17), {"max_channels": 17}),
        (convolution(kernel=(3, 3)), {"max_kernel": 3}),
        (convolution(kernel=(2, 2), channels=8), {"weight_depth": 32}),
        (convolution(shift=np.full(6, 1, np.int32)), {}),
        (convolution((8, 8)), {"activation_banks": 2, "activation_depth": 16}),
    ],
)
def test_a_limit_itself_is_held(conv, changes):
    assert mappings(conv, CoreConfig(**changes))
