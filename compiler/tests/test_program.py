"""Programs of layers: stored activations, the choice of a mapping, and what is counted."""

import numpy as np
import pytest

from compiler.cycles import unit_costs
from compiler.errors import CompilerError
from compiler.program import compile_layer, from_stored, to_stored
from compiler.tests.layers import CONFIGS, convolution, random_layers
from hw.config import CoreConfig

BYTES, WORDS = CoreConfig(), CoreConfig(activation_bits=16)


@pytest.mark.parametrize("zero_point", range(-128, 128))
def test_stored_bytes(zero_point):
    values = np.arange(-128, 128).astype(np.int8)
    stored = to_stored(values, zero_point, BYTES)
    assert stored.dtype == np.uint8
    np.testing.assert_array_equal(stored, [(value - zero_point) % 256 for value in range(-128, 128)])
    np.testing.assert_array_equal(stored == 0, values == zero_point)
    returned = from_stored(stored, zero_point, BYTES)
    assert returned.dtype == np.int8
    np.testing.assert_array_equal(returned, values)


@pytest.mark.parametrize("zero_point", [-32768, -32767, -129, -128, -1, 0, 1, 127, 128, 20000, 32767])
def test_stored_words(zero_point):
    values = np.arange(-32768, 32768).astype(np.int16)
    stored = to_stored(values, zero_point, WORDS)
    assert stored.dtype == np.uint16
    np.testing.assert_array_equal(stored, (values.astype(np.int64) - zero_point) % 65536)
    np.testing.assert_array_equal(stored == 0, values == zero_point)
    returned = from_stored(stored, zero_point, WORDS)
    assert returned.dtype == np.int16
    np.testing.assert_array_equal(returned, values)


def test_stored_input_is_the_rows_that_are_sent():
    conv = convolution((9, 5), 3, 4, kernel=(1, 3), stride=(4, 1), input_zero_point=7)
    program = compile_layer(conv, BYTES)
    tensor = np.random.default_rng(0).integers(-128, 128, (9, 5, 3), dtype=np.int8)
    np.testing.assert_array_equal(program.stored_input(tensor), to_stored(tensor[::4], 7, BYTES))


def test_stored_output_has_the_output_s_zero_point():
    conv = convolution((4, 5), 3, 4, output_zero_point=-9)
    tensor = np.random.default_rng(0).integers(-128, 128, (2, 3, 4), dtype=np.int8)
    stored = compile_layer(conv, BYTES).stored_output(tensor)
    np.testing.assert_array_equal(stored, to_stored(tensor, -9, BYTES))


def test_multiplies_count_each_map_that_an_activation_meets():
    config = CoreConfig.sized(3, 4)
    for seed, layer in random_layers(range(30)):
        conv = layer.conv
        for channel_groups, _ in config.splits:
            program = compile_layer(conv, config, channel_groups=channel_groups)
            met = int(unit_costs(conv, program.mapping, program.stored_input(layer.input)).operations.sum())
            # The array takes every activation again in each pass.
            assert program.multiplies(met * program.mapping.passes) == met * conv.maps, f"seed {seed}"


def test_the_channels_that_leave_are_all_and_in_order():
    config = CoreConfig.sized(2, 16).with_changes(activation_banks=1, activation_depth=64)
    for channel_groups, packets in ((1, 4), (2, 2)):
        program = compile_layer(convolution((40, 6), 16, 52), config, channel_groups=channel_groups)
        channels = program.received_channels()
        assert len(channels) == program.mapping.stores == packets
        assert [index for part in channels for index in range(part.start, part.stop)] == list(range(52))


@pytest.mark.parametrize(
    ("activation", "zero_point", "sparse"),
    [((-128, 127), -128, True), ((3, 127), 3, True), ((-128, 127), 3, False), ((-128, 127), 127, False)],
)
def test_the_output_of_a_rectifier_is_sent_as_sparsity_maps(activation, zero_point, sparse):
    conv = convolution(activation=activation, output_zero_point=zero_point)
    assert compile_layer(conv, BYTES).sparse_output is sparse
    assert compile_layer(conv, BYTES, sparse_output=not sparse).sparse_output is not sparse


def test_one_map_is_spread_over_space_and_one_pixel_over_channels():
    config = CoreConfig.sized(4, 4)
    assert compile_layer(convolution((12, 12), 16, 4), config).mapping.space_groups == 4
    assert compile_layer(convolution((1, 1), 16, 16, kernel=(1, 1)), config).mapping.channel_groups == 4


def test_a_split_can_be_asked_for():
    for channel_groups, space_groups in BYTES.splits:
        mapping = compile_layer(convolution(), BYTES, channel_groups=channel_groups).mapping
        assert (mapping.channel_groups, mapping.space_groups) == (channel_groups, space_groups)
    with pytest.raises(CompilerError, match=r"^layer conv_2d_7: 3 channel groups .*: give one of 1, 2, 4, 8$"):
        compile_layer(convolution(), BYTES, channel_groups=3)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.groups}x{config.lanes}")
def test_compiling_twice_gives_the_same(config):
    for seed, layer in random_layers(range(10)):
        conv = layer.conv
        first, second = compile_layer(conv, config), compile_layer(conv, config)
        assert first.descriptor == second.descriptor, f"seed {seed}"
        np.testing.assert_array_equal(first.weights, second.weights, err_msg=f"seed {seed}")
