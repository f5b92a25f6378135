"""Runs a network's layers in RTL, each fed with the true previous tensor, and sums up what was measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from compiler.convolution import convolutions
from compiler.program import compile_layer
from hw.config import CoreConfig
from models import golden
from models.errors import SkipstoneError
from models.network import Network
from models.sparsity import break_even_sparsity
from sim.core_run import LayerRun, build_core, run_layers
from sim.run_table import Row, RunTable
from sim.streams import LayerJob


@dataclass(frozen=True, eq=False)
class NetworkRun(RunTable):
    """The layers of a network that ran on a core, in order."""

    network: Network
    config: CoreConfig
    seed: int
    layers: Sequence[LayerRun]

    @property
    def golden_operators(self) -> dict[str, int]:
        """Operators that ran in the golden model alone, and how often, in the network's order."""
        on_array = {run.job.program.conv.name for run in self.layers}
        # A fused pooling bears another name than its convolution, but writes what comes out.
        written = {run.job.program.conv.output for run in self.layers}
        rest = (layer.op for layer in self.network.layers if layer.name not in on_array and layer.output not in written)
        return dict(Counter(rest))

    def table(self) -> list[Row]:
        """The layers in order."""
        return [
            Row(
                name=run.job.program.conv.name,
                op=run.job.program.conv.op,
                dataflow=run.job.program.mapping.dataflow,
                cycles=run.cycles,
                predicted_cycles=run.prediction.cycles,
                macs=run.job.program.conv.macs,
                multiplies=run.multiplies,
                mismatch=run.mismatch,
                traffic=run.traffic,
            )
            for run in self.layers
        ]


def make_jobs(network: Network, values: npt.NDArray, config: CoreConfig, *, layer: str | None = None) -> list[LayerJob]:
    """Compile the layers that the array runs and give each its true input and output, from the golden model.

    Raises:
        SkipstoneError: no such layer, a layer that the array does not run, or one that the configuration cannot hold.
    """
    found = convolutions(network, fuse=config.nullhop)
    if layer is not None:
        name = network.layer(layer).name
        if name not in found:
            raise SkipstoneError(
                f"layer {name} of {network.name} does not run on the array yet; these do: {', '.join(found)}"
            )
        found = {name: found[name]}
    if not found:
        raise SkipstoneError(
            f"{network.name} has no layer that runs on the array: it takes conv_2d and fully_connected"
        )
    tensors = golden.run(network, values)
    jobs = []
    for convolution in found.values():
        tensor = _value(network, tensors, convolution.input)
        zeros = np.mean(tensor == convolution.input_zero_point)
        # The sender takes the shorter form.
        sparse_input = bool(zeros > break_even_sparsity(config.activation_bits))
        program = compile_layer(convolution, config, sparse_input=sparse_input)
        jobs.append(LayerJob(program, tensor, _value(network, tensors, convolution.output)))
    return jobs


def _value(network: Network, tensors: Mapping[str, npt.NDArray], name: str) -> npt.NDArray:
    """The tensor for the only input of the batch; a layer may also read a constant."""
    constant = network.tensors[name].data
    return (tensors[name] if constant is None else constant)[0]


def run_network(
    network: Network,
    jobs: Sequence[LayerJob],
    config: CoreConfig,
    *,
    simulator: str = "verilator",
    seed: int = 0,
    stalls: str = "none",
    waves: Path | None = None,
    on_stage: Callable[[str], None] = lambda stage: None,
    on_layer: Callable[[int], None] | None = None,
) -> NetworkRun:
    """Build the core and run the layers.

    Args:
        on_stage: called with the name of what begins.
        on_layer: called with the number of layers done.
    """
    on_stage("building the simulation")
    model = build_core(config, simulator=simulator, waves=waves is not None)
    on_stage("simulating")
    layers = run_layers(model, jobs, config, seed=seed, stalls=stalls, waves=waves, on_layer=on_layer)
    return NetworkRun(network, config, seed, layers)
