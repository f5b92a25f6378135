"""Options that several commands have."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from models.errors import SkipstoneError


class Dataflow(StrEnum):
    """The choices of ``--dataflow``."""

    nullhop = "nullhop"


class Simulator(StrEnum):
    """The choices of ``--simulator``."""

    verilator = "verilator"
    icarus = "icarus"


class Stalls(StrEnum):
    """The choices of ``--stalls``."""

    none = "none"
    random = "random"


DataflowOption = Annotated[Dataflow, typer.Option(help="The dataflow that feeds the array.")]
Groups = Annotated[int, typer.Option(min=1, help="Groups of the MAC array.")]
Lanes = Annotated[int, typer.Option(min=1, help="Lanes of a group.")]
SimulatorOption = Annotated[Simulator, typer.Option(help="What runs the Verilog.")]
StallsOption = Annotated[Stalls, typer.Option(help="Stall the streams at random.")]
WavesOption = Annotated[Path | None, typer.Option(dir_okay=False, help="Record waves to this .fst file.")]
JsonOption = Annotated[Path | None, typer.Option("--json", dir_okay=False, help="Write the results to this file.")]


def check_waves(waves: Path | None) -> None:
    """Raise SkipstoneError if that is no name for a file of waves."""
    if waves is not None and waves.suffix != ".fst":
        raise SkipstoneError(f"{waves}: waves are an .fst file; name it {waves.with_suffix('.fst')}")
