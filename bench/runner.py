"""Runs the cases of a benchmark; what was finished before is not measured again."""

from __future__ import annotations

import time
from collections.abc import Callable

from bench import results
from bench.benchmark import Benchmark, Case, Row


def run(
    benchmark: Benchmark,
    *,
    full: bool = False,
    again: bool = False,
    on_case: Callable[[int, int, str], None] = lambda done, of, name: None,
) -> list[Row]:
    """Measure every case, in order, or take the row that an interrupted run has kept.

    Args:
        full: the full run.
        again: measure rows that were kept, too.
        on_case: called with the number of cases that are done, of how many, and the name of the next.
    """
    cases = benchmark.cases(full)
    rows = []
    for done, case in enumerate(cases):
        on_case(done, len(cases), case.name)
        row = None if again else results.kept(benchmark, case)
        if row is None:
            row = measure(case)
            results.keep(benchmark, case, row)
        rows.append(row)
    return rows


def measure(case: Case) -> Row:
    """Measure a case: its row has the case's name first, its parameters, and the `seconds` that it took last."""
    start = time.monotonic()
    measured = case.measure()
    return {"name": case.name, **case.parameters, **measured, "seconds": round(time.monotonic() - start, 1)}
