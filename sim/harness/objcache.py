"""A compiler launcher that compiles Verilator's own library once, and not once a model.

    python objcache.py COMPILER ARGUMENTS...

Verilator's makefile compiles its run-time library anew in the folder of each model: for a small model that is
four fifths of the time. Those objects depend on nothing but the command line, so they are kept in the folder
$SKIPSTONE_OBJCACHE. Every other object is handed to the compiler as it is.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys


def _library_object(command: list[str]) -> str | None:
    """The object that the command makes, if it is one of Verilator's library."""
    if "-o" not in command:
        return None
    target = command[command.index("-o") + 1]
    return target if os.path.basename(target).startswith("verilated") and target.endswith(".o") else None


def _key(command: list[str]) -> str:
    """Names the compiler and its arguments, and the library's sources, which an upgrade changes in place."""
    state = hashlib.sha256("\0".join(command).encode())
    compiler = shutil.which(command[0]) or command[0]
    for path in [os.path.realpath(compiler), *(word for word in command if word.endswith(".cpp"))]:
        status = os.stat(path)
        state.update(f"{path} {status.st_size} {status.st_mtime_ns}".encode())
    return state.hexdigest()[:20]


def main(command: list[str]) -> int:
    """Run the compiler, or copy what it made before. Returns the compiler's exit status."""
    target = _library_object(command)
    folder = os.environ.get("SKIPSTONE_OBJCACHE")
    if target is None or not folder:
        return subprocess.call(command)
    kept = os.path.join(folder, f"{_key(command)}.o")
    with contextlib.suppress(OSError):
        shutil.copyfile(kept, target)
        return 0
    status = subprocess.call(command)
    if status == 0:
        os.makedirs(folder, exist_ok=True)
        temporary = f"{kept}.{os.getpid()}"
        shutil.copyfile(target, temporary)
        os.replace(temporary, kept)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
