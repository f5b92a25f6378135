"""The benchmarks: that their workloads are what they say, and that cycles are still as recorded."""

import numpy as np
import pytest

from bench import results, runner, vgg
from bench.published import published
from bench.suite import BENCHMARKS, benchmark
from bench.synthetic import feature_map
from bench.vgg_shapes import VGG16, vgg_layers
from models.errors import SkipstoneError
from sim.harness import toolchain

needs_verilator = pytest.mark.skipif(
    toolchain.missing("verilator") is not None, reason=str(toolchain.missing("verilator"))
)


@pytest.mark.parametrize("zero_share", [0.0, 0.3, 0.702, 1.0])
def test_a_map_has_exactly_the_zeros_asked_for(zero_share):
    values = feature_map((7, 9, 48), zero_share, seed=3)
    assert np.count_nonzero(values == 0) == round(zero_share * values.size)
    assert (values == feature_map((7, 9, 48), zero_share, seed=3)).all()
    wide = feature_map((7, 9, 48), zero_share, seed=3, bits=16)
    assert np.count_nonzero(wide == 0) == round(zero_share * values.size)
    assert zero_share == 1 or wide.max() > 1 << 15
    if zero_share == 0.702:
        # Channels differ, as trained ones do: far more than those of coin tosses would.
        assert (values == 0).mean(axis=(0, 1)).std() > 0.1


@pytest.mark.parametrize(("network", "layers", "gop"), [("vgg16", 13, 30.69), ("vgg19", 16, 39.02)])
def test_the_workload_is_the_published_one(network, layers, gop):
    found = vgg_layers(network)
    macs = sum(layer.macs for layer in found)
    assert len(found) == layers and 2e-9 * macs == pytest.approx(gop, abs=0.02)
    wanted = published("nullhop")["networks"][network]
    shares = vgg.zero_shares(found, wanted["zero_share"])
    assert shares[found[0].name] == 0
    weighted = sum(shares[layer.name] * layer.macs for layer in found) / macs
    assert weighted == pytest.approx(wanted["zero_share"])
    # The share is what the published efficiency implies at the published utilisation.
    assert published("nullhop")["utilisation"] / (1 - weighted) == pytest.approx(wanted["efficiency"], rel=0.002)


def test_the_rows_that_are_simulated():
    layers = {layer.name: layer for layer in VGG16}
    for layer in layers.values():
        rows = vgg.simulated_rows(layer, 0.7, full=False)
        assert vgg._LEAST_ROWS <= rows <= layer.size and rows % 2 == 0
        assert vgg.simulated_rows(layer, 0.7, full=True) == layer.size
    # A row of conv5_1 takes 14 x 512 x 512 x 9 x 0.3 / 128 = 77,414 cycles, of conv1_2 19,354.
    assert vgg.simulated_rows(layers["conv5_1"], 0.7, full=False) == 4
    assert vgg.simulated_rows(layers["conv1_2"], 0.7, full=False) == 14


@pytest.mark.parametrize("full", [False, True])
def test_each_row_has_a_name_of_its_own(full):
    for each in BENCHMARKS.values():
        names = [case.name for case in each.cases(full)]
        assert names and len(names) == len(set(names)), each.name


def test_an_unknown_benchmark_is_one_line_with_the_known_ones():
    with pytest.raises(SkipstoneError, match=r"no benchmark 'nonsense'.*zeros.*nullhop-vgg16"):
        benchmark("nonsense")


def cases(*, cheap):
    return [
        pytest.param(each, case, id=f"{each.name}: {case.name}", marks=pytest.mark.xdist_group("8x16"))
        for each in BENCHMARKS.values()
        for case in each.cases(False)
        if case.held and case.cheap == cheap
    ]


def check_recorded(each, case):
    row = runner.measure(case)
    assert row.get("equal", True)
    recorded = results.read(results.path_of(each.name, full=False))
    assert case.name in {row["name"] for row in recorded["rows"]}
    changed = results.differences(recorded, [row])
    assert not changed, f"{changed}; if that is meant, record it: skipstone bench {each.name}"


@needs_verilator
@pytest.mark.parametrize(("each", "case"), cases(cheap=True))
def test_cycles_are_as_recorded(each, case):
    check_recorded(each, case)


@needs_verilator
@pytest.mark.slow
@pytest.mark.parametrize(("each", "case"), cases(cheap=False))
def test_cycles_of_long_benchmarks_are_as_recorded(each, case):
    check_recorded(each, case)
