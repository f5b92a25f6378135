"""The simulated accelerator: the Verilog of an accelerator in a simulator, with a driver's transport to it.

    with SimulatedAccelerator(config) as simulated:
        accelerator = Accelerator.open(simulated.transport)

It takes and gives bytes, as behind a serial port, but has no pins: no time goes into the bits of a line.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from hw.accelerator import Accelerator
from hw.config import AcceleratorConfig
from sim.harness.cache import described_by
from sim.harness.live_bench import build_live_bench
from sim.harness.live_run import LiveSimulation
from sim.harness.model import Build
from sim.harness.stalls import Stalls

DRIVER_SECONDS = 600.0
"""What a driver should grant a simulated accelerator for anything: it is a thousand times as slow as a board."""


def build_accelerator(
    config: AcceleratorConfig, *, simulator: str = "verilator", waves: bool = False, optimise: str = "build"
) -> Build:
    """The live bench of an accelerator, compiled; the same configuration is compiled once."""
    return build_live_bench(
        Accelerator(config),
        name="accelerator_bench",
        simulator=simulator,
        waves=waves,
        optimise=optimise,
        recipe=[repr(config), *described_by("hw", "sim/harness")],
    )


class SimulationTransport:
    """The way to a simulated accelerator, as `host.transport.Transport` has it."""

    def __init__(self, simulation: LiveSimulation, name: str) -> None:
        self._simulation = simulation
        self._name = name

    def __str__(self) -> str:
        return self._name

    def write(self, data: bytes) -> None:
        """Send all of the bytes. Raises `SimulationError` if the simulation has failed."""
        self._simulation.send(data)

    def read(self, timeout: float) -> bytes:
        """What has arrived within `timeout` seconds. Raises `SimulationError` if the simulation has failed."""
        return self._simulation.receive(timeout)

    def close(self) -> None:
        """Nothing: the simulation belongs to `SimulatedAccelerator`."""


class SimulatedAccelerator:
    """An accelerator in a simulator; a context manager, at whose start the simulation starts.

    Parameters
    ----------
    config
        What to build.
    simulator
        `"verilator"` or `"icarus"`.
    seed, stalls
        Of random gaps in both streams of bytes.
    waves
        Record waves to this FST file.
    on_stage
        Called with the name of what begins.

    Raises
    ------
    SimulationError
        The simulation failed; see `LiveSimulation`.
    """

    _name = "accelerator"

    def __init__(
        self,
        config: AcceleratorConfig,
        *,
        simulator: str = "verilator",
        seed: int = 0,
        stalls: Stalls = "none",
        waves: Path | None = None,
        on_stage: Callable[[str], None] = lambda stage: None,
    ) -> None:
        self.config = config
        self._simulator = simulator
        self._seed, self._stalls, self._waves = seed, stalls, waves
        self._on_stage = on_stage
        self.simulation: LiveSimulation
        self.transport: SimulationTransport

    def __enter__(self) -> Self:
        self._on_stage("building the simulation")
        model = self._build(waves=self._waves is not None)
        self.simulation = LiveSimulation(model, seed=self._seed, stalls=self._stalls, waves=self._waves)
        self.simulation.__enter__()
        self.transport = SimulationTransport(self.simulation, f"{self._name} in {self._simulator}")
        return self

    def _build(self, *, waves: bool) -> Build:
        return build_accelerator(self.config, simulator=self._simulator, waves=waves)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.simulation.__exit__(kind, error, trace)

    def reset(self) -> None:
        """A pulse on the accelerator's reset: what it does ends, and the program is to be verified anew."""
        self.simulation.reset()
