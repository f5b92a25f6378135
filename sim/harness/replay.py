"""Run a failed simulation again: `python -m sim.harness.replay FOLDER [--waves F.fst] [--simulator NAME]`.

The folder is the one that the failure's message names. It holds all that the run depended on, seed and
Verilog included.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from models.errors import SkipstoneError
from sim.harness.exchange import Request
from sim.harness.runner import SimulationError, compile_verilog, execute


def replay(folder: Path, *, waves: Path | None = None, simulator: str | None = None) -> dict[str, object]:
    """Run the request that the folder holds; as `runner.run`, with waves or in another simulator if asked.

    Raises
    ------
    SkipstoneError
        The folder holds no request, or the model's sources are gone.
    SimulationError
        It failed again.
    """
    path = folder / "request.json"
    if not path.is_file():
        raise SkipstoneError(f"{folder}: no request.json in it; give the folder that the failure's message names")
    request = replace(Request.load(path), folder=str(folder.resolve()))
    request = replace(request, simulator=simulator or request.simulator)
    try:
        sources = {Path(source).name: Path(source).read_text() for source in request.sources}
    except OSError as error:
        raise SkipstoneError(f"{error.filename}: the model's Verilog is gone; run the test itself again") from error
    model = compile_verilog(
        sources,
        name=request.name,
        simulator=request.simulator,
        waves=waves is not None,
        expose=request.expose,
    )
    return execute(model, request, waves=waves, on_progress=print)


def main() -> int:
    """The command. Returns 0 when the run passes now, 1 when it fails, 2 when it cannot be run."""
    parser = argparse.ArgumentParser(description="Run a failed simulation again.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--waves", type=Path, help="record waves to this FST file")
    parser.add_argument("--simulator", help="verilator or icarus (default: the one that failed)")
    options = parser.parse_args()
    try:
        print(replay(options.folder, waves=options.waves, simulator=options.simulator))
    except SimulationError as failure:
        print(failure, file=sys.stderr)
        return 1
    except SkipstoneError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
