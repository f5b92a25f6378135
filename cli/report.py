"""`skipstone report`: one page of pictures from recorded results."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from bench import results
from models.errors import SkipstoneError
from models.files import write_text


def report(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[JSON]...",
            help="Files of `bench`, or of `simulate` or `synth --json`; without any, all that are recorded.",
        ),
    ] = None,
    output: Annotated[Path, typer.Option(dir_okay=False, help="The page to write.")] = Path("build/report.html"),
) -> None:
    """Write one HTML page that shows results as pictures and tables.

    It needs no network, no script and no other file, and follows the reader's light or dark setting.
    """
    missing = [name for name in ("altair", "vl_convert", "jinja2") if find_spec(name) is None]
    if missing:
        raise SkipstoneError(f"{', '.join(missing)} not installed: pip install 'skipstone[report]'")
    from bench.report import page, sources

    paths = files or sorted(results.FOLDER.glob("*.json"))
    if not paths:
        raise SkipstoneError(f"{results.FOLDER} holds no results: run skipstone bench, or name files")
    write_text(output, page.render(sources.read(paths)))
    typer.echo(f"wrote {output}")
