"""The core on every target: it fits with its hard blocks, and reaches the target's clock."""

import pytest

from boards.synthesis.flow import build
from boards.synthesis.netlist import Demand
from boards.synthesis.targets import TARGETS
from hw.core import Core


@pytest.mark.slow
@pytest.mark.xdist_group("fpga-tools")
@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_the_core_fits_and_reaches_its_clock(tmp_path, target):
    report = build(Core(target.config), target, tmp_path / target.name, Demand.of(target.config))
    assert all(usage.used <= usage.available for usage in report.usage)
    assert report.fast_enough, f"{report.achieved:.1f} MHz"
