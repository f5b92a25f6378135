"""`skipstone compile`: a network as one program for an accelerator, and the plan of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.accelerators import compile_for
from cli.options import Dataflow, DataflowOption, Groups, JsonOption, KeepWeights, Lanes, Settings, core_config
from cli.tables import count, new_table, print_line, print_table
from compiler.compiled import CompiledProgram, describe_program
from compiler.network_program import NetworkProgram
from compiler.plan import memory_rows, plan_rows, summary
from compiler.program_file import write_program
from models.files import write_text
from models.importers import load

_LONGEST_NAME = 60


def compile(
    network: Annotated[str, typer.Argument(help="A network of the zoo, or a .tflite or .onnx file.")],
    output: Annotated[Path, typer.Option(dir_okay=False, help="The program file to write.")],
    dataflow: DataflowOption = Dataflow.nullhop,
    groups: Groups = 8,
    lanes: Lanes = 16,
    settings: Settings = None,
    keep_weights: KeepWeights = False,
    clock: Annotated[float, typer.Option(min=0.001, max=10_000, help="Of the accelerator, in MHz.")] = 50.0,
    json_file: JsonOption = None,
) -> None:
    """Compile NETWORK for an accelerator, write the program, and show the plan.

    Predicted cycles are those of an input of which half the activations are zeros, without loading it.
    """
    program = compile_for(load(network), core_config(groups, lanes, settings, dataflow), keep_weights=keep_weights)
    compiled = describe_program(program)
    write_program(compiled, output)
    if json_file is not None:
        write_text(json_file, json.dumps(_as_json(program, compiled, clock), indent=2) + "\n")
    _show_layers(program, compiled)
    _show_memory(program)
    _show_sums(program, compiled, clock)
    print_line(f"{output}: {output.stat().st_size:,} bytes")


def _as_json(program: NetworkProgram, compiled: CompiledProgram, clock: float) -> dict[str, Any]:
    return {
        **summary(program, compiled),
        "clock_mhz": clock,
        "inferences_per_second": _rate(compiled, clock),
        "plan": plan_rows(program, compiled),
        "memory": memory_rows(program),
    }


def _rate(compiled: CompiledProgram, clock: float) -> float:
    """Inferences a second, without the transfer of inputs and outputs."""
    return clock * 1e6 / compiled.cycles


def _show_layers(program: NetworkProgram, compiled: CompiledProgram) -> None:
    core = program.config.core
    table = new_table(
        f"{compiled.network} for {core.groups} x {core.lanes} multipliers",
        ("entry", "operation", "dataflow", "input", "output", "groups"),
        ("passes", "weights, bytes", "MACs", "cycles", "memory, bytes"),
    )
    for row in plan_rows(program, compiled):
        table.add_row(
            row["name"],
            row["operation"].lower(),
            row["dataflow"],
            _by(row["input"]),
            _by(row["output"]),
            row["split"],
            count(row["passes"] or None),
            count(row["weights"] or None),
            count(row["macs"] or None),
            count(row["cycles"]),
            count(row["live_bytes"]),
        )
    print_table(table)


def _show_memory(program: NetworkProgram) -> None:
    headings = ("first word", "words", "bytes")
    table = new_table("activation memory", ("made by",), headings, ("lives from", "to", "tensor"))
    for row in memory_rows(program):
        first, last = row["lives"]
        sizes = map(count, (row["first_word"], row["words"], row["bytes"]))
        table.add_row(row["made_by"], *sizes, first, last, _short(row["tensor"]))
    print_table(table)


def _show_sums(program: NetworkProgram, compiled: CompiledProgram, clock: float) -> None:
    sums = summary(program, compiled)
    for what, used, limit in (
        ("activation memory at its peak", "activation_bytes", "activation_capacity"),
        ("program memory", "program_bytes", "program_capacity"),
    ):
        print_line(f"{what}: {sums[used]:,} of {sums[limit]:,} bytes")
    print_line(f"entries: {sums['entries']} of {sums['entry_capacity']}")
    steps = [step.op for step in (*compiled.before, *compiled.after)]
    if steps:
        print_line(f"on the host: {', '.join(steps)}")
    print_line(
        f"predicted: {compiled.cycles:,} cycles, {_rate(compiled, clock):,.1f} inferences/s at {clock:g} MHz, "
        f"fingerprint {program.config.fingerprint:#010x}"
    )


def _by(sizes: Sequence[int] | None) -> str:
    return "" if sizes is None else "x".join(map(str, sizes))


def _short(name: str) -> str:
    """A tensor's name, cut where it would fill the table."""
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 3]}..."
