"""`skipstone serve-sim`: a simulated board behind a pseudo-terminal."""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from cli.options import Stalls, StallsOption, WavesOption, check_waves
from compiler.program_file import read_program
from sim.accelerator_sim import SimulatedAccelerator
from sim.harness.runner import SimulationError
from sim.serve import PseudoTerminal, serve


def serve_sim(
    program: Annotated[Path, typer.Argument(help="A compiled program: the accelerator is built as it needs it.")],
    seed: Annotated[int, typer.Option(min=0, help="Of the stalls.")] = 0,
    stalls: StallsOption = Stalls.none,
    waves: WavesOption = None,
) -> None:
    """Run the accelerator that PROGRAM is compiled for in a simulator, behind a pseudo-terminal.

    Prints the terminal's path: `skipstone run --port` talks to it as to a board. Serves one client after another, until
    interrupted. Exit status 1 if the hardware breaks a rule of a stream.
    """
    check_waves(waves)
    config = read_program(program).config
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with ExitStack() as stack:
            with Console(stderr=True).status("starting ...") as status:
                simulated = SimulatedAccelerator(
                    config,
                    seed=seed,
                    stalls=stalls.value,
                    waves=waves,
                    on_stage=lambda stage: status.update(f"{stage} ..."),
                )
                stack.enter_context(simulated)
            terminal = stack.enter_context(PseudoTerminal())
            print(terminal.path, flush=True)
            serve(simulated.simulation, terminal)
    except KeyboardInterrupt:
        return
    except SimulationError as error:  # a fault of the hardware
        print(f"skipstone: {error}", file=sys.stderr)
        raise typer.Exit(1) from None


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
