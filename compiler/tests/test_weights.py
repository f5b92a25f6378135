"""The beats of the weight stream, against a plain loop."""

import struct

import numpy as np
import pytest

from compiler.convolution import Convolution
from compiler.mapping import Mapping, mappings
from compiler.tests.layers import CONFIGS, convolution, random_layers
from compiler.weights import weight_beats
from hw.config import CoreConfig
from models.layers import Rounding


def expected(conv: Convolution, mapping: Mapping, config: CoreConfig) -> list[list[int]]:
    """Pass by pass, block by block: 9 byte planes for each beat of the post-processor, then a word a weight."""
    beats = []
    for first_of_pass in range(0, conv.maps, mapping.pass_maps):
        end = min(first_of_pass + mapping.pass_maps, conv.maps)
        for first in range(first_of_pass, end, config.lanes):
            maps = [m if m < end else None for m in range(first, first + config.lanes)]
            for beat in range(0, config.lanes, config.post_lanes):
                parameters = [_parameters(conv, m) for m in maps[beat : beat + config.post_lanes]]
                unused = [0] * (config.lanes - config.post_lanes)
                beats += [[lane[plane] for lane in parameters] + unused for plane in range(9)]
            for row in range(conv.kernel[0]):
                for column in range(conv.kernel[1]):
                    for channel in range(conv.channels):
                        values = [0 if m is None else int(conv.weights[m, row, column, channel]) for m in maps]
                        beats.append([value % 256 for value in values])
    return beats


def _parameters(conv: Convolution, index: int | None) -> bytes:
    if index is None:
        return bytes(9)
    single = conv.rounding is Rounding.SINGLE
    word = int(conv.multiplier[index]) | single << 31
    return struct.pack("<iIb", int(conv.bias[index]), word, int(conv.shift[index]))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.groups}x{config.lanes}")
def test_the_stream_is_what_a_plain_loop_gives(config):
    for seed, layer in random_layers(range(12)):
        conv = layer.conv
        for mapping in mappings(conv, config):
            beats = weight_beats(conv, mapping, config)
            assert beats.dtype == np.uint8 and beats.shape[1] == config.lanes
            np.testing.assert_array_equal(beats, expected(conv, mapping, config), err_msg=f"seed {seed}, {mapping}")


@pytest.mark.parametrize("rounding", list(Rounding))
def test_extreme_parameters(rounding):
    conv = convolution(
        maps=5,
        bias=np.array([-(1 << 31), (1 << 31) - 1, -1, 0, 1], np.int32),
        multiplier=np.array([0, (1 << 31) - 1, 1 << 30, 0, 1 << 30], np.int32),
        shift=np.array([-31, 1, 0, 0, -1], np.int32),
        rounding=rounding,
    )
    config = CoreConfig.sized(1, 4)
    (mapping,) = mappings(conv, config)
    np.testing.assert_array_equal(weight_beats(conv, mapping, config), expected(conv, mapping, config))
