"""MLPerf Tiny's networks, and LeNet-5, on each board as it is built: cycles, inferences a second, and what it takes.

A network that the board's accelerator cannot hold has the compiler's reason in the place of figures. Cells are those
that yosys makes of the board's whole design, before anything is placed. The clock is that of the board's budget, which
a placed and routed design has reached, or, where the budget has none yet, the one that the board asks for; a bitstream
that misses it is not made. Inferences a second leave out the transfer of input and output.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

from bench import networks, resources
from bench.benchmark import Benchmark, Case, Column, Row, layer_columns, rates
from bench.layers import only_described
from bench.published import published
from boards.platform.board import BOARD_NAMES, Board, load_board
from compiler.errors import CompilerError
from compiler.network_program import NetworkProgram, compile_network
from models import zoo
from models.inputs import read_input
from sim.accelerator_run import run_program

SEED = 0
NETWORKS = (*networks.NETWORKS, "lenet5")
_PUBLISHED = published("mlperf_tiny")


def clock(board: Board) -> tuple[float, bool]:
    """The board's clock in MHz, and whether its budget says that a placed and routed design reaches it."""
    budget: dict[str, Any] = json.loads((board.folder / "budget.json").read_text(encoding="utf-8"))
    reached = budget.get("bitstream", {}).get("clock_mhz")
    return (reached["limit"], True) if reached else (board.make_clock().frequency, False)


def _measure(board_name: str, network_name: str) -> Row:
    board = load_board(board_name)
    cells = resources.of_board(board)
    row: Row = {
        "groups": board.accelerator.core.groups,
        "lanes": board.accelerator.core.lanes,
        **cells,
    }
    try:
        program = compile_network(zoo.load(network_name), board.accelerator)
    except CompilerError as error:
        return {**row, "refused": str(error)}
    return {**row, **_run(board, program, cells["dsp"])}


def _run(board: Board, program: NetworkProgram, dsps: int) -> Row:
    core = board.accelerator.core
    with only_described():
        total = run_program(program, read_input(program.network, None, SEED)).total()
    mhz, reached = clock(board)
    figures = _PUBLISHED["networks"].get(program.network.name, {})
    return {
        **total,
        **rates(total["cycles"], total["macs"], total["multiplies"], core.groups * core.lanes),
        "clock_mhz": mhz,
        "clock_reached": reached,
        "inferences_per_second": round(mhz * 1e6 / total["cycles"], 2),
        "mac_per_cycle_per_dsp": round(total["macs"] / (total["cycles"] * dsps), 4),
        "published_mac_per_cycle_per_dsp": figures.get("mac_per_cycle_per_dsp"),
        "published_inferences_per_second": figures.get("cortex_m4_inferences_per_second"),
    }


def _cases(full: bool) -> Sequence[Case]:
    return [
        Case(
            f"{network} on {board}",
            partial(_measure, board, network),
            {"board": board, "network": network},
            # Synthesis takes long, and the boards' own tests hold what it takes of a small design of each.
            held=False,
        )
        for board in BOARD_NAMES
        for network in NETWORKS
    ]


BOARDS = Benchmark(
    name="boards",
    title="MLPerf Tiny's networks and LeNet-5 on each board as it is built",
    cases=_cases,
    columns=(
        Column("board", "board"),
        Column("network", "network"),
        *layer_columns("cycles", "predicted_cycles"),
        Column("clock, MHz", "clock_mhz", ".1f"),
        Column("inferences/s", "inferences_per_second", ",.1f"),
        Column("Cortex-M4, 120 MHz", "published_inferences_per_second", ",.1f"),
        Column("MAC/cycle/DSP", "mac_per_cycle_per_dsp", ".2f"),
        Column("best published", "published_mac_per_cycle_per_dsp", ".2f"),
        *resources.COLUMNS,
        *layer_columns("equal"),
        Column("why not", "refused"),
    ),
    published=_PUBLISHED,
    seed=SEED,
)
