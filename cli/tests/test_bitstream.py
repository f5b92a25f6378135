"""`skipstone bitstream` and `skipstone program`: what they show and write, and their exit status; no tool runs here."""

import json
from functools import partial
from pathlib import Path

import pytest

import cli.bitstream
import cli.program
from boards.platform.board import BOARD_NAMES
from boards.platform.report import BoardReport, Rate
from boards.platform.timing import Timing
from boards.synthesis.report import SlowestPath, Usage
from boards.synthesis.tools import CircuitError
from compiler.program_file import read_program


@pytest.fixture
def run(skipstone):
    return partial(skipstone, "bitstream")


@pytest.fixture
def builds(monkeypatch):
    """The (board, folder, frequency, program) asked for; stands in for the flow, at 45 MHz."""
    asked = []

    def build_bitstream(board, folder, *, frequency, program, stages):
        asked.append((board, folder, frequency, program))
        with stages(f"{board.name}: synthesis (yosys)"):
            folder.mkdir(parents=True)
        wanted = frequency or board.frequency
        timing = Timing(wanted, 70.0, SlowestPath("core.a", "core.b", logic=8.0, routing=14.2, cells=9))
        if not timing.kept:
            raise CircuitError(f"{board.name}: {timing}")
        bitstream = folder / f"{board.name}.bit"
        bitstream.write_bytes(bytes(1234))
        used = {resource.name: 4 for resource in board.family.resources} | {"LUT": 500}
        usage = (*(Usage(name, number, 2000) for name, number in used.items()), Usage("large RAM", 0, 0))
        return BoardReport(board, usage, timing, bitstream, {"yosys": "1"}, len(program.data) if program else 0)

    rates = [Rate("resnet8", 1_000_000, 40.0), Rate("visual_wake_words", refused="it needs more memory")]
    monkeypatch.setattr(cli.bitstream, "build_bitstream", build_bitstream)
    monkeypatch.setattr(cli.bitstream, "predicted_rates", lambda board, clock: rates)
    return asked


def test_a_bitstream_is_shown_and_written(run, builds, tmp_path):
    json_file = tmp_path / "out.json"
    status, said, complained = run("--board", "ulx3s_85f", "--output", tmp_path, "--json", json_file)
    assert (status, complained) == (0, "")
    ((board, folder, frequency, program),) = builds
    assert (board.name, folder, frequency, program) == ("ulx3s_85f", tmp_path / "ulx3s_85f", None, None)
    for text in (
        "synthesis (yosys) ...",
        "LUT",
        "25",
        "70.0 MHz",
        "from core.a to core.b",
        "40.0",
        "it needs more memory",
    ):
        assert text in said, text
    assert f"{folder / 'ulx3s_85f.bit'}: 1,234 bytes" in said
    written = json.loads(json_file.read_text())
    assert written == json.loads((folder / "report.json").read_text())
    assert written["resources"]["LUT"] == {"used": 500, "available": 2000}
    assert written["achieved_mhz"] == 70 and written["bitstream_bytes"] == 1234
    assert written["networks"][0]["inferences_per_second"] == 40


def test_a_clock_that_is_missed_exits_with_1_and_one_line(run, builds, tmp_path):
    status, said, complained = run("--board", "orangecrab_25f", "--clock", 400, "--output", tmp_path)
    assert status == 1
    assert complained.startswith("skipstone: orangecrab_25f: the clock of 400 MHz is missed: 70.0 MHz, slack -11.79 ns")
    assert complained.count("\n") == 1 and "bytes" not in said


def test_a_network_comes_along(run, builds, tmp_path):
    status, said, _ = run("--board", "ulx3s_85f", "--network", "resnet8", "--output", tmp_path)
    assert status == 0 and "program of resnet8" in said
    ((board, folder, _, image),) = builds
    program = read_program(folder / "resnet8.skip")
    assert program.config == board.accelerator and program.image == image


def test_a_network_that_no_bitstream_can_hold_lies_beside_it(run, builds, tmp_path):
    status, said, complained = run("--board", "icebreaker", "--network", "lenet5", "--output", tmp_path)
    assert status == 0, complained
    assert "bytes, to be loaded by" in said
    ((board, folder, _, image),) = builds
    assert image is None and read_program(folder / "lenet5.skip").config == board.accelerator


def test_dataflows_can_be_chosen(run, builds, tmp_path):
    assert run("--board", "ulx3s_85f", "--dataflows", "nullhop,csc", "--output", tmp_path)[0] == 0
    assert builds[0][0].accelerator.core.csc


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--board", "breadboard"), "--board"),
        ((), "--board"),
        (("--board", "ulx3s_85f", "--dataflows", "systolic"), "skipstone: there is no dataflow 'systolic'"),
        (("--board", "ulx3s_85f", "--network", "nothing"), "skipstone: "),
        (("--board", "tang_nano_9k", "--network", "resnet8"), "skipstone: layer add_3: it needs the vector unit"),
        (("--board", "icebreaker", "--network", "resnet8"), "skipstone: "),
    ],
)
def test_what_makes_no_sense_exits_with_2(run, builds, tmp_path, arguments, line):
    status, _, complained = run(*arguments, "--output", tmp_path / "out")
    assert status == 2 and line in complained and "Traceback" not in complained
    assert not builds and not (tmp_path / "out").exists()


def test_the_boards_offered_are_those_there_are():
    assert [name.value for name in cli.bitstream.BoardName] == list(BOARD_NAMES)


def test_a_budget_that_is_exceeded_exits_with_1(run, builds, tmp_path, monkeypatch):
    monkeypatch.setattr(cli.bitstream, "excesses", lambda board, part, found: ["LUT is 500, its budget 400"])
    status, _, complained = run("--board", "ulx3s_85f", "--output", tmp_path)
    assert status == 1 and "over budget: LUT is 500, its budget 400" in complained


@pytest.fixture
def load(skipstone, tmp_path):
    return partial(skipstone, "program", "--board", "ulx3s_85f", "--output", tmp_path)


def test_a_board_without_a_bitstream_is_not_programmed(load):
    status, _, complained = load()
    assert status == 2 and "build it with `make bitstream BOARD=ulx3s_85f`" in complained


def test_a_missing_loader_is_named(load, tmp_path, monkeypatch):
    made(tmp_path)
    monkeypatch.setattr(cli.program.shutil, "which", lambda name: None)
    status, _, complained = load()
    assert status == 2 and complained.startswith("skipstone: openFPGALoader is not installed: install it")
    assert complained.count("\n") == 1


def test_the_loader_gets_the_board_and_the_bitstream(load, tmp_path, monkeypatch):
    bitstream, seen = made(tmp_path), tmp_path / "seen"
    loader = tmp_path / "openFPGALoader"
    loader.write_text(f'#!/bin/sh\necho "$@" > {seen}\n')
    loader.chmod(0o755)
    monkeypatch.setattr(cli.program.shutil, "which", lambda name: str(loader))
    assert load("--flash")[0] == 0
    assert seen.read_text() == f"--board ulx3s --write-flash {bitstream}\n"
    loader.write_text("#!/bin/sh\nexit 3\n")
    status, _, complained = load()
    assert status == 2 and "exit status 3" in complained


def made(folder: Path) -> Path:
    """A bitstream, as the flow leaves it."""
    path = folder / "ulx3s_85f" / "ulx3s_85f.bit"
    path.parent.mkdir()
    path.write_bytes(b"\0")
    return path
