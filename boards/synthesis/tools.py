"""Running a tool of the FPGA flow, with its output in a log file."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from models.errors import SkipstoneError

FAULTS = (
    r"Warning: Driver-driver conflict",
    r"Warning: multiple conflicting drivers",
    r"Warning: found logic loop",
    r"Latch inferred for signal",
    r"Warning: .* is used but has no driver",
)
"""What yosys goes on after, although the circuit is then not the one described."""


class ToolError(SkipstoneError):
    """A tool that is not installed."""


class CircuitError(SkipstoneError):
    """A circuit that a tool refused, that does not fit the part, or that is not the one described."""


def run_tool(name: str, arguments: Sequence[str], folder: Path, log: str) -> int:
    """Run an installed tool in ``folder``, everything it prints going to file ``log`` there.

    Files are to be named relative to ``folder``: the tools are WebAssembly, and do not see every absolute
    path.

    Returns
    -------
    int
        The tool's exit status.

    Raises
    ------
    ToolError
        If it is not installed.
    """
    program = Path(sys.executable).with_name(name)
    if not program.exists():
        raise ToolError(f"{name} is not installed: run `make setup`, or pip install 'skipstone[fpga]'")
    with open(folder / log, "w", encoding="utf-8") as output:
        return subprocess.run(
            [str(program), *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode


def first_error(log: Path) -> str:
    """The first line of a log that a tool marks as an error, or its last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR:" in line]
    return (errors or lines[-1:] or ["it printed nothing"])[0]


def check_faults(log: Path) -> None:
    """Raise `CircuitError` with the first of `FAULTS` that a yosys log holds."""
    fault = re.compile("|".join(FAULTS))
    for line in log.read_text(errors="replace").splitlines():
        if fault.search(line):
            raise CircuitError(f"yosys built another circuit than described: {line.strip()} (see {log})")
