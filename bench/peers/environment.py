"""A virtual environment for a peer: its dependencies never meet the project's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from models.errors import SkipstoneError
from sim.harness.cache import cached_folder, digest


def python_with(name: str, requirements: Sequence[str]) -> Path:
    """The interpreter of an environment that has these packages, made once, in the build folder.

    Raises:
        SkipstoneError: a package cannot be installed.
    """

    def make(folder: Path) -> None:
        _run([sys.executable, "-m", "venv", str(folder)], name)
        pip = [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run([*pip, *requirements], name)

    return cached_folder(f"{name}-{digest([sys.version, *requirements])}", make) / "bin/python"


def _run(command: Sequence[str], name: str) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        said = (result.stderr or result.stdout).strip().splitlines() or ["no message"]
        raise SkipstoneError(f"the environment of {name} could not be made: {said[-1]}: check the network, try again")
