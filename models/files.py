"""Files that are there whole or not at all."""

import os
import tempfile
from pathlib import Path

from models.errors import SkipstoneError


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that no reader ever sees a part of it; makes its folder.

    Raises:
        OSError: the folder or file cannot be written; nothing is left behind.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file likewise, in UTF-8; raises SkipstoneError if it cannot be written."""
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise SkipstoneError(f"{path}: cannot be written: {error.strerror}") from None
