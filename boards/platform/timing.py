"""Whether a routed design keeps its clocks, in the names of the source."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from boards.synthesis.report import SlowestPath, read_clock

_CELL = re.compile(
    r"_(TRELLIS_|LUT4|CCU2C|PFUMX|L6MUX|DP16KD|PDPW16KD|MULT18|SB_|\$|DFF|ALU|MUX2|PADD|FD1P3|OXIDE_).*$"
)
"""What yosys and nextpnr append to the name of the signal that a cell drives."""


@dataclass(frozen=True)
class Timing:
    """The clock of the accelerator after place and route.

    Parameters
    ----------
    wanted, achieved
        In MHz.
    slowest
        The path that limits it, in the names of the source; None if no register feeds another.
    """

    wanted: float
    achieved: float
    slowest: SlowestPath | None

    @property
    def kept(self) -> bool:
        """Whether the clock is reached."""
        return self.achieved >= self.wanted

    @property
    def slack(self) -> float:
        """Time left in ns; negative if the clock is missed."""
        return 1000 / self.wanted - 1000 / self.achieved if self.achieved else 0.0

    def __str__(self) -> str:
        verdict = "is kept" if self.kept else "is missed"
        ends = f"; the path that limits it goes {self.slowest}" if self.slowest else ""
        return f"the clock of {self.wanted:g} MHz {verdict}: {self.achieved:.1f} MHz, slack {self.slack:.2f} ns{ends}"


def source_name(cell: str) -> str:
    """The signal or memory of the source that a cell of the routed design belongs to."""
    name = _CELL.sub("", cell.split("$")[0] or cell)
    return re.sub(r"(\.store)+(\.\d+)+$", "", name)


def read_timing(report: Mapping[str, Any], wanted: float) -> Timing:
    """The timing in nextpnr's report."""
    achieved, slowest = read_clock(report)
    if slowest is not None:
        start, end = source_name(slowest.start), source_name(slowest.end)
        slowest = SlowestPath(start, end, slowest.logic, slowest.routing, slowest.cells)
    return Timing(wanted, achieved, slowest)
