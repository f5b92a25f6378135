"""`skipstone verilog`: write the Verilog of an accelerator."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.options import Dataflow, DataflowOption, Groups, Lanes, core_config
from hw.verilog import generate
from models.files import write_text


def verilog(
    dataflow: DataflowOption = Dataflow.nullhop,
    groups: Groups = 8,
    lanes: Lanes = 16,
    output: Annotated[Path, typer.Option(file_okay=False, help="The folder to write to.")] = Path("build/verilog"),
) -> None:
    """Write the Verilog of a core, its lint waivers, and a description of its ports and parameters."""
    files = generate(core_config(groups, lanes, dataflow=dataflow))
    for name, text in files.items():
        write_text(output / name, text)
    typer.echo(f"{output}: {', '.join(files)}")
