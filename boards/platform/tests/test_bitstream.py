"""The flow to a bitstream on a small circuit: what keeps its clock becomes one, what misses it does not."""

import re
from dataclasses import replace

import pytest
from amaranth import Signal
from amaranth.hdl import Elaboratable, Module
from amaranth.lib import io

import boards.platform.bitstream
from boards.platform.bitstream import build_bitstream
from boards.platform.board import load_board
from boards.platform.timing import source_name
from boards.platform.versions import check_tools
from boards.synthesis.netlist import Demand
from boards.synthesis.tools import CircuitError
from hw.config import ConfigurationError

pytestmark = pytest.mark.xdist_group("fpga-tools")

BOARD = load_board("orangecrab_25f")


class Counter(Elaboratable):
    """A counter of 64 bits, whose carry takes its time, behind an LED."""

    def __init__(self, board, frequency, program):
        self.clocking = board.make_clock(frequency)

    def elaborate(self, platform):
        m = Module()
        self.clocking.elaborate_into(m, platform.request(BOARD.oscillator[0], dir="-"))
        ticks = Signal(64)
        m.d.sync += ticks.eq(ticks + 1)
        led = platform.request("rgb_led", 0, dir=dict.fromkeys("rgb", "-")).r
        m.submodules.led = buffer = io.Buffer("o", led)
        m.d.comb += buffer.o.eq(ticks[-1])
        return m


@pytest.fixture
def counter(monkeypatch):
    """A counter in the accelerator's place, which has no need of hard blocks."""
    monkeypatch.setattr(boards.platform.bitstream, "BoardTop", Counter)
    monkeypatch.setattr(Demand, "of", classmethod(lambda cls, config: Demand()))


def test_a_design_that_keeps_its_clock_becomes_a_bitstream(counter, tmp_path):
    report = build_bitstream(BOARD, tmp_path / "out")
    assert report.timing.kept and report.timing.slack > 0
    assert report.bitstream == tmp_path / "out" / "orangecrab_25f.bit"
    written = report.as_dict()
    assert written["bitstream_bytes"] == report.bitstream.stat().st_size > 10_000
    assert written["resources"]["FF"]["used"] == 66
    assert written["clock_mhz"] == BOARD.frequency < written["achieved_mhz"]
    assert written["tools"] == check_tools(BOARD.family.tools)
    assert {path.name for path in report.bitstream.parent.glob("*.log")} == {"yosys.log", "nextpnr.log", "pack.log"}


def test_an_impossible_clock_gives_no_bitstream_and_one_line(counter, tmp_path):
    fast = replace(BOARD, baud_rate=10_000_000)
    with pytest.raises(CircuitError) as refused:
        build_bitstream(fast, tmp_path / "out", frequency=390)
    line = str(refused.value)
    assert line.startswith("orangecrab_25f: the clock of 390 MHz is missed: ") and "\n" not in line
    assert "slack -" in line
    assert re.search(r"from ticks to (ticks|led\.o): ", line), "the ends are not named as in the source"
    assert not list((tmp_path / "out").glob("*.bit"))
    assert (tmp_path / "out" / "nextpnr.log").is_file()


def test_what_was_built_before_does_not_stay(counter, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "orangecrab_25f.bit").write_text("of yesterday")
    with pytest.raises(ConfigurationError, match="cannot be made"):
        build_bitstream(BOARD, tmp_path / "out", frequency=3000)
    with pytest.raises(CircuitError):
        build_bitstream(replace(BOARD, baud_rate=10_000_000), tmp_path / "out", frequency=390)
    assert not (tmp_path / "out" / "orangecrab_25f.bit").exists()


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("core.sequencer.fsm_state_TRELLIS_FF_Q_1", "core.sequencer.fsm_state"),
        ("a.b.total_SB_DFFESR_Q_7", "a.b.total"),
        ("a.b.total_SB_LUT4_O_3_LC", "a.b.total"),
        ("core.weights_0.store.store.0.0", "core.weights_0"),
        ("a.q_DFF_Q", "a.q"),
        ("a.x_CCU2C_S0_4", "a.x"),
    ],
)
def test_cells_are_named_after_the_source(cell, name):
    assert source_name(cell) == name
