"""Layers that run from memory to memory in the Verilog of a core, one after another.

All inputs are loaded first and all outputs are stored last, so that only the layers themselves are measured. The first
layer runs twice, so that its weights, as those of the others, arrive while the layer before computes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from compiler.entries import Entry, locator, make_entry
from compiler.lowering import lower
from compiler.operations import Convolve, Store
from compiler.prediction import WeightStream, run_passes
from compiler.program import LayerProgram
from compiler.transfer import to_packets
from hw.config import CoreConfig
from models import golden
from models.network import Network
from sim import streams
from sim.core_run import build_core, first_difference
from sim.harness.bench_run import Equals, run_bench


@dataclass(frozen=True, eq=False)
class ResidentRun:
    """What a layer took in Verilog.

    Attributes:
        program: of the layer.
        cycles: from its start until it is done; predicted: by the cycle model.
        multiplies: useful ones that were issued.
        equal: every byte of its output is the golden model's.
    """

    program: LayerProgram
    cycles: int
    predicted: int
    multiplies: int
    equal: bool


def predict(programs: Sequence[LayerProgram], config: CoreConfig) -> list[int]:
    """Cycles of layers of `rsnn` and `csc`, which no activation changes, that run one after another.

    The first one runs twice, as in the Verilog.
    """
    weights, now, taken, found = WeightStream(config), 0, 0, []
    for program in [programs[0], *programs]:
        accepted = max(taken, weights.end)
        start = max(now, accepted) + 1
        now, _ = run_passes(program, np.zeros((0, 0, 0)), start, accepted, weights)
        taken = start
        found.append(now - start)
    return found[1:]


@dataclass(frozen=True, eq=False)
class _Entries:
    """Of a network of one layer: what loads its input, computes, and stores its output."""

    load: Entry
    layer: Entry
    store: Entry

    @property
    def program(self) -> LayerProgram:
        assert self.layer.layer is not None
        return self.layer.layer


def _entries(networks: Sequence[Network], config: CoreConfig) -> list[_Entries]:
    """The maps of all networks lie in memory side by side."""
    found, free = [], 0
    for network in networks:
        lowered = lower(network, config)
        load, layer = lowered.operations
        assert isinstance(layer, Convolve)
        bases = {}
        for name, buffer in lowered.buffers.items():
            bases[name], free = free, free + buffer.words
        store = Store(layer.output.tensor, layer.output)
        found.append(_Entries(*(make_entry(one, locator(bases), config) for one in (load, layer, store))))
    return found


def _packet_rows(values: npt.NDArray, zero_point: int, config: CoreConfig) -> npt.NDArray[np.uint8]:
    """A map's packets as the bench plays them."""
    _, rows, columns, channels = values.shape
    packets = to_packets(values, (rows, columns, channels), zero_point, config)
    beats = np.frombuffer(packets, np.uint8).reshape(rows, -1, config.stream_units)
    last = np.zeros((*beats.shape[:2], 1), np.uint8)
    last[:, -1] = 1
    return np.concatenate([beats, last], axis=2).reshape(-1, config.stream_units + 1)


def measure(networks: Sequence[Network], config: CoreConfig, seed: int = 0) -> list[ResidentRun]:
    """Run networks of one layer each, one after another, on random inputs.

    Raises:
        CompilerError: a layer that does not run on this core.
        SimulationError: the core breaks a rule, hangs, or reports an error.
    """
    rng = np.random.default_rng(seed)
    tensors = [network.tensors[network.inputs[0]] for network in networks]
    inputs = [rng.integers(-128, 128, tensor.shape, dtype=np.int8) for tensor in tensors]
    found = _entries(networks, config)
    layers = [one.layer for one in found]
    entries = [*(one.load for one in found), layers[0], *layers, *(one.store for one in found)]
    fed = zip(inputs, tensors, strict=True)
    result = run_bench(
        build_core(config),
        {
            "layers": [entry.descriptor for entry in entries],
            "weights": np.concatenate([entry.weights for entry in entries]),
            "features_in": np.concatenate([_packet_rows(one, tensor.zero_point, config) for one, tensor in fed]),
        },
        expect={"reports": len(entries)},
        until=[Equals("busy", 0), Equals("errors", 0)],
        timeout_cycles=50_000_000,
        seed=seed,
    )
    reports = streams.reports(result.beats("reports"))[len(networks) + 1 :]
    programs = [one.program for one in found]
    predicted = predict(programs, config)
    runs, at = [], 0
    for index, (network, values, program) in enumerate(zip(networks, inputs, programs, strict=True)):
        wanted = golden.run(network, values)[network.outputs[0]]
        packets = _packet_rows(wanted, network.tensors[network.outputs[0]].zero_point, config)
        got, at = result.outputs["features_out"][at : at + len(packets)], at + len(packets)
        equal = got.shape == packets.shape and first_difference(got, packets) is None
        multiplies = program.multiplies(reports[index]["operations"])
        runs.append(ResidentRun(program, reports[index]["cycles"], predicted[index], multiplies, equal))
    return runs
