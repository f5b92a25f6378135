"""What a bitstream takes of its part, how fast it is, and what that means for networks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from boards.platform.board import Board
from boards.platform.timing import Timing
from boards.synthesis.report import Usage
from compiler.compiled import describe_program
from compiler.errors import CompilerError
from compiler.network_program import compile_network
from models import zoo
from models.network import Network


@dataclass(frozen=True)
class Rate:
    """Predicted inferences a second of a network, the transfer of input and output apart; or why it does not fit."""

    network: str
    cycles: int = 0
    inferences_per_second: float = 0.0
    refused: str = ""


@dataclass(frozen=True)
class BoardReport:
    """A bitstream.

    Parameters
    ----------
    board
        Which.
    usage
        What is used of each resource.
    timing
        Of its clock.
    bitstream
        The file.
    tools
        Versions, by package.
    program_bytes
        Of the program that it brings; 0 without.
    """

    board: Board
    usage: tuple[Usage, ...]
    timing: Timing
    bitstream: Path
    tools: Mapping[str, str]
    program_bytes: int = 0

    def as_dict(self, rates: Iterable[Rate] = ()) -> dict[str, Any]:
        """The report for a JSON file."""
        return {
            "board": self.board.name,
            "part": self.board.part,
            "config": self.board.accelerator.core.as_dict(),
            "resources": {u.name: {"used": u.used, "available": u.available} for u in self.usage},
            "clock_mhz": round(self.timing.wanted, 3),
            "achieved_mhz": round(self.timing.achieved, 2),
            "slack_ns": round(self.timing.slack, 2),
            "critical_path": asdict(self.timing.slowest) if self.timing.slowest else None,
            "bitstream": str(self.bitstream),
            "bitstream_bytes": self.bitstream.stat().st_size,
            "program_bytes": self.program_bytes,
            "networks": [asdict(rate) for rate in rates],
            "tools": dict(self.tools),
        }


def predicted_rate(board: Board, network: Network, clock: float) -> Rate:
    """How fast a network would run on a board at that clock (MHz), half its activations being zeros."""
    try:
        cycles = describe_program(compile_network(network, board.accelerator)).cycles
    except CompilerError as error:
        return Rate(network.name, refused=str(error))
    return Rate(network.name, cycles, round(clock * 1e6 / cycles, 2))


def predicted_rates(board: Board, clock: float) -> list[Rate]:
    """The same for every network of the zoo."""
    return [predicted_rate(board, zoo.load(name), clock) for name in zoo.names()]
