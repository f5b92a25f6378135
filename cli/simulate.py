"""`skipstone simulate`: run a network in the generated Verilog and prove every tensor equal to the golden model."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy.typing as npt
import typer

from cli.accelerators import compile_for
from cli.options import (
    Dataflow,
    DataflowOption,
    Groups,
    JsonOption,
    KeepWeights,
    Lanes,
    Settings,
    Simulator,
    SimulatorOption,
    Stalls,
    StallsOption,
    WavesOption,
    check_waves,
    core_config,
)
from cli.tables import count, decimals, new_progress, new_table, percent, print_line, print_table
from host.device import AcceleratorError
from hw.config import CoreConfig
from models.errors import SkipstoneError
from models.files import write_text
from models.importers import load
from models.inputs import read_input
from models.network import Network
from sim.accelerator_run import AcceleratorRun, run_program
from sim.harness.runner import SimulationError
from sim.network_run import NetworkRun, make_jobs, run_network

Run = NetworkRun | AcceleratorRun


def simulate(
    network: Annotated[str, typer.Argument(help="A network of the zoo, or a .tflite or .onnx file.")],
    input: Annotated[
        Path | None, typer.Option(help="A .npy, .png or .jpg file; without it, a sample or random values.")
    ] = None,
    dataflow: DataflowOption = Dataflow.nullhop,
    groups: Groups = 8,
    lanes: Lanes = 16,
    settings: Settings = None,
    keep_weights: KeepWeights = False,
    layer: Annotated[str | None, typer.Option(help="Run this layer alone (see `skipstone inspect`).")] = None,
    by_layer: Annotated[
        bool, typer.Option("--by-layer", help="Run the layers of the array one by one, for a network with others.")
    ] = False,
    simulator: SimulatorOption = Simulator.verilator,
    seed: Annotated[int, typer.Option(min=0, help="Of the sample or random input, and of the stalls.")] = 0,
    stalls: StallsOption = Stalls.none,
    waves: WavesOption = None,
    json_file: JsonOption = None,
) -> None:
    """Run NETWORK in the generated Verilog and compare every tensor's bytes with the golden model.

    The network is compiled into one program, which the accelerator runs from one start; then it runs again, a layer
    at a time, to look at every tensor. With `--layer` or `--by-layer` the core alone runs one layer after another,
    each fed with the true previous tensor. Exit status 0 if all are equal, 1 if not.
    """
    check_waves(waves)
    config = core_config(groups, lanes, settings, dataflow)
    loaded = load(network)
    values = read_input(loaded, input, seed)
    options = {"simulator": simulator.value, "seed": seed, "stalls": stalls.value, "waves": waves}
    if keep_weights and (layer is not None or by_layer):
        raise SkipstoneError("--keep-weights: layers that run one by one have no program to keep weights for")
    if layer is not None or by_layer:
        run = _run_layers(loaded, values, config, layer, options)
    else:
        run = _run_whole(loaded, values, config, keep_weights, options)
    if json_file is not None:
        write_text(json_file, json.dumps(run.as_json(), indent=2) + "\n")
    _show(run)
    if not run.equal:
        raise typer.Exit(1)


def _run_layers(
    network: Network, values: npt.NDArray, config: CoreConfig, layer: str | None, options: Mapping[str, Any]
) -> Run:
    jobs = make_jobs(network, values, config, layer=layer)
    return _watched(len(jobs), lambda **told: run_network(network, jobs, config, **options, **told))


def _run_whole(
    network: Network, values: npt.NDArray, config: CoreConfig, keep_weights: bool, options: Mapping[str, Any]
) -> Run:
    program = compile_for(network, config, keep_weights=keep_weights)
    return _watched(len(program.layers), lambda **told: run_program(program, values, **options, **told))


def _watched(layers: int, run: Callable[..., Run]) -> Run:
    """Run, and show how far it is; a fault of the hardware, as a mismatch is one, ends with exit status 1."""
    with new_progress() as progress:
        task = progress.add_task("compiling", total=layers)
        try:
            return run(
                on_stage=lambda stage: progress.update(task, description=stage),
                on_layer=lambda done: progress.update(task, completed=done),
            )
        except (SimulationError, AcceleratorError) as error:
            print(f"skipstone: {error}", file=sys.stderr)
            raise typer.Exit(1) from None


def _show(run: Run) -> None:
    headings = ("cycles", "predicted", "MACs", "multiplies", "skipped, %", "utilisation, %", "MAC/cycle/lane")
    title = f"{run.network.name} on {run.config.groups} x {run.config.lanes} multipliers"
    table = new_table(title, ("layer", "dataflow"), headings, ("equal",))
    multipliers = run.config.groups * run.config.lanes
    for row in run.rows():
        table.add_row(*_cells(row, multipliers))
    table.add_section()
    table.add_row(*_cells({"name": "total", "dataflow": "", **run.total()}, multipliers))
    print_table(table)
    if isinstance(run, NetworkRun):
        _print_counts("in the golden model", run.golden_operators)
    else:
        _print_counts("on the host", run.host_operators)
    for name, mismatch in run.mismatches.items():
        print_line(f"{name}: {mismatch}")


def _cells(row: Mapping[str, Any], multipliers: int) -> Sequence[str]:
    """A row of the table; shares of multiplications mean nothing for an operator without."""
    macs, cycles = row["macs"], row["cycles"]
    return (
        row["name"],
        row["dataflow"],
        count(cycles),
        count(row["predicted_cycles"]),
        count(macs or None),
        count(row["multiplies"] if macs else None),
        percent(1 - row["multiplies"] / macs if macs else None),
        percent(row["utilisation"] if macs else None),
        decimals(macs / (cycles * multipliers) if macs else None, 2),
        "yes" if row["equal"] else "NO",
    )


def _print_counts(where: str, operators: Mapping[str, int]) -> None:
    if operators:
        print_line(f"{where}: {', '.join(f'{times} {op}' for op, times in operators.items())}")
