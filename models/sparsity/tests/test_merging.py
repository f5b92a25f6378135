from itertools import permutations

import numpy as np
import pytest

from models.errors import SkipstoneError
from models.sparsity.merging import merge_kernels, unit_loads


def makespan(counts: np.ndarray, places: np.ndarray, pus: int) -> int:
    return int(unit_loads(counts, places, pus).max(axis=1).sum())


@pytest.mark.parametrize(
    ("kernels", "pus", "slots"), [(1, 1, 1), (1, 4, 2), (7, 4, 2), (8, 4, 2), (32, 32, 1), (5, 1, 5)]
)
@pytest.mark.parametrize("tiles", [None, 1, 3])
def test_every_kernel_has_a_slot_of_its_own(kernels, pus, slots, tiles):
    for seed in range(5):
        shape = kernels if tiles is None else (tiles, kernels)
        counts = np.random.default_rng(seed).integers(0, 20, shape)
        places = merge_kernels(counts, pus, slots)
        message = f"seed {seed}"
        assert places.shape == (kernels, 2), message
        assert len({tuple(place) for place in places}) == kernels, message
        for pu in range(pus):
            slots_taken = sorted(places[places[:, 0] == pu, 1])
            assert slots_taken == list(range(len(slots_taken))) and len(slots_taken) <= slots, message
        assert (unit_loads(counts, places, pus).sum(axis=1) == np.atleast_2d(counts).sum(axis=1)).all(), message


def test_the_largest_goes_to_the_least_loaded_unit_with_a_free_slot():
    assert merge_kernels(np.array([3, 9, 5, 4]), 2, 2)[:, 0].tolist() == [0, 0, 1, 1]
    # By load alone all three small kernels belong beside each other; the slots allow two.
    assert merge_kernels(np.array([9, 1, 1, 1]), 2, 2)[:, 0].tolist() == [0, 1, 1, 0]


def test_tiles_are_balanced_one_by_one():
    # Sums alone do not tell these kernels apart: a unit must have one of each kind to be level in both tiles.
    counts = np.array([[8, 0, 8, 0], [0, 8, 0, 8]])
    loads = unit_loads(counts, merge_kernels(counts, 2, 2), 2)
    assert (loads == 8).all()


@pytest.mark.parametrize("seed", range(20))
def test_no_further_from_the_best_than_the_bound_of_the_method(seed):
    rng = np.random.default_rng(seed)
    pus, kernels = 3, 6
    counts = rng.integers(1, 30, kernels)
    best = min(
        max(counts[list(order[:2])].sum(), counts[list(order[2:4])].sum(), counts[list(order[4:])].sum())
        for order in permutations(range(kernels))
    )
    # With as many slots as kernels, Graham's bound holds; two slots each can only cost as much as fits two.
    assert makespan(counts, merge_kernels(counts, pus, kernels), pus) <= (4 / 3 - 1 / (3 * pus)) * best
    assert makespan(counts, merge_kernels(counts, pus, 2), pus) <= 4 / 3 * best


def test_equal_counts_are_dealt_in_order_and_zeros_cost_nothing():
    assert merge_kernels(np.full(6, 4), 3, 2).tolist() == [[0, 0], [1, 0], [2, 0], [0, 1], [1, 1], [2, 1]]
    places = merge_kernels(np.array([0, 5, 0, 5]), 2, 2)
    assert unit_loads(np.array([0, 5, 0, 5]), places, 2).tolist() == [[5, 5]]
    assert merge_kernels(np.zeros(0, int), 2, 2).shape == (0, 2)


@pytest.mark.parametrize(
    ("counts", "pus", "slots", "words"),
    [
        (np.arange(5), 2, 2, "5 kernels do not fit 2 units of 2 slots"),
        (np.arange(5), 0, 9, "do not fit 0 units"),
        (np.array([-1]), 1, 1, r"are counts \[kernels\] or \[tiles, kernels\], not"),
        (np.array([0.5]), 1, 1, "not float64"),
        (np.zeros((1, 1, 1), int), 1, 1, r"not int64\[1, 1, 1\]"),
    ],
)
def test_what_cannot_be_merged_is_one_line(counts, pus, slots, words):
    with pytest.raises(SkipstoneError, match=words):
        merge_kernels(counts, pus, slots)


def test_places_of_other_kernels_or_units_are_refused():
    places = merge_kernels(np.arange(4), 2, 2)
    with pytest.raises(SkipstoneError, match=r"are not those of 3 kernels on 2 units"):
        unit_loads(np.arange(3), places, 2)
    with pytest.raises(SkipstoneError, match="on 1 units"):
        unit_loads(np.arange(4), places, 1)
