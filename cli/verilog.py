"""`skipstone verilog`: write the Verilog of an accelerator."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from hw.config import CoreConfig
from hw.verilog import generate
from models.files import write_text


class Dataflow(StrEnum):
    """The choices of ``--dataflow``."""

    nullhop = "nullhop"


def verilog(
    dataflow: Annotated[Dataflow, typer.Option(help="The dataflow that feeds the array.")] = Dataflow.nullhop,
    groups: Annotated[int, typer.Option(min=1, help="Groups of the MAC array.")] = 8,
    lanes: Annotated[int, typer.Option(min=1, help="Lanes of a group.")] = 16,
    output: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("build/verilog"),
) -> None:
    """Write the Verilog of a core, its lint waivers, and a description of its ports and parameters."""
    files = generate(CoreConfig.sized(groups, lanes))
    for name, text in files.items():
        write_text(output / name, text)
    typer.echo(f"{output}: {', '.join(files)}")
