import json
import zlib

import pytest

from hw.config import AcceleratorConfig, ConfigurationError, CoreConfig


@pytest.mark.parametrize(
    ("core", "changes", "message"),
    [
        ({"lanes": 2, "post_lanes": 2}, {}, "lanes is 2: give an accelerator a power of two of at least 4"),
        ({"lanes": 12, "post_lanes": 4, "csc": False}, {}, "lanes is 12: give an accelerator a power of two of at"),
        ({"stream_units": 2}, {}, "stream_units is 2: give an accelerator beats of at least 32 bits, so at least 4"),
        ({"stream_units": 1, "activation_bits": 16}, {}, "stream_units is 1: .* so at least 2"),
        ({}, {"program_depth": 0}, "program_depth is 0: give a whole number from 1 to 65536"),
        ({}, {"program_depth": 65537}, "program_depth is 65537: give a whole number from 1 to 65536"),
        ({}, {"max_entries": 32769}, "max_entries is 32769: give a whole number from 1 to 32768"),
        ({}, {"max_entries": 1.5}, "max_entries is 1.5: give a whole number"),
        ({}, {"link_words": 65536}, "link_words is 65536: give a whole number from 1 to 65535"),
    ],
)
def test_what_no_accelerator_can_be_built_for(core, changes, message):
    with pytest.raises(ConfigurationError, match=message):
        AcceleratorConfig(CoreConfig().with_changes(**core), **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lanes": 12, "post_lanes": 4}, "lanes is 12: the csc dataflow needs a divisor of 16, so leave"),
        ({"lanes": 32}, "lanes is 32: the csc dataflow needs a divisor of 16"),
        ({"window_depth": 12}, "window_depth is 12: give a power of two"),
        ({"csc": 2}, "csc is 2: give one of False, True"),
    ],
)
def test_what_no_csc_front_end_can_be_built_for(changes, message):
    with pytest.raises(ConfigurationError, match=message):
        CoreConfig(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"word_elements": 32}, "word_elements is 32: give at most 16"),
        ({"word_elements": 6}, "word_elements is 6: give a power of two"),
        ({"word_elements": 8}, "word_elements is 8: give 16 to a core with sparse_streams, or leave that out"),
        ({"product_registers": False}, "accumulators is 1 and post_dsps 3: give 1 and 4 to a core without product_reg"),
        ({"lanes": 12, "post_lanes": 8, "packed_parameters": True, "csc": False, "nullhop": False, "rsnn": True}, "8"),
        ({"single_port": 2}, "single_port is 2: give one of False, True"),
    ],
)
def test_what_no_small_core_can_be_built_for(changes, message):
    with pytest.raises(ConfigurationError, match=message):
        CoreConfig(**changes)


def test_entries_have_room_for_what_is_out_of_range():
    for count, bits in ((1, 2), (15, 5), (16, 5), (30, 5), (31, 6)):
        config = AcceleratorConfig(max_entries=count)
        assert config.entry_bits == bits and (1 << bits) - 1 > count


@pytest.mark.parametrize("lanes", [1, 2, 4, 8, 16, 3, 12, 32])
def test_an_array_of_another_size_has_the_dataflows_that_fit_it(lanes):
    assert CoreConfig.sized(2, lanes).csc == (16 % lanes == 0)


def test_program_bytes():
    assert AcceleratorConfig(CoreConfig.sized(2, 4), program_depth=100).program_bytes == 400


def test_a_program_depends_on_the_core_and_the_layout_of_its_entries():
    config = AcceleratorConfig()
    others = [
        config.with_changes(core=config.core.with_changes(groups=4)),
        config.with_changes(core=config.core.with_changes(vector=False)),
        config.with_changes(program_depth=4096),
    ]
    assert len({config.fingerprint, *(other.fingerprint for other in others)}) == 4
    assert config.with_changes(max_entries=5, link_words=5).fingerprint == config.fingerprint


def test_the_fingerprint_is_that_of_the_parameters_as_json():
    parameters = {name: int(value) for name, value in CoreConfig().as_dict().items()}
    text = json.dumps(dict(sorted(parameters.items()))).replace(" ", "")
    assert CoreConfig().fingerprint == zlib.crc32(text.encode())
