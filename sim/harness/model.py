"""Build a component for a simulator, once.

component --verilog.convert--> Verilog --hash--> build/sim/<name>-<hash>: compiled model, sources, log
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amaranth.back import verilog
from cocotb_tools.runner import VerilatorControlFile, get_runner

from sim.harness import toolchain
from sim.harness.cache import cached_folder, digest

TIMESCALE = ("1ns", "1ps")
LOG_LINES = 40
"""Lines of a log that a failure's message quotes."""

_VERILATOR_FLAGS = {
    # Amaranth's Verilog is linted where it is emitted; here Verilator's style warnings are noise.
    "common": ["-Wno-fatal", "--no-public-flat-rw", "-O3", "--x-assign", "fast", "--x-initial", "fast"],
    "build": [],
    "run": ["-CFLAGS", "-O3"],
}
_FST_FLAGS = ["--trace-fst", "-LDFLAGS", "-L."]
_ICARUS_FLAGS = ["-Wno-timescale"]
_NOISE = re.compile(r" INFO +(py)?gpi ")
"""What cocotb says about its own start."""
_KEPT = {".v", ".sv", ".vlt", ".vvp", ".log", ""}
"""What stays of a compilation: sources, the program (no suffix) and the log. Objects and C++ are 20 times as
large."""


class BuildError(RuntimeError):
    """The simulator could not compile the Verilog; the message quotes its log."""


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
    recipe: Sequence[str | bytes] | None = None,
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
    recipe
        What determines the component's Verilog (see `cache.described_by`), if the caller can tell: the same recipe is
        converted once. A large component takes longer to convert than to simulate.

    Raises
    ------
    SkipstoneError
        The simulator is not installed.
    BuildError
        The simulator could not compile the Verilog.
    ValueError
        The name is not a Verilog identifier.
    """
    toolchain.require(simulator)
    text = _convert(component, name) if recipe is None else _converted_once(component, name, recipe)
    if f"\nmodule {name}(" not in text:
        raise ValueError(f"module name '{name}' is a Verilog keyword or no identifier: give another")
    ports = None if internals else _ports(text, name)
    if simulator == "icarus":
        text = _started(text)
    return compile_verilog(
        {f"{name}.v": text, **{path.name: path.read_text() for path in verilog_sources}},
        name=name,
        simulator=simulator,
        waves=waves,
        expose=ports,
        optimise=optimise,
    )


def _convert(component: Any, name: str) -> str:
    return verilog.convert(component, name=name, emit_src=False, strip_internal_attrs=True)


def _converted_once(component: Any, name: str, recipe: Sequence[str | bytes]) -> str:
    filename = f"{name}.v"

    def make(folder: Path) -> None:
        (folder / filename).write_text(_convert(component, name))

    return (cached_folder(f"{name}-verilog-{digest(recipe)}", make) / filename).read_text()


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
    flags = _VERILATOR_FLAGS["common"] + _VERILATOR_FLAGS[optimise] if simulator == "verilator" else _ICARUS_FLAGS
    if waves and simulator == "verilator":
        flags = [*flags, *_FST_FLAGS]
    exposed = None if expose is None or simulator == "icarus" else tuple(sorted(expose))
    settings = [*flags, *toolchain.MAKE_VARIABLES, *TIMESCALE]
    described = [*toolchain.versions(simulator), name, str(waves), str(exposed), *settings]
    key = digest([*described, *(part for item in sources.items() for part in item)])

    def make(folder: Path) -> None:
        for filename, text in sources.items():
            (folder / filename).write_text(text)
        _compile(folder, [folder / filename for filename in sources], name, simulator, waves, exposed, flags)

    folder = cached_folder(f"{name}-{key}", make)
    return Build(name, simulator, folder, tuple(folder / filename for filename in sources), exposed, waves)


def _started(text: str) -> str:
    """Yosys's Verilog, made to run each `always @*` once at the start in Icarus too.

    Icarus 11 sets initial values, and what follows from them, before such a block begins to wait for changes; what
    depends only on signals that keep their first value would stay unknown. So:

    - Most blocks read a register that yosys puts into their module for this: its value comes later, by `initial #0`.
    - A lone assignment, of those bits of a signal that no other block drives, reads none: it is repeated as
      `initial #0`.

    `always_comb` is no way out: in Icarus 11 it waits for whole vectors, so that two blocks that read bits of each
    other's vector run for ever.
    """
    trigger = re.compile(r"^( *)reg (\\\$auto\$verilog_backend\S+ ) = 0;$", re.MULTILINE)
    lone = re.compile(r"^( *)always @\*\n *(\S.* = .*;)$", re.MULTILINE)
    text = trigger.sub(r"\1reg \2; initial #0 \2 = 0;", text)
    return lone.sub(r"\g<0>\n\1initial #0 \2", text)


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
            raise BuildError(f"{simulator} could not compile {name}:\n{log_tail(log)}") from error
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.suffix not in _KEPT:
            path.unlink()


def _stand_in_for_compression(folder: Path) -> None:
    """Let Verilator's FST writer be compiled there without the development packages of zlib and lz4."""
    for header in (Path(__file__).parent / "fst").glob("*.h"):
        shutil.copy(header, folder)
    for library in ("libz.a", "liblz4.a"):
        (folder / library).write_bytes(b"!<arch>\n")  # an empty archive: the headers hold all there is


def _control_file(name: str, expose: Sequence[str] | None) -> str:
    """Verilator's list of the signals that it must keep reachable; all others it may optimise away."""
    if expose is None:
        return '`verilator_config\npublic_flat_rw -module "*" -var "*"\n'
    return "`verilator_config\n" + "".join(f'public_flat_rw -module "{name}" -var "{port}"\n' for port in expose)


def log_tail(log: Path) -> str:
    """The last lines of a log, the errors of a long one first."""
    if not log.is_file():
        return f"({log} was not written)"
    lines = [line for line in log.read_text(errors="replace").splitlines() if not _NOISE.search(line)]
    errors = [line for line in lines[:-LOG_LINES] if "error" in line.lower()][:5]
    return "\n".join([*errors, *lines[-LOG_LINES:]])
