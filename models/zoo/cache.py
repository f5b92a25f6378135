"""The folder that fetched files live in: each is checked by checksum, and written whole or not at all."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from models.errors import SkipstoneError
from models.files import write_atomically

_TIMEOUT_SECONDS = 900


class ZooError(SkipstoneError):
    """A network or data set that is unknown, cannot be fetched or is not what it should be."""


def folder() -> Path:
    """Where fetched files are kept: ``$SKIPSTONE_CACHE``, or ``~/.cache/skipstone``."""
    stated = os.environ.get("SKIPSTONE_CACHE")
    return Path(stated) if stated else Path.home() / ".cache" / "skipstone"


def cached(name: str, checksum: str) -> Path | None:
    """The file's path if it is there and its SHA-256 is ``checksum``."""
    path = folder() / name
    return path if path.is_file() and digest(path.read_bytes()) == checksum else None


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def store(files: Mapping[str, bytes], checksums: Mapping[str, str], source: str) -> None:
    """Check every file, then write every file.

    Raises:
        ZooError: a checksum differs (nothing is written), or the folder cannot be written.
    """
    for name, data in files.items():
        if digest(data) != checksums[name]:
            raise ZooError(f"{name} from {source} has SHA-256 {digest(data)}, not {checksums[name]}: it is not used")
    try:
        for name, data in files.items():
            write_atomically(folder() / name, data)
    except OSError as error:
        raise ZooError(f"cannot write to {folder()}: {error.strerror}; set SKIPSTONE_CACHE to another folder") from None


def download(command: Sequence[str], target: Path, what: str) -> None:
    """Run a package manager that leaves files in ``target``.

    Raises:
        ZooError: it fails; the message carries the last line that it said.
    """
    print(f"fetching {what} (once; kept in {folder()}) ...", file=sys.stderr, flush=True)
    try:
        result = subprocess.run(
            command,
            cwd=target,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ZooError(f"fetching {what} took more than {_TIMEOUT_SECONDS} s: try again") from None
    if result.returncode:
        lines = [line for line in (result.stderr or result.stdout).splitlines() if line.strip()]
        reason = lines[-1].strip() if lines else f"exit status {result.returncode}"
        raise ZooError(f"fetching {what} failed: {reason}")
