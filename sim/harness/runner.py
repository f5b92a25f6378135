"""Build a component for a simulator, once; run cocotb tests on it, and say clearly how they failed.

build(component) --verilog.convert--> Verilog --hash--> build/sim/<hash>: compiled model
run(build, "package.test_module", parameters=...) --simulator process--> results, or SimulationFailure
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from amaranth.back import verilog
from cocotb_tools.runner import VerilatorControlFile, get_runner

from models.errors import SkipstoneError
from sim.harness import toolchain
from sim.harness.cache import build_root, cached_folder, digest
from sim.harness.exchange import REQUEST, Request

TIMESCALE = ("1ns", "1ps")
LOG_LINES = 40
"""Lines of a log that a failure's message quotes."""

_VERILATOR_FLAGS = {
    # Amaranth's Verilog is linted where it is emitted; here Verilator's style warnings are noise.
    "common": ["-Wno-fatal", "--no-public-flat-rw", "-O3", "--x-assign", "fast", "--x-initial", "fast"],
    "build": ["-CFLAGS", "-O1"],
    "run": ["-CFLAGS", "-O3"],
}
_FST_FLAGS = ["--trace-fst", "-LDFLAGS", "-L."]
_ICARUS_FLAGS = ["-Wno-timescale"]
_NOISE = re.compile(r" INFO +(py)?gpi ")
"""What cocotb says about its own start."""
_RUN_KEPT_SECONDS = 24 * 3600
"""For how long the folder of a failed run stays, to be replayed."""
_KEPT = {".v", ".sv", ".vlt", ".vvp", ".log", ""}
"""What stays of a compilation: sources, the program (no suffix) and the log. Objects and C++ are 20 times as
large."""


class BuildFailure(RuntimeError):
    """The simulator could not compile the Verilog; the message quotes its log."""


class SimulationFailure(AssertionError):
    """A test failed, did not run, or the simulator died; the message says which, and the command that runs it
    again.
    """


@dataclass(frozen=True)
class Build:
    """A compiled model.

    Parameters
    ----------
    name
        Its top module.
    simulator
        `"verilator"` or `"icarus"`.
    folder
        Where it lies, with its sources and the compiler's log.
    sources
        The files that it was compiled from, the top module's first.
    expose
        The signals of the top that a test can reach; None for all of every module.
    waves
        Whether it can record waves.
    """

    name: str
    simulator: str
    folder: Path
    sources: tuple[Path, ...]
    expose: tuple[str, ...] | None
    waves: bool


def build(
    component: Any,
    *,
    name: str,
    simulator: str = "verilator",
    waves: bool = False,
    verilog_sources: Sequence[Path] = (),
    internals: bool = False,
    optimise: str = "build",
) -> Build:
    """Convert a component to Verilog and compile it, unless the same was compiled before.

    Parameters
    ----------
    component
        A `wiring.Component`; its members become the ports of module `name`, as `<member>` and
        `<member>__<part>`.
    name
        Name of the top module: a Verilog identifier.
    simulator
        `"verilator"` or `"icarus"`.
    waves
        Make it able to record waves. Slower, and another model than without.
    verilog_sources
        Files that define the modules that the component instantiates.
    internals
        Let the tests read and write every signal of every module, and not only the top's ports. Slower.
    optimise
        `"build"` compiles fast, right for unit tests; `"run"` runs fast, right for millions of cycles.

    Raises
    ------
    SkipstoneError
        The simulator is not installed.
    BuildFailure
        The simulator could not compile the Verilog.
    ValueError
        The name is not a Verilog identifier.
    """
    toolchain.require(simulator)
    text = verilog.convert(component, name=name, emit_src=False, strip_internal_attrs=True)
    if f"\nmodule {name}(" not in text:
        raise ValueError(f"module name '{name}' is a Verilog keyword or no identifier: give another")
    ports = None if internals else _ports(text, name)
    return compile_verilog(
        {f"{name}.v": text, **{path.name: path.read_text() for path in verilog_sources}},
        name=name,
        simulator=simulator,
        waves=waves,
        expose=ports,
        optimise=optimise,
    )


def compile_verilog(
    sources: Mapping[str, str],
    *,
    name: str,
    simulator: str = "verilator",
    waves: bool = False,
    expose: Sequence[str] | None = None,
    optimise: str = "build",
) -> Build:
    """Compile Verilog, unless the same was compiled before.

    Parameters
    ----------
    sources
        The text of each file, by its name.
    expose
        The signals of the top that tests can reach; None for every signal of every module, which is slower.
    name, simulator, waves, optimise
        As for `build`, which also gives what this raises.
    """
    toolchain.require(simulator)
    flags = (
        _VERILATOR_FLAGS["common"] + _VERILATOR_FLAGS[optimise] if simulator == "verilator" else _ICARUS_FLAGS
    )
    if waves and simulator == "verilator":
        flags = [*flags, *_FST_FLAGS]
    exposed = None if expose is None or simulator == "icarus" else tuple(sorted(expose))
    described = [*toolchain.versions(simulator), name, str(waves), str(exposed), *flags, *TIMESCALE]
    key = digest([*described, *(part for item in sources.items() for part in item)])

    def make(folder: Path) -> None:
        for filename, text in sources.items():
            (folder / filename).write_text(text)
        _compile(folder, [folder / filename for filename in sources], name, simulator, waves, exposed, flags)

    folder = cached_folder(f"{name}-{key}", make)
    return Build(name, simulator, folder, tuple(folder / filename for filename in sources), exposed, waves)


def _ports(text: str, name: str) -> list[str]:
    """The ports of module `name` in yosys's Verilog."""
    module = text.partition(f"\nmodule {name}(")[2].partition("\nendmodule")[0]
    return re.findall(r"^ *(?:input|output) (?:\[[^]]*\] )?(\w+);", module, re.MULTILINE)


def _compile(
    folder: Path,
    sources: Sequence[Path],
    name: str,
    simulator: str,
    waves: bool,
    expose: Sequence[str] | None,
    flags: Sequence[str],
) -> None:
    log = folder / "build.log"
    files: list[Any] = list(sources)
    if simulator == "verilator":
        control = folder / "expose.vlt"
        control.write_text(_control_file(name, expose))
        files.append(VerilatorControlFile(control))
        if waves:
            _stand_in_for_compression(folder)
    with toolchain.environment():
        try:
            get_runner(simulator).build(
                sources=files,
                hdl_toplevel=name,
                build_dir=folder,
                build_args=list(flags),
                timescale=TIMESCALE,
                waves=waves,
                log_file=log,
            )
        except (RuntimeError, SystemExit) as error:
            raise BuildFailure(f"{simulator} could not compile {name}:\n{_tail(log)}") from error
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.suffix not in _KEPT:
            path.unlink()


def _stand_in_for_compression(folder: Path) -> None:
    """Let Verilator's FST writer be compiled in that folder without the development packages of zlib and
    lz4.
    """
    for header in (Path(__file__).parent / "fst").glob("*.h"):
        shutil.copy(header, folder)
    for library in ("libz.a", "liblz4.a"):
        (folder / library).write_bytes(b"!<arch>\n")  # an empty archive: the headers hold all there is


def _control_file(name: str, expose: Sequence[str] | None) -> str:
    """Verilator's list of the signals that it must keep reachable; all others it may optimise away."""
    if expose is None:
        return '`verilator_config\npublic_flat_rw -module "*" -var "*"\n'
    return "`verilator_config\n" + "".join(
        f'public_flat_rw -module "{name}" -var "{port}"\n' for port in expose
    )


def _tail(log: Path) -> str:
    """The last lines of a log, the errors of a long one first."""
    if not log.is_file():
        return f"({log} was not written)"
    lines = [line for line in log.read_text(errors="replace").splitlines() if not _NOISE.search(line)]
    errors = [line for line in lines[:-LOG_LINES] if "error" in line.lower()][:5]
    return "\n".join([*errors, *lines[-LOG_LINES:]])


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
    SimulationFailure
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
    """Run a saved request on a model; as `run`, which makes the request, and `replay`, which finds one
    again.
    """
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
        raise SimulationFailure(_failure(request, problems))
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
            _tail(request.log),
            "--- reproduce with",
            f"python -m sim.harness.replay {request.folder}",
        ]
    )
