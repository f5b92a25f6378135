"""What the rsnn dataflow reaches on VGG16: the figures that the documentation states."""

import pytest

from bench.rsnn import CONFIG, CROPPED, LANES, MERGING, PUS, SPREAD, VGG16, measured, modelled

NAMED = {layer.name: layer for layer in VGG16}


def rate(figures):
    """Dense multiply-accumulates per lane and cycle, over all layers."""
    return sum(one.macs for one in figures) / (sum(one.taken for one in figures) * PUS * LANES)


def test_the_whole_network_reaches_the_papers_rate():
    figures = modelled()
    assert rate(figures) >= 2.98
    # The first layer has few weights a result, and is bound by its results.
    assert all(one.utilisation >= 0.97 for one in figures if one.name != "conv1_1")


def test_a_layer_without_zeros_costs_no_more_than_on_a_dense_machine():
    for one in modelled([NAMED[name] for name in ("conv1_2", "conv3_2", "conv5_3")], density=1.0):
        assert one.predicted <= 1.03 * one.macs / (PUS * LANES), one


def test_merging_makes_up_for_pruning_without_balance():
    layers = [NAMED[name] for name in ("conv2_2", "conv3_2", "conv4_3", "conv5_3")]
    balanced, spread = modelled(layers, config=MERGING), modelled(layers, config=MERGING, spread=SPREAD)
    reached = sum(one.utilisation * one.taken for one in spread) / sum(one.taken for one in spread)
    assert reached >= 0.95 * sum(one.utilisation * one.taken for one in balanced) / sum(one.taken for one in balanced)


@pytest.mark.slow
@pytest.mark.xdist_group("rsnn 32x14")
def test_cropped_layers_in_verilog():
    for one in measured(CROPPED):
        assert one.equal, one
        assert one.utilisation >= 0.97, one
        assert abs(one.predicted - one.taken) <= 0.02 * one.taken, one


@pytest.mark.slow
@pytest.mark.xdist_group("rsnn 4x4")
def test_a_small_grid_in_verilog():
    """The same bench on a grid that is built in a moment."""
    small = CONFIG.with_changes(groups=4, lanes=4, post_lanes=4, weight_depth=8192)
    (one,) = measured({"conv1_1": 2}, small)
    assert one.equal and abs(one.predicted - one.taken) <= 0.02 * one.taken, one
