"""The cores that the whole-core tests run on, and what the tests do with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from compiler.program import compile_layer
from hw.config import CoreConfig
from sim.core_run import LayerRun, build_core, run_layers
from sim.random_layers import RandomLayer, make_layer, random_shape
from sim.streams import LayerJob

SMALL: dict[str, Any] = {"activation_depth": 256, "max_size": 255, "max_channels": 511}

CORES = {
    # One group and one lane; the codec takes an element a cycle and beats of two bytes.
    "1x1": CoreConfig(
        groups=1,
        lanes=1,
        post_lanes=1,
        activation_banks=1,
        stream_units=2,
        codec_elements=1,
        fetch_depth=1,
        post_dsps=4,
        **{**SMALL, "activation_depth": 1024},
    ),
    # Accumulators that just hold the sums of as many weights as there is room for.
    "2x4": CoreConfig(
        groups=2,
        lanes=4,
        post_lanes=2,
        accumulator_bits=26,
        activation_banks=2,
        codec_elements=4,
        stream_units=8,
        **SMALL,
    ),
    # Neither is a power of two; more lanes than a word has elements; accumulators in a memory.
    "3x20": CoreConfig(groups=3, lanes=20, post_lanes=4, csc=False, accumulators=4, post_dsps=0, **SMALL),
    "6x16 of 16 bits": CoreConfig(
        groups=6, lanes=16, post_lanes=8, activation_bits=16, weight_bits=16, post_dsps=3, **SMALL
    ),
}
"""Small cores that differ in everything that a parameter can change."""

DEFAULT = CoreConfig()


def job(layer: RandomLayer, config: CoreConfig, seed: int) -> LayerJob:
    """The layer in forms and a split that the seed picks."""
    rng = np.random.default_rng(seed)
    forms = {"sparse_input": bool(rng.random() < 0.6), "sparse_output": bool(rng.random() < 0.6)}
    return LayerJob(compile_layer(layer.conv, config, **forms), layer.input, layer.output)


def random_jobs(config: CoreConfig, seeds: Sequence[int]) -> list[LayerJob]:
    """A random layer for each seed, that the configuration can hold."""
    return [job(make_layer(random_shape(np.random.default_rng(seed)), seed), config, seed) for seed in seeds]


def check(runs: Sequence[LayerRun], context: str) -> None:
    """Every output is right, and every activation was counted."""
    for run in runs:
        where = f"{context}: {run.job.program.conv} mapped as {run.job.program.mapping}"
        assert run.mismatch is None, f"{run.mismatch}; {where}"
        assert run.operations == run.prediction.operations, where


def run_checked(
    config: CoreConfig, jobs: Sequence[LayerJob], *, seed: int = 0, stalls: str = "none", simulator: str = "verilator"
) -> list[LayerRun]:
    """Run layers on a core and check them."""
    runs = run_layers(build_core(config, simulator=simulator), jobs, config, seed=seed, stalls=stalls)
    check(runs, f"seed {seed}, stalls {stalls}, {config}")
    return runs
