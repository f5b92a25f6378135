"""`skipstone simulate`: run a network in the generated Verilog and prove every layer equal to the golden model."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from cli.options import Dataflow, DataflowOption, Groups, Lanes
from hw.config import CoreConfig
from models.errors import SkipstoneError
from models.files import write_text
from models.importers import load
from models.inputs import read_input
from sim.harness.runner import SimulationError
from sim.network_run import NetworkRun, make_jobs, run_network

_PIPE_WIDTH = 140


class Simulator(StrEnum):
    """The choices of ``--simulator``."""

    verilator = "verilator"
    icarus = "icarus"


class Stalls(StrEnum):
    """The choices of ``--stalls``."""

    none = "none"
    random = "random"


def simulate(
    network: Annotated[str, typer.Argument(help="A network of the zoo, or a .tflite file.")],
    input: Annotated[
        Path | None, typer.Option(help="A .npy, .png or .jpg file; without it, a sample or random values.")
    ] = None,
    dataflow: DataflowOption = Dataflow.nullhop,
    groups: Groups = 8,
    lanes: Lanes = 16,
    layer: Annotated[str | None, typer.Option(help="Run this layer only (see `skipstone inspect`).")] = None,
    simulator: Annotated[Simulator, typer.Option(help="What runs the Verilog.")] = Simulator.verilator,
    seed: Annotated[int, typer.Option(min=0, help="Of the sample or random input, and of the stalls.")] = 0,
    stalls: Annotated[Stalls, typer.Option(help="Stall every stream at random.")] = Stalls.none,
    waves: Annotated[Path | None, typer.Option(dir_okay=False, help="Record waves to this .fst file.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", dir_okay=False, help="Write the results to this file.")
    ] = None,
) -> None:
    """Run NETWORK in the generated Verilog and compare every layer's bytes with the golden model.

    Every convolution and fully connected layer runs in RTL, fed with the true previous tensor; the other layers run in
    the golden model. Exit status 0 if all are equal, 1 if not.
    """
    if waves is not None and waves.suffix != ".fst":
        raise SkipstoneError(f"{waves}: waves are an .fst file; name it {waves.with_suffix('.fst')}")
    config = CoreConfig.sized(groups, lanes)
    loaded = load(network)
    jobs = make_jobs(loaded, read_input(loaded, input, seed), config, layer=layer)
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("compiling", total=len(jobs))
        try:
            run = run_network(
                loaded,
                jobs,
                config,
                simulator=simulator.value,
                seed=seed,
                stalls=stalls.value,
                waves=waves,
                on_stage=lambda stage: progress.update(task, description=stage),
                on_layer=lambda done: progress.update(task, completed=done),
            )
        except SimulationError as error:  # a fault of the hardware, as a mismatch is
            print(f"skipstone: {error}", file=sys.stderr)
            raise typer.Exit(1) from None
    if json_file is not None:
        write_text(json_file, json.dumps(run.as_json(), indent=2) + "\n")
    _show(run, console if console.is_terminal else Console(width=_PIPE_WIDTH))
    if not run.equal:
        raise typer.Exit(1)


def _show(run: NetworkRun, console: Console) -> None:
    title = f"{escape(run.network.name)} on {run.config.groups} x {run.config.lanes} multipliers"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("layer")
    table.add_column("dataflow")
    headings = ("cycles", "predicted", "MACs", "multiplies", "skipped, %", "utilisation, %", "MAC/cycle/lane")
    for heading in headings:
        table.add_column(heading, justify="right")
    table.add_column("equal")
    multipliers = run.config.groups * run.config.lanes
    total = {"name": "total", "dataflow": "", **run.total()}
    for row in [*run.rows(), total]:
        if row is total:
            table.add_section()
        table.add_row(
            row["name"],
            row["dataflow"],
            f"{row['cycles']:,}",
            f"{row['predicted_cycles']:,}",
            f"{row['macs']:,}",
            f"{row['multiplies']:,}",
            f"{100 * (1 - row['multiplies'] / row['macs']):.1f}",
            f"{100 * row['utilisation']:.1f}",
            f"{row['macs'] / (row['cycles'] * multipliers):.2f}",
            "yes" if row["equal"] else "NO",
        )
    console.print(table)
    if run.golden_operators:
        counts = ", ".join(f"{count} {op}" for op, count in run.golden_operators.items())
        console.print(f"in the golden model: {counts}", highlight=False, soft_wrap=True)
    for layer in run.layers:
        if layer.mismatch is not None:
            line = f"{layer.job.program.conv.name}: {layer.mismatch}"
            console.print(line, highlight=False, markup=False, soft_wrap=True)
