"""What passes between the process that asked for a simulation and the test inside the simulator.

The request is a JSON file that $SKIPSTONE_REQUEST names. A test reads it with `parameters` and `seed`, and
answers with `report` and `progress`; the asker gets the answers from `runner.run`.
"""

from __future__ import annotations

import functools
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

REQUEST = "SKIPSTONE_REQUEST"


@dataclass(frozen=True)
class Request:
    """One simulation to run. Everything that it depends on, so that the same file runs it again.

    Parameters
    ----------
    folder
        Where the test's answers go, and the simulator's log.
    name, simulator, sources
        The model: its top module, the simulator, and the files to compile, the top's own first.
    expose
        The signals that the test can reach (see `runner.compile_verilog`).
    test_module, testcases
        The cocotb tests: all of the module when `testcases` is None.
    parameters
        For the test.
    seed
        Of every random choice.
    plusargs
        For the Verilog.
    """

    folder: str
    name: str
    simulator: str
    sources: list[str]
    expose: list[str] | None
    test_module: str
    testcases: list[str] | None
    parameters: dict[str, Any]
    seed: int
    plusargs: list[str]

    @property
    def path(self) -> Path:
        """The request's own file."""
        return Path(self.folder) / "request.json"

    @property
    def results(self) -> Path:
        """What `report` gave, as JSON."""
        return Path(self.folder) / "results.json"

    @property
    def progress(self) -> Path:
        """A line for each `progress`."""
        return Path(self.folder) / "progress.txt"

    @property
    def log(self) -> Path:
        """All that the simulator printed."""
        return Path(self.folder) / "simulation.log"

    def save(self) -> None:
        """Write the request's file."""
        self.path.write_text(json.dumps(asdict(self), indent=1, default=plain))

    @classmethod
    def load(cls, path: Path) -> Request:
        """Read a request's file."""
        return cls(**json.loads(path.read_text()))


def plain(value: Any) -> Any:
    """For `json.dumps(default=)`: numpy scalars and arrays, paths and bytes."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, bytes):
        return list(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} cannot be passed to a simulation: give plain data")


@functools.cache
def request() -> Request:
    """The request that this simulator process was started for."""
    return Request.load(Path(os.environ[REQUEST]))


def parameters() -> dict[str, Any]:
    """In a test: the parameters given to `run`, as JSON gives them back: tuples as lists, keys as strings."""
    return request().parameters


def seed() -> int:
    """In a test: the seed given to `run`. cocotb has seeded `random` with it already."""
    return request().seed


_reported: dict[str, Any] = {}


def report(**results: Any) -> None:
    """In a test: results for the caller of `run`. Of several calls, later values replace earlier ones."""
    _reported.update(results)
    request().results.write_text(json.dumps(_reported, default=plain))


def progress(line: str) -> None:
    """In a test: one line for the `on_progress` of `run`, at once."""
    with request().progress.open("a") as stream:
        stream.write(line.rstrip("\n") + "\n")
