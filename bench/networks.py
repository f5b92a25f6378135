"""MLPerf Tiny's networks, whole, each as one program from one start."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import Any

from bench.benchmark import LAYER_COLUMNS, Benchmark, Case, Column, Row, rates
from bench.layers import only_described
from bench.published import published
from boards.synthesis.netlist import Demand
from compiler.network_program import compile_network
from hw.config import AcceleratorConfig, CoreConfig
from models import zoo
from models.inputs import read_input
from sim.accelerator_run import run_program

_PUBLISHED = published("mlperf_tiny")
NETWORKS = ("resnet8", "keyword_spotting", "visual_wake_words", "anomaly_detection")
SEED = 0


KEPT = "anomaly_detection"
"""The network whose layers are all fully connected: each weight is used once, so that its layers take as long as it
takes to bring their weights, unless these are in the weight memories from the start."""


@cache
def accelerator(post_lanes: int, kept: bool = False) -> AcceleratorConfig:
    """One accelerator for all of them: the default core with memory for the largest network.

    Args:
        post_lanes: outputs that the post-processor finishes in a cycle, which bounds depthwise layers.
        kept: with weight memories for all weights of a network at once.
    """
    core = CoreConfig(activation_depth=4096, post_lanes=post_lanes)
    return AcceleratorConfig(core.with_changes(weight_depth=4096) if kept else core, program_depth=32768)


def _measure(name: str, post_lanes: int, kept: bool) -> Row:
    config = accelerator(post_lanes, kept)
    network = zoo.load(name)
    with only_described():
        program = compile_network(network, config, keep_weights=kept)
        run = run_program(program, read_input(network, None, SEED))
    multipliers, total = config.core.groups * config.core.lanes, run.total()
    dsps = Demand.of(config.core).multipliers
    return {
        "groups": config.core.groups,
        "lanes": config.core.lanes,
        **_rated(total, multipliers),
        "dsps": dsps,
        "mac_per_cycle_per_dsp": round(total["macs"] / (total["cycles"] * dsps), 4),
        "published_mac_per_cycle_per_dsp": _PUBLISHED["networks"].get(name, {}).get("mac_per_cycle_per_dsp"),
        "on_host": run.host_operators,
        "layers": [_rated(row, multipliers) for row in run.rows()],
    }


def _rated(row: dict[str, Any], multipliers: int) -> Row:
    """A row of a run, with its efficiency; a layer without multiplications has none, and no utilisation."""
    rated = rates(row["cycles"], row["macs"], row["multiplies"], multipliers)
    return {**row, **(rated if row["macs"] else {"utilisation": None, "efficiency": None})}


def _cases(full: bool) -> Sequence[Case]:
    default = CoreConfig().post_lanes
    ways = [(name, default, False) for name in NETWORKS] + [(KEPT, default, True)]
    if full:
        ways += [(name, 16, False) for name in NETWORKS] + [(KEPT, 16, True)]
    return [
        Case(
            name + (f", post_lanes={post_lanes}" if post_lanes != default else "") + (", weights kept" if kept else ""),
            partial(_measure, name, post_lanes, kept),
            {"network": name, "post_lanes": post_lanes, "kept": kept},
        )
        for name, post_lanes, kept in ways
    ]


MLPERF_TINY = Benchmark(
    name="mlperf-tiny",
    title="MLPerf Tiny's networks, whole, on 8 x 16 multipliers",
    cases=_cases,
    columns=(
        Column("network", "name"),
        *LAYER_COLUMNS[2:],
        Column("DSPs", "dsps", "d"),
        Column("MAC/cycle/DSP", "mac_per_cycle_per_dsp", ".2f"),
        Column("best published", "published_mac_per_cycle_per_dsp", ".2f"),
    ),
    published=_PUBLISHED,
    seed=SEED,
)
"""Cycles are from the start of the first layer to the end of the last, by the machine's own counter. DSPs are those of
the array and of the post-processor."""
