"""`skipstone synth`: synthesise, place and route a core, and show what it takes of the part."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from boards.synthesis.flow import build
from boards.synthesis.netlist import Demand
from boards.synthesis.report import Report
from boards.synthesis.targets import TARGETS, Target
from boards.synthesis.tools import CircuitError
from hw.config import CoreConfig
from hw.core import Core
from models.files import write_text


class TargetName(StrEnum):
    """The choices of ``--target``: a name of `TARGETS`, or all of them."""

    ecp5 = "ecp5"
    ice40 = "ice40"
    all = "all"


def synth(
    target: Annotated[TargetName, typer.Option(help="The part to build for.")] = TargetName.all,
    groups: Annotated[int | None, typer.Option(help="Groups of the MAC array.")] = None,
    lanes: Annotated[int | None, typer.Option(help="Lanes of a group.")] = None,
    freq: Annotated[float | None, typer.Option(min=0.001, max=1000, help="The clock to reach, in MHz.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the results to this file.")] = None,
    folder: Annotated[Path, typer.Option(help="Where netlists, reports and logs go.")] = Path("build/synth"),
) -> None:
    """Synthesise, place and route a core, and check what it takes.

    Every lane's multiplier must become a DSP and every memory block RAM, the circuit must fit, and it must
    reach its clock: else the exit status is 1. Each target has a configuration that suits it; `--groups` and
    `--lanes` change it.
    """
    console = Console()
    chosen = list(TARGETS.values()) if target is TargetName.all else [TARGETS[target]]
    jobs = [(part, part.configure(groups, lanes)) for part in chosen]
    results: list[dict[str, Any]] = []
    passed = True
    for part, config in jobs:
        try:
            report = _build(part, config, folder, freq, console)
        except CircuitError as error:
            print(f"skipstone: {error}", file=sys.stderr)
            results.append({"target": part.name, "config": config.as_dict(), "error": str(error)})
            passed = False
            continue
        _show(report, config, console)
        results.append({"target": part.name, "config": config.as_dict(), **report.as_dict()})
        passed &= report.fast_enough
    if json_file is not None:
        write_text(json_file, json.dumps({"targets": results, "passed": passed}, indent=2) + "\n")
    if not passed:
        raise typer.Exit(1)


def _build(part: Target, config: CoreConfig, folder: Path, freq: float | None, console: Console) -> Report:
    @contextmanager
    def stages(name: str) -> Iterator[None]:
        start = time.monotonic()
        with console.status(f"{name} ..."):
            yield
        console.print(f"{name}: {time.monotonic() - start:.0f} s", highlight=False)

    place = folder / f"{part.name}-{config.groups}x{config.lanes}"
    return build(Core(config), part, place, Demand.of(config), freq, stages)


def _show(report: Report, config: CoreConfig, console: Console) -> None:
    table = Table(title=f"{report.target.part}, {config.groups} x {config.lanes} lanes", title_justify="left")
    table.add_column("resource")
    for heading in ("used", "of", "%"):
        table.add_column(heading, justify="right")
    for usage in report.usage:
        share = f"{100 * usage.used / usage.available:.0f}" if usage.available else "-"
        table.add_row(usage.name, str(usage.used), str(usage.available), share)
    table.add_section()
    clock = f"{report.achieved:.1f} MHz"
    verdict = "reached" if report.fast_enough else "[red]not reached[/]"
    table.add_row("clock", clock, f"{report.frequency:g} MHz", verdict)
    console.print(table)
    console.print(
        f"Of the flip-flops, {report.harness_flip_flops} are the harness's, which stands for the pins.",
        highlight=False,
    )
    if report.slowest is not None:
        console.print(f"The clock is limited by the path {report.slowest}.", highlight=False, soft_wrap=True)
