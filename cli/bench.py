"""`skipstone bench`: measure, record, and hold against what was recorded before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from bench import results, runner, suite
from bench.benchmark import Benchmark, Row
from cli.tables import new_progress, new_table, print_line, print_table


def bench(
    names: Annotated[list[str] | None, typer.Argument(help="Benchmarks; all of them, if none is given.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Whole layers and more cases: an hour or more.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Measure what an earlier run has finished, too.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Record nothing; exit with 1 if a cycle differs from what is recorded.")
    ] = False,
    output: Annotated[Path, typer.Option(file_okay=False, help="The folder of the results.")] = results.FOLDER,
    show: Annotated[bool, typer.Option("--list", help="Name the benchmarks, and run none.")] = False,
) -> None:
    """Run benchmarks and record their rows as JSON, one file a benchmark.

    A row that is finished is kept: after an interruption the same command goes on where it was. A change of the code
    that is measured makes it start anew. What differs from the results recorded before is named. Exit status 1 if an
    output differs from the golden model's, or with `--check` if anything differs from what is recorded.
    """
    chosen = [suite.benchmark(name) for name in names] if names else list(suite.BENCHMARKS.values())
    if show:
        for each in chosen:
            print_line(f"{each.name}: {each.title}")
        return
    passed = True
    for each in chosen:
        path = results.path_of(each.name, full=full, folder=output)
        recorded = results.read(path) if path.is_file() else None
        rows = _run(each, full, again)
        _show(each, rows)
        changed = results.differences(recorded, rows) if recorded else []
        for line in changed:
            print_line(f"changed: {line}")
        if not check:
            print_line(f"recorded in {results.write(each, rows, full=full, folder=output)}")
        elif recorded is None:
            print_line(f"{path} is not there: nothing to check against")
        equal = all(row.get("equal", True) for row in rows)
        passed &= equal and not (check and (changed or recorded is None))
    if not passed:
        raise typer.Exit(1)


def _run(chosen: Benchmark, full: bool, again: bool) -> list[Row]:
    with new_progress() as progress:
        task = progress.add_task(chosen.name, total=None)

        def show(done: int, of: int, name: str) -> None:
            progress.update(task, description=f"{chosen.name}: {name}", completed=done, total=of)

        return runner.run(chosen, full=full, again=again, on_case=show)


def _show(chosen: Benchmark, rows: Sequence[Row]) -> None:
    columns = chosen.columns
    words = [column.heading for column in columns if not column.form]
    numbers = [column.heading for column in columns if column.form]
    ordered = [c for c in columns if not c.form], [c for c in columns if c.form]
    table = new_table(chosen.title, words, numbers)

    def add(row: Mapping[str, Any]) -> None:
        table.add_row(*(column.text(row) for part in ordered for column in part))

    for row in rows:
        add(row)
    if chosen.summarise:
        table.add_section()
        add({"name": "total", **chosen.summarise(rows)})
    print_table(table)
