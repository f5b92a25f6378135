"""Run cocotb tests on a model, and say clearly how they failed.

model = build(component, name="unit")
results = run(model, "package.test_module", parameters={...}, seed=seed)
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from cocotb_tools.runner import get_runner

from models.errors import SkipstoneError
from sim.harness import toolchain
from sim.harness.cache import build_root
from sim.harness.exchange import REQUEST, Request
from sim.harness.model import Build, BuildError, build, compile_verilog, log_tail

__all__ = [
    "Build",
    "BuildError",
    "SimulationError",
    "build",
    "compile_verilog",
    "execute",
    "new_request",
    "run",
]

_RUN_KEPT_SECONDS = 24 * 3600
"""For how long the folder of a failed run stays, to be replayed."""


class SimulationError(AssertionError):
    """A test failed or did not run, or the simulator died; the message gives the command that repeats it."""


def run(
    build: Build,
    test_module: str,
    *,
    testcase: str | Sequence[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    seed: int,
    waves: Path | None = None,
    plusargs: Sequence[str] = (),
    on_progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Run cocotb tests on a model, in a simulator process of their own.

    Parameters
    ----------
    build
        From `build`.
    test_module
        Import name of the module that holds the `@cocotb.test()` functions.
    testcase
        The test, or tests, to run: exactly these. None for all of the module.
    parameters
        Plain data for the tests (see `exchange.parameters`).
    seed
        Of every random choice in the run. The same seed gives the same run.
    waves
        Record waves to this FST file. The build must have been made with `waves=True`.
    plusargs
        For the Verilog, each with its `+`.
    on_progress
        Called in the calling thread with each line that a test gives to `exchange.progress`, while it runs.

    Returns
    -------
    dict
        What the tests gave to `exchange.report`.

    Raises
    ------
    SimulationError
        A test failed, a test asked for did not run, none ran, or the simulator died.
    """
    request = new_request(build, test_module, testcase, parameters, seed, plusargs)
    results = execute(build, request, waves=waves, on_progress=on_progress)
    shutil.rmtree(request.folder, ignore_errors=True)
    return results


def new_request(
    build: Build,
    test_module: str,
    testcase: str | Sequence[str] | None,
    parameters: Mapping[str, Any] | None,
    seed: int,
    plusargs: Sequence[str],
) -> Request:
    """A request, saved in a new folder of its own, which is also the simulator's working directory."""
    runs = build_root() / "sim" / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    for old in runs.iterdir():
        with contextlib.suppress(FileNotFoundError):  # another process may have removed it
            if time.time() - old.stat().st_mtime > _RUN_KEPT_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
    request = Request(
        folder=tempfile.mkdtemp(prefix=f"{build.name}-", dir=runs),
        name=build.name,
        simulator=build.simulator,
        sources=[str(path) for path in build.sources],
        expose=None if build.expose is None else list(build.expose),
        test_module=test_module,
        testcases=[testcase] if isinstance(testcase, str) else None if testcase is None else list(testcase),
        parameters=dict(parameters or {}),
        seed=seed,
        plusargs=list(plusargs),
    )
    request.save()
    return request


def execute(
    build: Build,
    request: Request,
    *,
    waves: Path | None = None,
    on_progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Run a saved request on a model; otherwise as `run`."""
    if waves is not None and not build.waves:
        raise ValueError(f"{build.name} cannot record waves: build it with waves=True")
    for stale in (request.results, request.progress):
        stale.unlink(missing_ok=True)
    if on_progress is None:
        died = _simulate(build, request, waves)
    else:
        with ThreadPoolExecutor(1) as pool:
            future = pool.submit(_simulate, build, request, waves)
            lines = _Tail(request.progress)
            while not future.done():
                lines.pass_on(on_progress)
                time.sleep(0.05)
            lines.pass_on(on_progress)
            died = future.result()
    problems = _problems(request, died)
    if problems:
        raise SimulationError(_failure(request, problems))
    return json.loads(request.results.read_text()) if request.results.is_file() else {}


class _Tail:
    """The lines that another process appends to a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0

    def pass_on(self, consume: Callable[[str], None]) -> None:
        """Give each whole line that is new to `consume`."""
        if not self._path.is_file():
            return
        with self._path.open() as stream:
            stream.seek(self._position)
            text = stream.read()
        whole = text[: text.rfind("\n") + 1]
        self._position += len(whole.encode())
        for line in whole.splitlines():
            consume(line)


def _simulate(build: Build, request: Request, waves: Path | None) -> bool:
    """Run the simulator. Returns whether it ended otherwise than it should."""
    arguments, plusargs = [], list(request.plusargs)
    if waves is not None:
        target = waves.resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        if build.simulator == "verilator":
            arguments = ["--trace-file", str(target)]
        else:
            plusargs.append(f"+dumpfile_path={target}")
    variables = {REQUEST: str(request.path), "COCOTB_ANSI_OUTPUT": "0", "COCOTB_REDUCED_LOG_FMT": "1"}
    with toolchain.environment():
        try:
            get_runner(build.simulator).test(
                test_module=request.test_module,
                hdl_toplevel=build.name,
                hdl_toplevel_lang="verilog",
                build_dir=build.folder,
                test_dir=request.folder,
                test_filter=_filter(request.testcases),
                results_xml=str(_results_xml(request)),
                seed=request.seed,
                plusargs=plusargs,
                test_args=arguments,
                extra_env=variables,
                waves=waves is not None,
                log_file=request.log,
            )
        except ValueError as error:
            raise SkipstoneError(f"cocotb cannot start: {error}") from error
        except (RuntimeError, SystemExit):
            return True
    return False


def _filter(testcases: Iterable[str] | None) -> str | None:
    """A pattern for exactly those tests, each with all values of its own parameters."""
    if testcases is None:
        return None
    return r"\.(" + "|".join(re.escape(name) for name in testcases) + r")(/.*)?$"


def _results_xml(request: Request) -> Path:
    return Path(request.folder) / "results.xml"


def _problems(request: Request, died: bool) -> list[str]:
    """Everything that keeps the run from being a success: one line each."""
    path = _results_xml(request)
    if not path.is_file():
        return ["the simulator ended without a result"]
    cases = list(ElementTree.parse(path).getroot().iter("testcase"))
    ran = {str(case.get("name")).partition("/")[0] for case in cases if case.find("skipped") is None}
    problems = [
        f"{case.get('name')}: {outcome.get('error_msg') or outcome.get('message') or 'failed'}"
        for case in cases
        for outcome in [*case.findall("failure"), *case.findall("error")]
    ]
    for name in request.testcases or ():
        if name not in ran:
            problems.append(f"{request.test_module} has no test '{name}' that runs")
    if not ran:
        problems.append(f"no test of {request.test_module} ran")
    if died and not problems:
        problems.append("the simulator reported an error (see the log)")
    return problems


def _failure(request: Request, problems: Sequence[str]) -> str:
    heading = f"simulation of {request.name} in {request.simulator} failed (seed {request.seed})"
    return "\n".join(
        [
            f"{heading}: {problems[0]}",
            *problems[1:],
            f"--- end of {request.log}",
            log_tail(request.log),
            "--- reproduce with",
            f"python -m sim.harness.replay {request.folder}",
        ]
    )
