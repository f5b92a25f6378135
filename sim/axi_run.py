"""Runs a program on the accelerator with AXI interfaces, in a simulator, with masters that are not ours.

model = build_axi(program.config)
outputs = run_axi(model, program, images, seed=seed, stalls="random")
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from compiler.compiled import Arrays, CompiledProgram
from compiler.values import as_taken
from hw.axi_accelerator import AxiAccelerator
from hw.config import AcceleratorConfig
from hw.machine.program import ProgramImage
from sim.harness.cache import described_by
from sim.harness.model import Build, build
from sim.harness.runner import run
from sim.harness.stalls import Stalls


def build_axi(config: AcceleratorConfig, program: ProgramImage | None = None, *, simulator: str = "verilator") -> Build:
    """The accelerator with AXI interfaces, compiled; `program` is in its memory from power-on."""
    held = program.data.hex() if program else ""
    return build(
        AxiAccelerator(config, program),
        name="skipstone_axi",
        simulator=simulator,
        recipe=[repr(config), held, *described_by("hw", "sim/harness")],
    )


def run_axi(
    model: Build,
    program: CompiledProgram,
    inputs: Sequence[npt.NDArray | Mapping[str, npt.NDArray]],
    *,
    seed: int,
    stalls: Stalls = "none",
    load: bool = True,
) -> list[Arrays]:
    """Load a program through AXI4-Lite and run it on inputs, one after another, through AXI4-Stream.

    Parameters
    ----------
    model
        From `build_axi`, for the program's accelerator.
    program
        What runs.
    inputs
        As for `host.driver.Accelerator.run`.
    seed, stalls
        Of random pauses on every channel, on both sides.
    load
        Or else the program is there from power-on.

    Returns
    -------
    list of Arrays
        The network's outputs by name, for each input.

    Raises
    ------
    SimulationError
        A transfer was refused or hangs, a rule of a stream was broken, or the run failed.
    """
    lanes = program.config.core.lanes
    stores = program.run_stores
    parameters: dict[str, Any] = {
        "image": program.image.data.hex() if load else "",
        "program_words": len(program.image.data) // lanes,
        "checksum": program.image.checksum,
        "entries": program.image.entries,
        "last": program.last,
        "inputs": [b"".join(program.packets(as_taken(program, values))).hex() for values in inputs],
        "stored": [program.stored_bytes(program.entries[entry].tensor) for entry in stores],
        "stalls": stalls == "random",
    }
    answer = run(model, "sim.axi_test", testcase="network", parameters=parameters, seed=seed)
    runs = [[bytes.fromhex(stored) for stored in stored_maps] for stored_maps in answer["outputs"]]
    return [program.outputs(dict(zip(stores, maps, strict=True))) for maps in runs]
