"""The link bench, compiled to a program that takes and gives bytes: no Python in the cycle."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from amaranth.back import verilog

from sim.harness import toolchain
from sim.harness.cache import cached_folder, digest
from sim.tests.link_target import LinkBench

NAME = "link_bench"
_DRIVER = Path(__file__).with_name("link_driver.cpp")
_FLAGS = [
    "--cc",
    "--exe",
    "--build",
    "-O3",
    "-Wno-fatal",
    "-Wno-lint",
    "--x-assign",
    "fast",
    "-CFLAGS",
    "-O3",
    "--top-module",
    NAME,
]
_COUNT = struct.Struct("=I")


def build_link_bench() -> Path:
    """The program; it is compiled once."""
    text = verilog.convert(LinkBench(), name=NAME, emit_src=False, strip_internal_attrs=True)
    key = digest([*toolchain.versions("verilator"), text, _DRIVER.read_bytes(), *_FLAGS, *toolchain.MAKE_VARIABLES])

    def make(folder: Path) -> None:
        source = folder / f"{NAME}.v"
        source.write_text(text)
        command = ["verilator", *_FLAGS, "--Mdir", str(folder / "objects"), "-o", str(folder / NAME)]
        with toolchain.environment():
            run = subprocess.run([*command, str(source), str(_DRIVER)], capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
        shutil.rmtree(folder / "objects")

    return cached_folder(f"{NAME}-{key}", make) / NAME


class LinkModel:
    """A running link bench; a context manager."""

    def __init__(self, seed: int) -> None:
        self._program = build_link_bench()
        self._seed = seed

    def __enter__(self) -> Self:
        command = [str(self._program), str(self._seed)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()

    def exchange(self, sent: bytes) -> bytes:
        """Give it bytes, and take what comes out until nothing does any more."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(_COUNT.pack(len(sent)) + sent)
        self._process.stdin.flush()
        (count,) = _COUNT.unpack(self._process.stdout.read(_COUNT.size))
        return self._process.stdout.read(count)
