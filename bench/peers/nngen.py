"""NNgen from outside: its hardware made in its own environment, simulated by Verilator, its output compared."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.peers.environment import python_with
from models.errors import SkipstoneError
from sim.harness import toolchain
from sim.harness.cache import cached_folder, digest

VERSION = "1.3.4"
REQUIREMENTS = (f"nngen=={VERSION}", "veriloggen==2.3.0", "numpy==2.4.6", "setuptools<81")
HARDWARE, TOP = "hardware.v", "accelerator"
"""The file that has the accelerator alone, and its module (see `bench.peers.nngen_bench`)."""

_HERE = Path(__file__).parent
_SCRIPTS = ("nngen_bench.py", "nngen_networks.py")
_BENCH, _MEMORY, _AFTER = "bench.v", "before.hex", "after.hex"
_SAYS, _SAID = "says.json", "said.txt"
_DONE = re.compile(r"cycles=\s*(\d+)")
_SECONDS = 3600


def generate(settings: Mapping[str, Any]) -> Path:
    """The folder of the hardware, its bench and what the output must be, made once.

    Args:
        settings: see `bench.peers.nngen_bench`.

    Raises:
        SkipstoneError: NNgen's environment cannot be made, or NNgen fails.
    """
    wanted = json.dumps(dict(settings), sort_keys=True)
    scripts = [(_HERE / name).read_bytes() for name in _SCRIPTS]

    def make(folder: Path) -> None:
        python = str(python_with("nngen", REQUIREMENTS))
        environment = {**os.environ, "PYTHONPATH": str(_HERE.parents[1])}
        said = _run([python, "-m", "bench.peers.nngen_bench", wanted], folder, environment)
        (folder / _SAYS).write_text(said.splitlines()[-1] + "\n")

    return cached_folder(f"nngen-hardware-{digest([wanted, *REQUIREMENTS, *scripts])}", make)


def simulate(folder: Path) -> tuple[int, bool]:
    """Cycles from the start command to the end, and whether every byte of the output is that of NNgen's own model.

    Args:
        folder: of `generate`.

    Raises:
        SkipstoneError: Verilator is missing, or the simulation fails or ends without a result.
    """
    toolchain.require("verilator")

    def make(place: Path) -> None:
        options = ["--binary", "-Wno-fatal", "-Wno-lint", "-Wno-style", "-CFLAGS", "-std=gnu++20", "-j", "1"]
        for name in (_BENCH, _MEMORY):
            shutil.copy(folder / name, place)
        with tempfile.TemporaryDirectory(dir=place) as objects:
            with toolchain.environment():
                _run(["verilator", *options, "--top-module", "test", "--Mdir", objects, _BENCH], place)
            (place / _SAID).write_text(_run([str(Path(objects) / "Vtest")], place))

    place = cached_folder(f"{folder.name}-simulated", make)
    found = _DONE.search((place / _SAID).read_text())
    if found is None:
        raise SkipstoneError(f"NNgen's simulation ended without a result: see {place / _SAID}")
    says = json.loads((folder / _SAYS).read_text())
    left = _memory(place / _AFTER)[says["address"] :]
    return int(found[1]), all(byte in (None, got) for byte, got in zip(says["wanted"], left, strict=False))


def _memory(path: Path) -> list[int]:
    """The bytes that the simulation has left in its memory."""
    return [int(word, 16) for line in path.read_text().splitlines() for word in line.partition("//")[0].split()]


def _run(command: list[str], folder: Path, environment: Mapping[str, str] | None = None) -> str:
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    if result.returncode:
        said = result.stderr.strip().splitlines() or ["no message"]
        raise SkipstoneError(f"NNgen could not be measured: {Path(command[0]).name}: {said[-1]}")
    return result.stdout
