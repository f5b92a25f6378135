"""`skipstone run`: run a compiled program on an accelerator, and show its answer, the time and the counters."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer
from rich.progress import DownloadColumn

from cli.labels import read_labels
from cli.options import JsonOption
from cli.tables import count, new_progress, new_table, percent, print_line, print_table
from compiler.compiled import CompiledProgram
from compiler.program_file import read_program
from compiler.values import as_real, gives_probabilities, input_form
from host.driver import RUN_SECONDS, Accelerator, EntryCounters
from host.transport import DEFAULT_BAUD_RATE, open_transport
from models import golden
from models.errors import SkipstoneError
from models.files import write_text
from models.importers import load
from models.inputs import read_input
from sim.core_run import Mismatch, first_difference

_TOP = 5


@dataclass(frozen=True, eq=False)
class _Answer:
    """What a run gave; `mismatches`: how its outputs differ from the golden model's, or None if not compared."""

    program: CompiledProgram
    port: str
    outputs: Mapping[str, npt.NDArray]
    classes: Sequence[tuple[str, float]]
    seconds: float
    cycles: int
    counters: Sequence[EntryCounters]
    mismatches: Mapping[str, Mismatch | None] | None

    @property
    def layer_cycles(self) -> int:
        """Cycles between loading and storing: the host has no part in them."""
        layers = self.counters[len(self.program.inputs) : self.program.run_stores[0]]
        return sum(item.cycles for item in layers)

    @property
    def equal(self) -> bool | None:
        """Whether the outputs are the golden model's; None if not compared."""
        return None if self.mismatches is None else not any(self.mismatches.values())


def run(
    program: Annotated[Path, typer.Argument(help="A program file, from `skipstone compile`.")],
    port: Annotated[str, typer.Option(help="The accelerator's serial port, or a simulated board's terminal.")],
    input: Annotated[
        Path | None, typer.Option(help="A .npy, .png or .jpg file; without it, a sample or random values.")
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="Names of the classes: cifar10, mnist, keyword_spotting, visual_wake_words, or a file."),
    ] = None,
    baud: Annotated[int, typer.Option(min=1, help="Bits a second of the serial port.")] = DEFAULT_BAUD_RATE,
    check: Annotated[
        str | None, typer.Option(metavar="NETWORK", help="Compare with the golden model of this network.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the sample or random input.")] = 0,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds until a run is taken for hung.")] = RUN_SECONDS,
    json_file: JsonOption = None,
) -> None:
    """Run PROGRAM on the accelerator behind a serial port.

    The program is loaded unless the accelerator holds it already. Exit status 1 if `--check` finds a difference.
    """
    compiled = read_program(program)
    if len(compiled.takes) != 1:
        raise SkipstoneError(f"{compiled.network} has {len(compiled.takes)} inputs; a single one is supported here")
    values = read_input(input_form(compiled, compiled.takes[0]), input, seed)
    names = read_labels(labels, _classes(compiled)) if labels is not None or gives_probabilities(compiled) else ()
    expected = None if check is None else _expected(compiled, check, values)
    with Accelerator.open(open_transport(port, baud_rate=baud), timeout=timeout) as accelerator:
        _load(accelerator, compiled)
        start = time.perf_counter()
        outputs = accelerator.run(values)
        seconds = time.perf_counter() - start
        cycles, counters = accelerator.cycles, accelerator.counters()
    classes = _ranked(compiled, outputs, names)
    mismatches = None if expected is None else {name: _difference(outputs[name], expected[name]) for name in outputs}
    answer = _Answer(compiled, port, outputs, classes, seconds, cycles, counters, mismatches)
    if json_file is not None:
        write_text(json_file, json.dumps(_as_json(answer), indent=2) + "\n")
    _show(answer)
    if answer.equal is False:
        raise typer.Exit(1)


def _classes(program: CompiledProgram) -> int:
    """How many values the program's first output has."""
    output = program.gives[0]
    shapes = {step.output: step.shape for step in program.after}
    shape = shapes[output] if output in shapes else program.tensor(output).shape
    return int(np.prod(shape))


def _expected(program: CompiledProgram, name: str, values: npt.NDArray) -> Mapping[str, npt.NDArray]:
    """What the golden model gives."""
    network = load(name)
    if (network.inputs, network.outputs) != (program.takes, program.gives):
        raise SkipstoneError(f"--check {name}: it has other inputs or outputs than the program of {program.network}")
    return golden.run(network, values)


def _difference(got: npt.NDArray, expected: npt.NDArray) -> Mismatch | None:
    if got.shape != expected.shape or got.dtype != expected.dtype:
        kinds = " and ".join(f"{array.dtype}{list(array.shape)}" for array in (got, expected))
        return Mismatch((), 0, 0, f"{kinds} cannot be compared: --check names another network")
    return first_difference(got[0], expected[0])


def _load(accelerator: Accelerator, program: CompiledProgram) -> None:
    with new_progress(DownloadColumn()) as progress:
        task = progress.add_task("loading the program", total=len(program.image.data))
        accelerator.load(program, lambda done, total: progress.update(task, completed=done))


def _ranked(
    program: CompiledProgram, outputs: Mapping[str, npt.NDArray], names: Sequence[str]
) -> list[tuple[str, float]]:
    """Each class and its value, the largest first; none if the classes have no names."""
    name = program.gives[0]
    values = as_real(program, name, outputs[name]).reshape(-1)
    return [(names[index], float(values[index])) for index in np.argsort(-values, kind="stable")] if names else []


def _as_json(answer: _Answer) -> dict[str, Any]:
    return {
        "network": answer.program.network,
        "port": answer.port,
        "seconds": answer.seconds,
        "cycles": answer.cycles,
        "layer_cycles": answer.layer_cycles,
        "equal": answer.equal,
        "classes": [{"label": label, "value": value} for label, value in answer.classes],
        "outputs": {name: values.tolist() for name, values in answer.outputs.items()},
        "layers": [
            {
                "name": item.entry.name,
                "operation": item.entry.operation.lower(),
                "cycles": item.cycles,
                "predicted_cycles": item.entry.cycles,
                "operations": item.operations,
                "busy": item.busy,
                "stalled_on_weights": item.weights,
                "stalled_on_activations": item.activations,
                "stalled_on_post_processing": item.post,
            }
            for item in answer.counters
        ],
    }


def _show(answer: _Answer) -> None:
    _show_counters(answer)
    print_line(
        f"{answer.layer_cycles:,} cycles in the layers, {answer.cycles:,} cycles from start to done, "
        f"{1000 * answer.seconds:,.1f} ms in all"
    )
    for name, mismatch in (answer.mismatches or {}).items():
        print_line(f"{name}: {mismatch or 'equal to the golden model'}")
    for name, values in answer.outputs.items():
        if not answer.classes:
            print_line(f"{name}: {values.dtype}{list(values.shape)}, {values.min():g} to {values.max():g}")
    form = ".1%" if gives_probabilities(answer.program) else "g"
    for label, value in answer.classes[:_TOP]:
        print_line(f"{label}: {value:{form}}")


def _show_counters(answer: _Answer) -> None:
    """Of a layer's cycles, how many the array worked, and what it waited for."""
    headings = ("cycles", "predicted", "operations", "busy, %", "weights, %", "activations, %", "post, %")
    table = new_table(f"{answer.program.network} on {answer.port}", ("entry", "operation"), headings)
    for item in answer.counters:
        shares = (item.busy, item.weights, item.activations, item.post)
        numbers = (item.cycles, item.entry.cycles, item.operations or None)
        table.add_row(item.entry.name, item.entry.operation.lower(), *map(count, numbers), *map(percent, shares))
    print_table(table)
