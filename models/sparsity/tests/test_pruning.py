import numpy as np
import pytest

from models.errors import SkipstoneError
from models.sparsity.partitions import kernel_partition, nonzeros_by_kernel, unit_partition
from models.sparsity.pruning import CubicSchedule, Pruner, Rule, balanced_mask, lane_block_mask, quota

SHAPES = [(1, 1, 1, 1), (5, 3, 3, 7), (8, 3, 3, 32), (16, 1, 1, 17), (10, 64)]
DENSITIES = [0.0, 0.1, 0.25, 0.35, 0.5, 0.99, 1.0]


def random_weights(shape, seed):
    """Kernels of very different size, so that one threshold for all would be far from level."""
    rng = np.random.default_rng(seed)
    spread = rng.lognormal(sigma=1, size=(shape[0], *[1] * (len(shape) - 1)))
    return rng.normal(size=shape) * spread


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("tile", [None, 1, 4, 16])
def test_each_partition_keeps_exactly_its_quota_of_the_largest(shape, tile):
    weights = random_weights(shape, seed=1)
    labels = kernel_partition(shape, tile)
    for density in DENSITIES:
        mask = balanced_mask(weights, labels, density)
        for label in range(labels.max() + 1):
            inside = labels == label
            assert inside.any(), label
            kept, dropped = abs(weights[inside & mask]), abs(weights[inside & ~mask])
            assert kept.size == quota(inside.sum(), density), (density, label)
            assert not kept.size or not dropped.size or kept.min() >= dropped.max(), (density, label)


@pytest.mark.parametrize(
    ("size", "density", "kept"), [(10, 0.35, 4), (10, 0.25, 3), (27, 0.25, 7), (25, 0.1, 3), (144, 0.35, 50), (7, 1, 7)]
)
def test_quotas_are_rounded_halves_up(size, density, kept):
    assert quota(size, density) == kept


def test_partitions_are_pairs_of_unit_and_tile():
    labels = unit_partition((4, 3, 3, 5), [1, 0, 1, 0], channel_tile=2)
    assert labels.shape == (4, 3, 3, 5)
    assert labels[:, 0, 0].tolist() == [[3, 3, 4, 4, 5], [0, 0, 1, 1, 2]] * 2
    assert (labels == labels[:, :1, :1]).all()
    first = kernel_partition((2, 3, 5, 5), channel_tile=2, channel_axis=1)
    assert first[:, :, 0, 0].tolist() == [[0, 0, 1], [2, 2, 3]]


def test_a_quota_for_the_unit_lets_its_kernels_differ():
    weights = random_weights((8, 3, 3, 16), seed=2)
    labels = unit_partition(weights.shape, np.arange(8) % 4)
    mask = balanced_mask(weights, labels, 0.25)
    kernels = nonzeros_by_kernel(weights * mask)[0]
    assert (kernels[:4] + kernels[4:] == quota(2 * 144, 0.25)).all()
    assert len(set(kernels)) > 1


@pytest.mark.parametrize("units", [1, 3, 8, 32])
def test_level_kernels_are_level_on_any_grid(units):
    weights = random_weights((24, 3, 3, 64), seed=3)
    pruned = weights * balanced_mask(weights, kernel_partition(weights.shape, 16), 0.35)
    for tile in (16, 32, 48, None):
        counts = nonzeros_by_kernel(pruned, tile)
        for taken in np.array_split(counts[:, : 24 // units * units], max(1, 24 // units), axis=1):
            assert (taken == taken[:, :1]).all()


@pytest.mark.parametrize("shape", [(84, 120), (16, 5), (10, 84), (1, 9), (33, 7)])
@pytest.mark.parametrize("lanes", [1, 4, 16, 40])
def test_lanes_share_a_pattern(shape, lanes):
    weights = random_weights(shape, seed=4)
    mask = lane_block_mask(weights, lanes, 0.3)
    for first in range(0, shape[0], lanes):
        block = mask[first : first + lanes]
        assert (block == block[0]).all() and block[0].sum() == quota(shape[1], 0.3)
        sums = abs(weights[first : first + lanes]).sum(axis=0)
        assert block[0].all() or not block[0].any() or sums[block[0]].min() >= sums[~block[0]].max()


def test_blocks_are_level_in_each_tile_of_inputs():
    mask = lane_block_mask(random_weights((32, 50), seed=5), 16, 0.5, input_tile=20)
    assert [mask[16, 0:20].sum(), mask[16, 20:40].sum(), mask[16, 40:].sum()] == [10, 10, 5]


def test_equal_weights_are_kept_in_order_and_zeros_last():
    labels = np.zeros(6, np.int64)
    assert balanced_mask(np.array([0, 2, -2, 2, 0, 1]), labels, 0.5).tolist() == [False, True, True, True, False, False]
    assert balanced_mask(np.zeros(6), labels, 0.5).tolist() == [True, True, True, False, False, False]
    # An int8 -128 has no absolute value in int8.
    assert balanced_mask(np.array([-128, 127, 1], np.int8), labels[:3], 1 / 3).tolist() == [True, False, False]


def test_the_schedule_is_cubic_and_ends_exactly():
    schedule = CubicSchedule(1.0, 0.2, 100, 300)
    assert [schedule.density(step) for step in (0, 100, 300, 1000)] == [1.0, 1.0, 0.2, 0.2]
    assert schedule.density(200) == pytest.approx(0.2 + 0.8 / 8)
    densities = [schedule.density(step) for step in range(90, 310)]
    assert densities == sorted(densities, reverse=True)
    assert CubicSchedule(0.9, 0.4, 5, 5).density(5) == 0.4


def test_masks_are_nested_and_freeze_at_the_end():
    rng = np.random.default_rng(6)
    rules = {"conv": Rule(4, channel_axis=1), "fc": Rule(lanes=8)}
    weights = {"conv": random_weights((6, 8, 3, 3), seed=7), "fc": random_weights((20, 30), seed=8)}
    # The end is none of the steps that are asked for: the first after it still prunes to the final density.
    pruner = Pruner(rules, CubicSchedule(1.0, 0.25, 0, 95))
    last = {name: np.ones(w.shape, bool) for name, w in weights.items()}
    for step in range(0, 140, 20):
        assert not pruner.frozen or step > 100
        masks = pruner.step(step, weights)
        for name, mask in masks.items():
            assert not (mask & ~last[name]).any(), (step, name)
        last = {name: mask.copy() for name, mask in masks.items()}
        # Training moves every weight, those that were dropped too, unless the caller applies the masks.
        weights = {name: w + rng.normal(size=w.shape) for name, w in weights.items()}
    assert pruner.frozen
    assert (nonzeros_by_kernel(last["conv"].astype(int), 4, channel_axis=1) == 9).all()
    assert (last["fc"].sum(axis=1) == quota(30, 0.25)).all()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: balanced_mask(np.ones(3), np.zeros(3, int), 1.1), "a density of 1.1"),
        (lambda: balanced_mask(np.ones(3), np.zeros(4, int), 1.0), r"labels of shape \[4\] for weights of shape \[3\]"),
        (lambda: balanced_mask(np.array([1, np.nan]), np.zeros(2, int), 1.0), "not a finite number"),
        (lambda: lane_block_mask(np.ones((2, 2)), 0, 0.5), "blocks of 0 lanes"),
        (lambda: lane_block_mask(np.ones((2, 2, 1, 1)), 2, 0.5), "give a matrix"),
        (lambda: CubicSchedule(0.2, 0.5, 0, 1), "they fall"),
        (lambda: CubicSchedule(0.5, 0.2, 2, 1), "from step 2 to step 1"),
        (lambda: kernel_partition((4,)), "outputs first"),
        (lambda: kernel_partition((4, 0)), "outputs first"),
        (lambda: kernel_partition((4, 3), 0), "tiles of 0 channels"),
        (lambda: kernel_partition((4, 3), 2, channel_axis=0), "along dimension 0"),
        (lambda: unit_partition((4, 3), [0, 1]), "not those of 4 kernels"),
        (lambda: unit_partition((1, 3), [-1]), "not those of 1 kernels"),
    ],
)
def test_what_cannot_be_pruned_is_one_line(make, words):
    with pytest.raises(SkipstoneError, match=words) as refused:
        make()
    assert "\n" not in str(refused.value)
