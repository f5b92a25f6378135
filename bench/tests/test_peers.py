"""What stands around a peer: its simulation's result is read, and held against its model's; its cells are counted."""

import json

import pytest

from bench import boards, resources
from bench.peers import nngen
from boards.platform.board import load_board
from models.errors import SkipstoneError
from sim.harness import toolchain

needs_verilator = pytest.mark.skipif(
    toolchain.missing("verilator") is not None, reason=str(toolchain.missing("verilator"))
)

BENCH = """
module test;
  reg [7:0] memory [0:5];
  initial begin
    $readmemh("before.hex", memory);
    #3 memory[2] = 8'h7f;
    $display("cycles=      1234");
    $writememh("after.hex", memory);
    $finish;
  end
endmodule
"""
MULTIPLIER = """
module small(input clk, input signed [7:0] a, b, output reg signed [15:0] product);
  always @(posedge clk) product <= a * b;
endmodule
"""


@pytest.fixture(autouse=True)
def build_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("SKIPSTONE_BUILD", str(tmp_path / "build"))


@needs_verilator
def test_a_simulated_peer_is_held_against_its_own_model(tmp_path):
    (tmp_path / "bench.v").write_text(BENCH)
    (tmp_path / "before.hex").write_text("01 02 03 04 05 06\n")
    for wanted, equal in (([2, 127, 4], True), ([2, 3, 4], False), ([2, None, 4], True)):
        (tmp_path / "says.json").write_text(json.dumps({"address": 1, "wanted": wanted, "non_zero": 1.0}))
        assert nngen.simulate(tmp_path) == (1234, equal), wanted


@needs_verilator
def test_a_peer_that_does_not_end_is_an_error(monkeypatch, tmp_path):
    (tmp_path / "said.txt").write_text("time out\n")
    monkeypatch.setattr(nngen, "cached_folder", lambda key, make: tmp_path)
    with pytest.raises(SkipstoneError, match=r"^NNgen's simulation ended without a result: see .*said\.txt$"):
        nngen.simulate(tmp_path)


def test_cells_are_counted_once(monkeypatch, tmp_path):
    source = tmp_path / "small.v"
    source.write_text(MULTIPLIER)
    cells = resources.of_verilog(source, "small")
    assert cells == {"lut": 0, "carry": 0, "dsp": 1, "block_ram": 0}
    monkeypatch.setattr(resources, "run_tool", None)
    assert resources.of_verilog(source, "small") == cells


def test_a_circuit_that_yosys_cannot_read_is_one_line(tmp_path):
    source = tmp_path / "wrong.v"
    source.write_text("module wrong(;\n")
    with pytest.raises(SkipstoneError, match=r"^\S*wrong\.v: yosys: .*ERROR: .*syntax error"):
        resources.of_verilog(source, "wrong")


def test_a_network_that_a_board_cannot_hold_has_the_reason(monkeypatch):
    cells = {"lut": 9, "carry": 8, "dsp": 7, "block_ram": 6}
    monkeypatch.setattr(resources, "of_board", lambda board: cells)
    (case,) = [case for case in boards.BOARDS.cases(False) if case.name == "resnet8 on icebreaker"]
    row = case.measure()
    assert "max_size" in row["refused"] and "cycles" not in row
    assert {key: row[key] for key in cells} == cells


@pytest.mark.parametrize(
    ("bitstream", "found"), [({}, (12.0, False)), ({"clock_mhz": {"limit": 13.5, "better": "higher"}}, (13.5, True))]
)
def test_the_clock_is_that_of_the_budget(monkeypatch, tmp_path, bitstream, found):
    board = load_board("icebreaker")
    (tmp_path / "budget.json").write_text(json.dumps({"synthesis": {}, "bitstream": bitstream}))
    monkeypatch.setattr(type(board), "folder", tmp_path)
    assert boards.clock(board) == found
