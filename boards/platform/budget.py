"""Budgets: what a board's design may take, so that a change that makes it larger or slower is seen.

A board's ``budget.json`` has two parts, each a limit for each metric and which way is better::

    {"synthesis": {"LUT": {"limit": 5200, "better": "lower"}, ...},
     "bitstream": {"clock_mhz": {"limit": 64, "better": "higher"}, ...}}

`synthesis` is of the board's small design (see `small_design`), whose cells yosys counts in a minute; `bitstream` of
the whole one, after place and route.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import gcd
from typing import Any

from boards.platform.board import Board
from boards.platform.report import BoardReport
from boards.synthesis.netlist import Netlist
from models.errors import SkipstoneError

SMALL = {"groups": 1, "lanes": 4}


@dataclass(frozen=True)
class Excess:
    """A metric that is on the wrong side of its limit."""

    metric: str
    found: float
    limit: float

    def __str__(self) -> str:
        return f"{self.metric} is {self.found:g}, its budget {self.limit:g}"


def small_design(board: Board) -> Board:
    """The board with its own core, but for an array of 1 x 4 and memories to match: small enough for a test."""
    core = board.accelerator.core
    small = core.with_changes(
        **SMALL,
        post_lanes=gcd(core.post_lanes, SMALL["lanes"]),
        activation_depth=min(core.activation_depth, 256),
        weight_depth=min(core.weight_depth, 512),
    )
    accelerator = board.accelerator.with_changes(core=small, program_depth=min(board.accelerator.program_depth, 1024))
    return replace(board, accelerator=accelerator, floorplan=None)


def counted(board: Board, netlist: Netlist) -> dict[str, float]:
    """The cells of a netlist, by the names of budgets."""
    return {name: netlist.count(*cells) for name, cells in board.family.counted}


def measured(report: BoardReport) -> dict[str, float]:
    """The metrics of a bitstream."""
    used = {usage.name: float(usage.used) for usage in report.usage}
    return {**used, "clock_mhz": report.timing.achieved, "bitstream_bytes": report.bitstream.stat().st_size}


def excesses(board: Board, part: str, found: Mapping[str, float]) -> list[Excess]:
    """What exceeds that part of a board's budget; a part that is not there allows everything.

    Raises
    ------
    SkipstoneError
        The budget cannot be read, or has a metric that was not measured.
    """
    path = board.folder / "budget.json"
    try:
        budget: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise SkipstoneError(f"{path}: cannot be read: {error}") from None
    over = []
    for metric, entry in budget.get(part, {}).items():
        if metric not in found:
            raise SkipstoneError(f"{path}: {part} has a metric {metric!r}; these are measured: {', '.join(found)}")
        sign = {"lower": 1, "higher": -1}[entry["better"]]
        if sign * found[metric] > sign * entry["limit"]:
            over.append(Excess(metric, found[metric], entry["limit"]))
    return over
