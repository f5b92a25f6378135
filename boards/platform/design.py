"""From a board's top level to the files that synthesis, place and route read."""

from __future__ import annotations

import re
from pathlib import Path

from amaranth.hdl import Elaboratable

from boards.platform.board import Board
from boards.synthesis.flow import TOP

_INITIAL_TRIGGER = re.compile(r"^\s*wire \$verilog_initial_trigger$", re.MULTILINE)


def write_design(board: Board, top: Elaboratable, folder: Path) -> Path:
    """Write ``folder/top.il``, the circuit with its pins, and the file of constraints, whose path is returned.

    Amaranth's platform gives the pins, their electrical settings and the oscillator's frequency; of its own flow no
    more is used.
    """
    plan = board.platform().prepare(top, TOP, emit_src=False)
    constraints = f"{TOP}.{board.family.constraints}"
    for name in (f"{TOP}.il", constraints):
        text = plan.files[name]
        assert isinstance(text, str)
        (folder / name).write_text(text)
    return folder / constraints
