import shutil
from dataclasses import replace

import numpy as np
import pytest

from compiler.program import compile_layer
from sim.core_run import Mismatch, build_core, run_layers
from sim.random_layers import LayerShape, make_layer
from sim.streams import LayerJob
from sim.tests.cores import CORES, DEFAULT, check, job, random_jobs, run_checked

SAME = ((1, 1), (1, 1))
PER_CORE = [pytest.param(config, id=name, marks=pytest.mark.xdist_group(name)) for name, config in CORES.items()]


@pytest.mark.parametrize("config", PER_CORE)
@pytest.mark.parametrize("stalls", ["none", "random"])
def test_random_layers_come_out_byte_for_byte(config, stalls):
    first = 1000 if stalls == "none" else 2000
    run_checked(config, random_jobs(config, range(first, first + 50)), seed=first, stalls=stalls)


EDGES = {
    "one pixel, one channel, one map": LayerShape((1, 1), 1, 1, density=1.0),
    "nothing but zeros": LayerShape((6, 6), 16, 8, kernel=(3, 3), padding=SAME, density=0.0),
    "no zero at all": LayerShape((6, 6), 16, 8, kernel=(3, 3), padding=SAME, density=1.0),
    "only the padding's corner sees the map": LayerShape((1, 1), 3, 2, kernel=(5, 5), padding=((2, 2), (2, 2))),
    "stride larger than the kernel": LayerShape((9, 9), 5, 3, kernel=(2, 1), stride=(4, 3)),
    "rows that no window touches": LayerShape((13, 4), 4, 4, kernel=(1, 3), stride=(4, 1)),
    "dilated": LayerShape((11, 12), 4, 4, kernel=(3, 3), dilation=(3, 2), padding=((3, 0), (0, 2))),
    "kernel of 7x7, asymmetric padding": LayerShape((9, 8), 2, 4, kernel=(7, 7), padding=((6, 1), (0, 5))),
    "many channels, few maps": LayerShape((3, 3), 100, 1, kernel=(3, 3), padding=SAME),
    "many maps, one channel": LayerShape((3, 3), 1, 300),
    "pooled, with a remainder": LayerShape((11, 11), 6, 10, kernel=(3, 3), padding=SAME, pool=2),
    "pooled by three, with a stride": LayerShape((13, 13), 3, 5, kernel=(2, 2), stride=(2, 2), pool=3),
    "widest map": LayerShape((2, 255), 1, 1, kernel=(1, 3)),
    "fully connected": LayerShape((1, 1), 130, 33, fully_connected=True),
    "fully connected, several rows": LayerShape((1, 5), 20, 9, fully_connected=True),
}


@pytest.mark.parametrize("config", PER_CORE)
def test_edge_cases(config):
    shapes = list(EDGES.values())
    jobs = [job(make_layer(shape, seed), config, seed) for seed, shape in enumerate(shapes)]
    run_checked(config, jobs, stalls="random")


@pytest.mark.xdist_group("6x16 of 16 bits")
@pytest.mark.parametrize("pool", [1, 2])
def test_activations_and_weights_of_16_bits(pool):
    """Both use all their bits: the highest byte of inputs, weights and outputs differs from element to element."""
    config, seed = CORES["6x16 of 16 bits"], 5 + pool
    shape = LayerShape((8, 9), 3, 40, kernel=(3, 3), padding=SAME, pool=pool)
    rng = np.random.default_rng(seed)
    rectified = np.where(rng.random((8, 9, 3)) < 0.6, rng.integers(1, 1 << 16, (8, 9, 3)), 0).astype(np.uint16)
    layer = make_layer(shape, seed, rectified)
    assert all(len(np.unique(values >> 8)) > 40 for values in (layer.input, layer.conv.weights, layer.output))
    run_checked(config, [job(layer, config, seed)], stalls="random")


@pytest.mark.xdist_group("2x4")
def test_a_map_larger_than_the_memory_streams_through_a_ring_of_rows():
    config = CORES["2x4"]
    shapes = [
        # One pass: both rings turn.
        LayerShape((40, 30), 16, 8, kernel=(3, 3), padding=SAME),
        # Several passes, each streams the input again; the output leaves as blocks of channels.
        LayerShape((30, 20), 16, 32, kernel=(3, 3), padding=SAME, pool=2),
    ]
    jobs = [job(make_layer(shape, seed), config, seed) for seed, shape in enumerate(shapes)]
    assert not any(item.program.mapping.resident for item in jobs)
    run_checked(config, jobs, stalls="random")


@pytest.mark.xdist_group("3x20")
def test_every_split_of_the_groups_gives_the_same_result():
    config = CORES["3x20"]
    layer = make_layer(LayerShape((7, 6), 17, 70, kernel=(3, 3), padding=SAME), 3)
    jobs = [
        LayerJob(compile_layer(layer.conv, config, channel_groups=channel_groups), layer.input, layer.output)
        for channel_groups, _ in config.splits
    ]
    run_checked(config, jobs)


@pytest.mark.xdist_group("1x1")
def test_the_second_simulator_agrees():
    if shutil.which("iverilog") is None:
        pytest.skip("Icarus Verilog is not installed")
    config = CORES["1x1"]
    # Icarus interprets some hundred cycles a second of a core: one small layer of each kind.
    shapes = [
        LayerShape((3, 4), 3, 2, kernel=(3, 3), padding=SAME, pool=2),
        LayerShape((1, 1), 18, 3, fully_connected=True),
    ]
    jobs = [job(make_layer(shape, seed), config, seed) for seed, shape in enumerate(shapes)]
    run_checked(config, jobs, stalls="random", simulator="icarus")


@pytest.mark.xdist_group("2x4")
def test_a_wrong_byte_is_found_and_named():
    config = CORES["2x4"]
    item = job(make_layer(LayerShape((4, 5), 8, 6, kernel=(3, 3), padding=SAME), 1), config, 0)
    expected = item.expected.copy()
    expected[2, 3, 4] ^= 1
    (run,) = run_layers(build_core(config), [replace(item, expected=expected)], config)
    assert run.mismatch == Mismatch((2, 3, 4), int(item.expected[2, 3, 4]), int(expected[2, 3, 4]))


@pytest.mark.xdist_group("8x16")
def test_predicted_cycles_of_layers_worth_predicting():
    seeds = range(4000, 4030)
    jobs = random_jobs(DEFAULT, seeds)
    runs = run_layers(build_core(DEFAULT), jobs, DEFAULT)
    check(runs, "default core")
    for run in runs:
        # Where a layer is over before its pipeline is full, a few cycles are many per cent.
        slack = max(0.02 * run.cycles, 64)
        assert abs(run.prediction.cycles - run.cycles) <= slack, (run.job.program.conv, run.cycles, run.prediction)


VGG_SPARSITY = 0.696
"""VGG16's average share of zero activations."""


@pytest.mark.xdist_group("8x16")
def test_a_vgg_layer_at_its_published_sparsity():
    shape = LayerShape((56, 56), 64, 64, kernel=(3, 3), padding=SAME, density=1 - VGG_SPARSITY)
    (run,) = run_checked(DEFAULT, [job(make_layer(shape, 7), DEFAULT, 0)])
    zeros = np.mean(run.job.input == run.job.program.conv.input_zero_point)
    assert abs(zeros - VGG_SPARSITY) < 0.01
    macs_per_lane = run.job.program.conv.macs / (run.cycles * DEFAULT.groups * DEFAULT.lanes)
    assert macs_per_lane >= 3.2, f"{macs_per_lane:.3f} dense-equivalent MAC per cycle and lane in {run.cycles} cycles"
    assert abs(run.prediction.cycles - run.cycles) <= 0.02 * run.cycles, (run.cycles, run.prediction.cycles)


@pytest.mark.xdist_group("8x16")
def test_rows_as_wide_as_vggs_stream_through_the_default_core():
    shape = LayerShape((8, 224), 64, 64, kernel=(3, 3), padding=SAME, density=1 - VGG_SPARSITY)
    (run,) = run_checked(DEFAULT, [job(make_layer(shape, 8), DEFAULT, 0)])
    assert not run.job.program.mapping.resident
