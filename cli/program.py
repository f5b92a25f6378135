"""`skipstone program`: load a bitstream into a board, through openFPGALoader."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Annotated

import typer

from boards.platform.board import load_board
from cli.bitstream import BoardOption
from models.errors import SkipstoneError

LOADER = "openFPGALoader"


def program(
    board: BoardOption,
    output: Annotated[Path, typer.Option(file_okay=False, help="Where `skipstone bitstream` put it.")] = Path(
        "build/boards"
    ),
    flash: Annotated[bool, typer.Option("--flash", help="Into the flash memory, so that it stays.")] = False,
) -> None:
    """Load a board's bitstream into the board.

    It takes openFPGALoader, which is not part of Skipstone; building a bitstream does not need it.
    """
    chosen = load_board(board)
    bitstream = output / chosen.name / f"{chosen.name}{Path(chosen.family.bitstream).suffix}"
    if not bitstream.is_file():
        raise SkipstoneError(f"{bitstream}: there is none: build it with `make bitstream BOARD={chosen.name}`")
    loader = shutil.which(LOADER)
    if loader is None:
        raise SkipstoneError(
            f"{LOADER} is not installed: install it (Debian or Ubuntu: apt-get install openfpgaloader), or load "
            f"{bitstream} with a loader of your own"
        )
    arguments = [*chosen.loader, *(["--write-flash"] if flash else []), str(bitstream)]
    status = subprocess.run([loader, *arguments], check=False).returncode
    if status:
        raise SkipstoneError(f"{LOADER} could not load {bitstream} (exit status {status}): is the board connected?")
