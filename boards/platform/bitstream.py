"""From a board to its bitstream: Amaranth, yosys, nextpnr and the family's packer, one stage after the other.

    report = build_bitstream(load_board("icebreaker"), Path("build/icebreaker"))

Nothing but a design that keeps its clock becomes a bitstream.
"""

from __future__ import annotations

import json
import shutil
from contextlib import nullcontext
from pathlib import Path

from boards.platform.board import Board
from boards.platform.design import write_design
from boards.platform.report import BoardReport
from boards.platform.timing import read_timing
from boards.platform.top import BoardTop
from boards.platform.versions import check_tools
from boards.synthesis.floorplan import constrain
from boards.synthesis.flow import TOP, Stages, place_and_route, synthesise_description
from boards.synthesis.netlist import Demand, Netlist
from boards.synthesis.report import read_usage
from boards.synthesis.tools import CircuitError, first_error, run_tool
from hw.machine.program import ProgramImage


def synthesise_board(
    board: Board, folder: Path, *, frequency: float | None = None, program: ProgramImage | None = None
) -> Netlist:
    """The netlist of a board's top level, in ``folder/top.json`` too; the folder is emptied first.

    Raises
    ------
    CircuitError
        Yosys fails, warns that the netlist is not the circuit described, or builds of logic what should be hard blocks.
    ConfigurationError
        As `BoardTop`.
    ToolError
        Yosys is not installed, or not in the version meant.
    """
    check_tools(board.family.tools[:1])
    top = BoardTop(board, frequency, program)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_design(board, top, folder)
    netlist = synthesise_description(board.target, folder)
    netlist.check(board.target, Demand.of(board.accelerator.core))
    if board.family.repair is not None:
        board.family.repair(folder / f"{TOP}.json", TOP)
    return netlist


def build_bitstream(
    board: Board,
    folder: Path,
    *,
    frequency: float | None = None,
    program: ProgramImage | None = None,
    stages: Stages = nullcontext,
) -> BoardReport:
    """Make ``folder/NAME.ENDING``, the bitstream, and return what it takes.

    Parameters
    ----------
    board
        Which.
    folder
        Where the bitstream, the intermediate files and the tools' logs go; emptied first.
    frequency
        Of the accelerator in MHz, if not the board's own.
    program
        What the program memory holds after power-on.
    stages
        Told of each stage.

    Raises
    ------
    CircuitError
        As `synthesise_board`; or the circuit does not fit, or misses its clock. Then there is no bitstream.
    ConfigurationError, ToolError
        As `synthesise_board`.
    """
    tools = check_tools(board.family.tools)
    clock = board.make_clock(frequency).frequency
    with stages(f"{board.name}: synthesis (yosys)"):
        netlist = synthesise_board(board, folder, frequency=frequency, program=program)
    if board.floorplan is not None:
        constrain(folder / f"{TOP}.json", TOP, board.floorplan)
    with stages(f"{board.name}: place and route (nextpnr)"):
        placement = json.loads(place_and_route(board.target, folder, clock, board.family.place).read_text())
    timing = read_timing(placement, clock)
    if not timing.kept:
        raise CircuitError(f"{board.name}: {timing} (see {folder / 'nextpnr.log'})")
    with stages(f"{board.name}: bitstream ({board.family.packer[0]})"):
        bitstream = _pack(board, folder)
    return BoardReport(
        board=board,
        usage=read_usage(board.target, placement, netlist),
        timing=timing,
        bitstream=bitstream,
        tools=tools,
        program_bytes=len(program.data) if program else 0,
    )


def _pack(board: Board, folder: Path) -> Path:
    program, *arguments = board.family.packer
    if run_tool(program, arguments, folder, "pack.log"):
        log = folder / "pack.log"
        raise CircuitError(f"{board.name}: {program}: {first_error(log)} (see {log})")
    made = folder / board.family.bitstream
    return made.rename(folder / f"{board.name}{made.suffix}")
