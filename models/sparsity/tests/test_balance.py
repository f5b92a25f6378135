import numpy as np
import pytest

from models import zoo
from models.errors import SkipstoneError
from models.sparsity.balance import Dealing, entries, grid_cycles, measure, prunable, pruned_masks


@pytest.fixture(scope="module")
def resnet8():
    return zoo.load("resnet8")


COUNTS = np.array([[9, 1, 8, 2]])


@pytest.mark.parametrize(
    ("dealing", "slots", "cycles"),
    [(Dealing.IN_ORDER, 1, 9 + 8), (Dealing.SORTED, 1, 9 + 2), (Dealing.MERGED, 2, 10), (Dealing.MERGED, 1, 9 + 2)],
)
def test_a_pass_takes_as_long_as_its_slowest_unit(dealing, slots, cycles):
    assert grid_cycles(COUNTS, 2, slots, dealing) == cycles


def test_units_wait_for_each_other_after_each_tile():
    weights = np.zeros((2, 1, 1, 8), int)
    weights[0, ..., :4] = weights[1, ..., 4:] = 1
    assert measure("x", weights, 2, 1).utilisation[Dealing.IN_ORDER] == 1.0
    assert measure("x", weights, 2, 1, channel_tile=4).utilisation[Dealing.IN_ORDER] == 0.5


def test_units_without_kernels_and_layers_without_weights():
    ones = measure("x", np.ones((1, 3, 3, 2)), 4, 1)
    assert (ones.kernels, ones.density) == (1, 1.0)
    assert set(ones.utilisation.values()) == {0.25}
    nothing = measure("x", np.zeros((5, 1, 1, 2)), 4, 2)
    assert nothing.density == 0 and set(nothing.utilisation.values()) == {1.0}


def test_lanes_of_a_fully_connected_layer_read_blocks(resnet8):
    *_, last = prunable(resnet8)
    assert last.op == "fully_connected"
    weights = np.zeros_like(last.weights)
    weights[3, 5] = weights[9, 5] = 1
    assert entries(last, weights, 4).sum(axis=1).tolist() == [1, 0, 1]
    assert entries(last, weights, 16).shape == (1, 64)


def test_balanced_pruning_levels_what_one_threshold_does_not(resnet8):
    for layer in prunable(resnet8):
        threshold, balanced = pruned_masks(layer, 0.25, 16, 16)
        uneven, level = (
            measure("x", entries(layer, layer.weights * mask, 16), 4, 1, 16) for mask in (threshold, balanced)
        )
        if layer.op == "conv_2d":
            assert level.utilisation[Dealing.IN_ORDER] == 1.0 and level.density == pytest.approx(0.25, abs=0.01)
            assert uneven.utilisation[Dealing.IN_ORDER] < 0.9 and uneven.density == pytest.approx(0.25, abs=0.01)
            assert uneven.utilisation[Dealing.IN_ORDER] < uneven.utilisation[Dealing.MERGED] + 1e-9
        else:
            assert level.density == 0.25 < uneven.density


def test_a_grid_of_nothing_is_refused():
    with pytest.raises(SkipstoneError, match="do not fit 0 units"):
        measure("x", np.ones((2, 2)), 0, 1)
