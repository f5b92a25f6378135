"""The rsnn dataflow on whole cores: any layer, any share of zero weights, any size of the array."""

from dataclasses import replace

import numpy as np
import pytest

from compiler.errors import CompilerError
from compiler.program import compile_layer
from hw.config import CoreConfig
from sim.core_run import LayerRun
from sim.random_layers import LayerShape, make_layer, random_shape
from sim.streams import LayerJob
from sim.tests.cores import SMALL, run_checked

ALONE = {"nullhop": False, "csc": False, "rsnn": True, "vector": False}

CORES = {
    # An entry takes two weight words.
    "1x1": CoreConfig(
        groups=1,
        lanes=1,
        post_lanes=1,
        activation_banks=1,
        weight_depth=4096,
        **ALONE,
        **{**SMALL, "activation_depth": 1024},
    ),
    "2x4": CoreConfig(
        groups=2,
        lanes=4,
        post_lanes=2,
        activation_banks=2,
        accumulators=3,
        halo=0,
        **ALONE,
        **{**SMALL, "activation_depth": 512},
    ),
    # More lanes in the post-processor than in a group; a scratchpad that holds few words of a window; layers of one
    # pixel give each lane a map.
    "3x14": CoreConfig(
        groups=3,
        lanes=14,
        post_lanes=16,
        accumulators=6,
        scratchpad_depth=256,
        delta_bits=3,
        **ALONE,
        **SMALL,
    ),
    "32x32": CoreConfig(groups=32, lanes=32, post_lanes=16, accumulators=2, **ALONE, **SMALL),
}
"""Small cores that differ in everything that a parameter can change."""

DENSITIES = (0.0, 0.02, 0.1, 0.3, 0.7, 1.0)
SAME = ((1, 1), (1, 1))

PER_CORE = [pytest.param(name, marks=pytest.mark.xdist_group(f"rsnn {name}")) for name in CORES if name != "32x32"]


def jobs_of(config: CoreConfig, seeds: range) -> list[LayerJob]:
    """A random layer for each seed, with zero weights as the seed says; what does not fit is left out."""
    found = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        shape = replace(random_shape(rng), pool=1, weight_density=DENSITIES[seed % len(DENSITIES)])
        layer = make_layer(shape, seed)
        try:
            program = compile_layer(layer.conv, config, sparse_input=bool(seed % 2), sparse_output=bool(seed % 3))
        except CompilerError:
            continue
        found.append(LayerJob(program, layer.input, layer.output))
    assert len(found) >= 0.8 * len(seeds)
    return found


def check_cycles(runs: list[LayerRun]) -> None:
    """The model is right to two per cent; of layers that are over before they begin, to some cycles a pass."""
    for run in runs:
        slack = max(0.02 * run.cycles, 40 + 8 * run.job.program.mapping.passes)
        assert abs(run.prediction.cycles - run.cycles) <= slack, (run.cycles, run.prediction, run.job.program.conv)


@pytest.mark.parametrize("name", PER_CORE)
@pytest.mark.parametrize("stalls", ["none", "random"])
def test_random_layers_come_out_byte_for_byte(name, stalls):
    first = 6000 if stalls == "none" else 7000
    config = CORES[name]
    runs = run_checked(config, jobs_of(config, range(first, first + (12 if name == "1x1" else 40))), stalls=stalls)
    if stalls == "none":
        check_cycles(runs)


EDGES = {
    "one pixel, one channel, one map": LayerShape((1, 1), 1, 1),
    "no weight at all": LayerShape((6, 6), 17, 8, kernel=(3, 3), padding=SAME, weight_density=0.0),
    "no zero weight": LayerShape((6, 6), 17, 8, kernel=(3, 3), padding=SAME),
    "rows folded into lanes, with a remainder": LayerShape((5, 2), 20, 5, kernel=(3, 3), padding=SAME),
    "a single column": LayerShape((11, 1), 3, 4, kernel=(3, 1), padding=((1, 1), (0, 0))),
    "kernel of 11x11, stride 4": LayerShape((23, 25), 3, 5, kernel=(11, 11), stride=(4, 4), padding=((2, 2), (2, 2))),
    "kernel of 1x11": LayerShape((2, 20), 1, 5, kernel=(1, 11), padding=((0, 0), (5, 5))),
    "strides apart": LayerShape((9, 9), 5, 3, kernel=(2, 1), stride=(4, 3)),
    "stride and dilation": LayerShape((9, 15), 4, 4, kernel=(3, 5), stride=(2, 4), dilation=(2, 3), padding=SAME),
    "only the padding's corner sees the map": LayerShape((1, 1), 3, 2, kernel=(5, 5), padding=((2, 2), (2, 2))),
    "more maps than a pass": LayerShape((3, 3), 2, 50, kernel=(3, 3), padding=SAME, weight_density=0.4),
    "many channels": LayerShape((2, 3), 100, 3, kernel=(3, 3), padding=SAME, weight_density=0.1),
    "widest map": LayerShape((1, 255), 1, 1, kernel=(1, 3)),
    "fully connected": LayerShape((1, 1), 130, 33, weight_density=0.3, fully_connected=True),
    "fully connected, no weight at all": LayerShape((1, 1), 40, 20, weight_density=0.0, fully_connected=True),
    "a kernel as large as the map": LayerShape((3, 4), 17, 20, kernel=(3, 4), weight_density=0.4),
    "fully connected, several rows": LayerShape((1, 5), 20, 9, fully_connected=True),
}


@pytest.mark.parametrize("name", PER_CORE)
def test_edge_cases(name):
    config = CORES[name]
    jobs = []
    for seed, shape in enumerate(EDGES.values()):
        layer = make_layer(shape, seed)
        try:
            jobs.append(LayerJob(compile_layer(layer.conv, config), layer.input, layer.output))
        except CompilerError as error:
            # The widest windows take more than the smallest scratchpad holds.
            assert "scratchpad_depth" in str(error) and config.scratchpad_depth < 1024
    run_checked(config, jobs, stalls="random")


@pytest.mark.slow
@pytest.mark.xdist_group("rsnn 32x32")
def test_the_largest_array():
    config = CORES["32x32"]
    check_cycles(run_checked(config, jobs_of(config, range(8000, 8020))))
