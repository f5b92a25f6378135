"""`skipstone bitstream`: build a board's bitstream, and show what it takes and how fast it is."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from boards.platform.bitstream import build_bitstream
from boards.platform.board import BOARD_NAMES, Board, load_board
from boards.platform.budget import excesses, measured
from boards.platform.report import BoardReport, Rate, predicted_rates
from boards.synthesis.tools import CircuitError
from cli.options import JsonOption
from cli.tables import count, decimals, new_table, print_line, print_table
from compiler.compiled import CompiledProgram, describe_program
from compiler.network_program import compile_network
from compiler.program_file import write_program
from models.files import write_text
from models.importers import load

BoardName = StrEnum("BoardName", list(BOARD_NAMES))  # type: ignore[misc]  # made of what there is
"""The choices of ``--board``."""

BoardOption = Annotated[BoardName, typer.Option(help="The board to build for.")]


def bitstream(
    board: BoardOption,
    network: Annotated[
        str | None, typer.Option(help="Bring the program of this network: one of the zoo, or a .tflite or .onnx file.")
    ] = None,
    dataflows: Annotated[
        str | None, typer.Option(help="The dataflows to build, such as nullhop,csc; the board's own if left out.")
    ] = None,
    clock: Annotated[float | None, typer.Option(min=0.1, max=1000, help="The accelerator's clock, in MHz.")] = None,
    output: Annotated[Path, typer.Option(file_okay=False, help="A folder is made here, of the board's name.")] = Path(
        "build/boards"
    ),
    json_file: JsonOption = None,
) -> None:
    """Build a bitstream, from the accelerator's description to the file for the board.

    With `--network`, its program is written beside it, and is in it too where the board's RAM can be filled so: then
    the board answers from power-on, and otherwise after `skipstone run`. A design that does not fit, that misses its
    clock, or that a tool warns of, gives no bitstream, and the exit status is 1.
    """
    chosen = load_board(board)
    if dataflows is not None:
        chosen = chosen.with_dataflows([name.strip() for name in dataflows.split(",")])
    program = None if network is None else _program(chosen, network)
    folder = output / chosen.name
    try:
        resident = program.image if program and chosen.program_in_bitstream else None
        report = build_bitstream(chosen, folder, frequency=clock, program=resident, stages=_stages)
    except CircuitError as error:
        print(f"skipstone: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    rates = predicted_rates(chosen, report.timing.wanted)
    written = report.as_dict(rates)
    write_text(folder / "report.json", json.dumps(written, indent=2) + "\n")
    if json_file is not None:
        write_text(json_file, json.dumps(written, indent=2) + "\n")
    if program is not None:
        write_program(program, folder / f"{program.network}.skip")
    _show(report, rates, folder, program)
    # A budget is of the board as it is described, and no other.
    over = excesses(chosen, "bitstream", measured(report)) if dataflows is None and clock is None else []
    for excess in over:
        print(f"skipstone: {chosen.name}: over budget: {excess} (see {chosen.folder / 'budget.json'})", file=sys.stderr)
    if over:
        raise typer.Exit(1)


def _program(board: Board, network: str) -> CompiledProgram:
    return describe_program(compile_network(load(network), board.accelerator))


@contextmanager
def _stages(name: str) -> Iterator[None]:
    start = time.monotonic()
    print_line(f"{name} ...")
    yield
    print_line(f"{name}: {time.monotonic() - start:.0f} s")


def _show(report: BoardReport, rates: list[Rate], folder: Path, program: CompiledProgram | None) -> None:
    core = report.board.accelerator.core
    table = new_table(
        f"{report.board.title}, {report.board.part}, {core.groups} x {core.lanes} lanes",
        ("resource",),
        ("used", "of", "%"),
    )
    for usage in report.usage:
        share = decimals(100 * usage.used / usage.available, 0) if usage.available else "-"
        table.add_row(usage.name, count(usage.used), count(usage.available), share)
    print_table(table)
    print_line(f"{report.timing}")
    table = new_table("predicted", ("network",), ("cycles", "inferences/s"), ("does not fit because",))
    for rate in rates:
        numbers = ("", "") if rate.refused else (count(rate.cycles), decimals(rate.inferences_per_second, 1))
        table.add_row(rate.network, *numbers, rate.refused)
    print_table(table)
    if program is not None:
        where = "in the bitstream" if report.board.program_in_bitstream else "to be loaded by `skipstone run`"
        print_line(f"program of {program.network}: {len(program.image.data):,} bytes, {where}")
    print_line(f"{report.bitstream}: {report.bitstream.stat().st_size:,} bytes; logs and report.json are beside it")
