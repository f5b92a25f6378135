"""Measures single layers in the Verilog of a core, in their rows' terms."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

from amaranth.hdl import UnusedElaboratable

from bench.benchmark import Row, rates
from compiler.program import LayerProgram, compile_layer
from hw.config import CoreConfig
from models.sparsity import break_even_sparsity
from sim.core_run import LayerRun, build_core, run_layers
from sim.harness.bench import BenchModel
from sim.random_layers import RandomLayer
from sim.streams import LayerJob


def make_job(layer: RandomLayer, config: CoreConfig) -> LayerJob:
    """The layer, compiled; its input travels in the shorter form."""
    zeros = float((layer.input == layer.conv.input_zero_point).mean())
    program = compile_layer(layer.conv, config, sparse_input=zeros > break_even_sparsity(config.activation_bits))
    return LayerJob(program, layer.input, layer.output)


@contextmanager
def only_described() -> Iterator[None]:
    """Within it, hardware may be described that never becomes hardware: its bench was compiled before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnusedElaboratable)
        yield
        gc.collect()


@cache
def model(config: CoreConfig) -> BenchModel:
    """The compiled bench of a core, looked for once in a process."""
    with only_described():
        return build_core(config)


def simulate(jobs: Sequence[LayerJob], config: CoreConfig) -> list[LayerRun]:
    """Run layers one after another on one core, from its reset."""
    return run_layers(model(config), jobs, config)


def program_row(program: LayerProgram, *, cycles: int, predicted: int, multiplies: int, equal: bool) -> Row:
    """The row of a layer, of what it took."""
    config = program.config
    return {
        "groups": config.groups,
        "lanes": config.lanes,
        "dataflow": program.mapping.dataflow,
        "cycles": cycles,
        "predicted_cycles": predicted,
        "macs": program.conv.macs,
        "multiplies": multiplies,
        **rates(cycles, program.conv.macs, multiplies, config.groups * config.lanes),
        "equal": equal,
    }


def layer_row(run: LayerRun) -> Row:
    """The row of a layer that ran on a core with its streams."""
    row = program_row(
        run.job.program,
        cycles=run.cycles,
        predicted=run.prediction.cycles,
        multiplies=run.multiplies,
        equal=run.mismatch is None,
    )
    return {**row, "traffic": run.traffic}
