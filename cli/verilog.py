"""`skipstone verilog`: write an accelerator as Verilog, for other flows."""

from __future__ import annotations

from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from cli.accelerators import compile_for
from cli.options import Dataflow, DataflowOption, Groups, Lanes, Settings, core_config
from compiler.compiled import describe_program
from compiler.program_file import write_program
from hw.config import AcceleratorConfig
from hw.package import generate_package
from hw.verilog import generate
from models.errors import SkipstoneError
from models.files import write_text
from models.importers import load


class Form(StrEnum):
    """The choices of ``--form``."""

    axi = "axi"
    stream = "stream"


def verilog(
    dataflow: DataflowOption = Dataflow.nullhop,
    groups: Groups = 8,
    lanes: Lanes = 16,
    settings: Settings = None,
    form: Annotated[
        Form, typer.Option(help="axi: the accelerator with AXI interfaces, and the core; stream: the core alone.")
    ] = Form.axi,
    network: Annotated[
        str | None, typer.Option(help="Put the program of this network into the program memory; its file comes along.")
    ] = None,
    clock: Annotated[float, typer.Option(min=0.001, max=10_000, help="For the constraints, in MHz.")] = 100.0,
    output: Annotated[Path, typer.Option(file_okay=False, help="The folder to write to.")] = Path("build/verilog"),
) -> None:
    """Write an accelerator as Verilog: a folder that other flows take as it is.

    Its README.md says what each file is, and how to use the accelerator.
    """
    core = core_config(groups, lanes, settings, dataflow=dataflow)
    if form is Form.stream and network is not None:
        raise SkipstoneError("--network: the bare core has no program memory; leave out --form or --network")
    program = None
    if form is Form.stream:
        files = generate(core)
    elif network is None:
        files = generate_package(AcceleratorConfig(core), clock=clock, version=version("skipstone"))
    else:
        program = describe_program(compile_for(load(network), core))
        files = generate_package(program.config, clock=clock, program=program.image, version=version("skipstone"))
    for name, text in files.items():
        write_text(output / name, text)
    if program is not None:
        write_program(program, output / "program.skip")
    typer.echo(f"{output}: {', '.join(files)}{', program.skip' if program else ''}")
