"""The `skipstone` command: finds the subcommand asked for, and turns a user's error into one line.

A subcommand lives in the module of its name, as a function of its name (with _ for -). The module is imported when the
subcommand is run, not before, so that `skipstone --help` does not wait for Amaranth.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

COMMANDS = {
    "simulate": "Run a network in the generated Verilog and prove every layer equal to the golden model.",
    "compile": "Compile a network into a program file, and show the plan.",
    "run": "Run a compiled program on an accelerator, and show its answer.",
    "serve-sim": "Run a simulated board behind a pseudo-terminal.",
    "golden": "Run a network through the golden model and write every tensor.",
    "inspect": "Show a network: a row a layer, with shapes, multiplies and zeros.",
    "balance": "Show how evenly a network's zero weights load an array that skips them.",
    "accuracy": "Classify a whole test set with the golden model.",
    "verilog": "Write an accelerator as Verilog, for other flows.",
    "bitstream": "Build a board's bitstream, and show what it takes and how fast it is.",
    "program": "Load a board's bitstream into the board.",
    "bench": "Run the benchmarks and record what they measure.",
    "report": "Make a page of pictures from recorded results.",
    "synth": "Synthesise, place and route an accelerator, and check what it takes.",
}
"""Each subcommand and its line in `skipstone --help`."""

USER_ERROR = 2
"""Exit status of a usage, file or import error."""


class _LazyCommands(TyperGroup):
    """The subcommands of `COMMANDS`, each imported when it is run."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands.update((name, TyperCommand(name, help=summary)) for name, summary in COMMANDS.items())

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] in COMMANDS:
            self.commands[args[0]] = _load(args[0])
        return super().resolve_command(ctx, args)


def _load(name: str) -> Any:
    """The command made from the function of that name in module `cli.<name>`."""
    single = typer.Typer(add_completion=False)
    python_name = name.replace("-", "_")
    single.command(name)(getattr(import_module(f"cli.{python_name}"), python_name))
    return typer.main.get_command(single)


app = typer.Typer(
    cls=_LazyCommands,
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"skipstone {version('skipstone')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Generate sparse-CNN accelerators: a quantised network in, proven Verilog out."""


def _message(error: Exception) -> str | None:
    """The one line for an error that the user can cure; None for a fault of the program."""
    from hw.config import ConfigurationError
    from models.errors import SkipstoneError

    if isinstance(error, SkipstoneError | ConfigurationError):
        return " ".join(str(error).split())
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return None


def main() -> None:
    """Run the command line.

    Exit status: 0 if all is well, 1 if a check failed, 2 for a usage, file or import error (one line on
    standard error), 130 if interrupted.
    """
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        message = _message(error)
        if message is None:
            raise
        print(f"skipstone: {message}", file=sys.stderr)
        sys.exit(USER_ERROR)


if __name__ == "__main__":
    main()
