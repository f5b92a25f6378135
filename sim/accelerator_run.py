"""Runs a whole network on the simulated accelerator, and compares every tensor with the golden model's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from compiler.compiled import CompiledProgram, describe_program
from compiler.entries import Entry
from compiler.network_program import NetworkProgram
from compiler.operations import Convolve
from compiler.prediction import Prediction
from compiler.program_prediction import predict_program, stored_map
from host.driver import Accelerator, EntryCounters
from hw.config import CoreConfig
from models import golden
from models.network import Network
from sim.accelerator_sim import DRIVER_SECONDS, SimulatedAccelerator
from sim.core_run import Mismatch, first_difference
from sim.harness.stalls import Stalls
from sim.run_table import Row, RunTable
from sim.traffic import layer_traffic

VECTOR_UNIT = "vector"

Inputs = npt.NDArray | Mapping[str, npt.NDArray]


@dataclass(frozen=True, eq=False)
class EntryRun:
    """What a layer of the accelerator did; `mismatch` is the first difference in a tensor that it wrote.

    `traffic` is what moved meanwhile (see `sim.traffic`), of a convolution.
    """

    entry: Entry
    op: str
    counters: EntryCounters
    prediction: Prediction
    mismatch: Mismatch | None
    traffic: dict[str, Any] | None

    @property
    def name(self) -> str:
        """Of the layer."""
        return self.entry.operation.name

    @property
    def dataflow(self) -> str:
        """What feeds the array; or the vector unit."""
        return self.entry.layer.mapping.dataflow if self.entry.layer is not None else VECTOR_UNIT

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the dense layer."""
        return self.counters.entry.macs

    @property
    def multiplies(self) -> int:
        """Useful multiplications that were really issued."""
        operation, layer = self.entry.operation, self.entry.layer
        if not isinstance(operation, Convolve) or layer is None:
            return 0
        return layer.multiplies(self.counters.operations, operation.conv.maps)


@dataclass(frozen=True, eq=False)
class AcceleratorRun(RunTable):
    """A network that ran as one program.

    Attributes:
        network, config, seed: what ran, on what.
        layers: what each entry between loading and storing did, in order.
        cycles: from the start of the first layer to the end of the last, by the machine's own counter.
        outputs: for each output of the network how it differs; None if it does not.
        host_operators: operators that the host ran, and how often.
    """

    network: Network
    config: CoreConfig
    seed: int
    layers: Sequence[EntryRun]
    cycles: int
    outputs: Mapping[str, Mismatch | None]
    host_operators: Mapping[str, int]

    def table(self) -> list[Row]:
        """The layers in order."""
        return [
            Row(
                name=layer.name,
                op=layer.op,
                dataflow=layer.dataflow,
                cycles=layer.counters.cycles,
                predicted_cycles=layer.prediction.cycles,
                macs=layer.macs,
                multiplies=layer.multiplies,
                mismatch=layer.mismatch,
                traffic=layer.traffic,
            )
            for layer in self.layers
        ]

    @property
    def total_cycles(self) -> int:
        """More than the layers', since the machine also fetches their entries."""
        return self.cycles

    @property
    def mismatches(self) -> dict[str, Mismatch]:
        """The first difference of each layer and each output that has one, by name."""
        outputs = {name: mismatch for name, mismatch in self.outputs.items() if mismatch is not None}
        return super().mismatches | outputs


def run_program(
    program: NetworkProgram,
    values: Inputs,
    *,
    simulator: str = "verilator",
    seed: int = 0,
    stalls: Stalls = "none",
    waves: Path | None = None,
    on_stage: Callable[[str], None] = lambda stage: None,
    on_layer: Callable[[int], None] = lambda done: None,
) -> AcceleratorRun:
    """Simulate a compiled network on one input, twice: as a whole, and layer by layer to look at every tensor.

    Args:
        program: what runs.
        values: for the network, with a batch of 1; by name if it has several inputs.
        simulator, seed, stalls, waves: as for `SimulatedAccelerator`.
        on_stage: called with the name of what begins.
        on_layer: called with the number of layers that have been looked at.

    Raises:
        SimulationError: a rule of a stream was broken, or the simulator died.
        SkipstoneError: the accelerator stopped with an error, or hangs.
    """
    simulated = SimulatedAccelerator(
        program.config, simulator=simulator, seed=seed, stalls=stalls, waves=waves, on_stage=on_stage
    )
    with simulated, open_accelerator(simulated) as accelerator:
        return run_on(accelerator, program, values, seed=seed, on_stage=on_stage, on_layer=on_layer)


def run_on(
    accelerator: Accelerator,
    program: NetworkProgram,
    values: Inputs,
    *,
    seed: int = 0,
    on_stage: Callable[[str], None] = lambda stage: None,
    on_layer: Callable[[int], None] = lambda done: None,
) -> AcceleratorRun:
    """The same on an accelerator that is there."""
    on_stage("loading the program")
    accelerator.load(describe_program(program))
    on_stage("simulating")
    return _Runner(program, accelerator, values).run(seed, on_layer)


def open_accelerator(simulated: SimulatedAccelerator) -> Accelerator:
    """The driver of a simulated accelerator, with time-outs that suit it."""
    return Accelerator.open(simulated.transport, timeout=DRIVER_SECONDS, link_timeout=DRIVER_SECONDS)


class _Runner:
    """The two runs of one input."""

    def __init__(self, program: NetworkProgram, accelerator: Accelerator, values: Inputs) -> None:
        self._program = program
        self._accelerator = accelerator
        self._compiled: CompiledProgram = accelerator.program
        self._values = values
        self._tensors = golden.run(program.network, values)

    def run(self, seed: int, on_layer: Callable[[int], None]) -> AcceleratorRun:
        program, network = self._program, self._program.network
        layers = program.layers
        self._accelerator.load_inputs(self._values)
        self._accelerator.run_entries(layers[0], layers[-1])
        cycles, counters = self._accelerator.cycles, self._accelerator.counters()
        outputs = self._compare_outputs()
        mismatches = self._compare_layers(on_layer)
        predictions = predict_program(program, self._tensors)
        graph = program.lowered.graph
        on_host = [network.layer(name).op for name in (*graph.host.before, *graph.host.after)]
        runs = [
            EntryRun(
                program.entries[index],
                self._op(index),
                counted,
                predictions[index],
                mismatches[index],
                self._traffic(program.entries[index]),
            )
            for index, counted in zip(layers, counters, strict=True)
        ]
        return AcceleratorRun(network, program.config.core, seed, runs, cycles, outputs, dict(Counter(on_host)))

    def _op(self, index: int) -> str:
        """The operator of the layer that an entry is of; or what it does, if it only helps another entry."""
        operation = self._program.entries[index].operation
        layer = self._program.network.layer(operation.layers[0])
        return layer.op if operation.name == layer.name else self._compiled.entries[index].operation.lower()

    def _traffic(self, entry: Entry) -> dict[str, Any] | None:
        operation, core = entry.operation, self._program.config.core
        if not isinstance(operation, Convolve) or entry.layer is None:
            return None
        maps = (stored_map(map, self._tensors, core) for map in (operation.input, operation.output))
        return layer_traffic(entry.layer, *maps, travels=False)

    def _compare_outputs(self) -> dict[str, Mismatch | None]:
        """How the network's outputs differ, those after the host's steps."""
        tensors = {name: self._accelerator.read_tensor(name) for name in self._compiled.leaving}
        for step in self._compiled.after:
            tensors[step.output] = step.run(tensors[step.input])
        return {name: self._difference(name, tensors[name]) for name in self._compiled.gives}

    def _compare_layers(self, on_layer: Callable[[int], None]) -> dict[int, Mismatch | None]:
        """How the tensors of each layer differ, looked at before a later layer takes their place.

        A tensor that several entries of a layer write is looked at after the last of them, and counts for them all.
        """
        layers = self._program.layers
        by_layers: dict[tuple[str, ...], list[Mismatch]] = {}
        self._accelerator.load_inputs(self._values)
        for done, index in enumerate(layers, start=1):
            self._accelerator.run_entries(index, index)
            written = [name for name, tensor in self._compiled.tensors.items() if tensor.written == index]
            found = (self._difference(name, self._accelerator.read_tensor(name)) for name in written)
            by_layers.setdefault(self._compiled.entries[index].layers, []).extend(filter(None, found))
            on_layer(done)
        return {index: next(iter(by_layers[self._compiled.entries[index].layers]), None) for index in layers}

    def _difference(self, name: str, got: npt.NDArray) -> Mismatch | None:
        expected = np.asarray(self._tensors[name])
        return first_difference(got.reshape(expected.shape)[0], expected[0])
