"""Plans and packed weights of the rsnn dataflow."""

from dataclasses import replace

import numpy as np
import pytest

from compiler.candidates import candidates, sparse_mappings, sparse_plans, streamed_mappings
from compiler.convolution import Convolution
from compiler.errors import CompilerError
from compiler.sparse_plan import pass_maps, sparse_shapes
from compiler.sparse_weights import GroupEntries, SparsePlan
from compiler.tests.layers import convolution, random_layers
from compiler.tests.sparse_interpreter import group_entries, shared_entries
from hw.config import CoreConfig

ALONE = {"nullhop": False, "csc": False, "rsnn": True}
CONFIG = CoreConfig(groups=3, lanes=6, post_lanes=2, accumulators=4, scratchpad_depth=512, weight_depth=8192, **ALONE)
NARROW = CONFIG.with_changes(delta_bits=1, halo=0, lanes=1, post_lanes=1, accumulators=1)
WIDE = CONFIG.with_changes(lanes=14, post_lanes=16)


def _unpacked_shared(
    plan: SparsePlan, group: GroupEntries, index: dict[tuple[int, int, int], int], config: CoreConfig
) -> np.ndarray:
    """The weights [lanes, weights of a map] of a group whose lanes share their entries."""
    _, entries = shared_entries(group.word_bytes(config), config)
    found, following = np.zeros((config.lanes, len(index)), np.int8), iter(entries)
    for tile in range(plan.shape.tiles):
        place, end = 0, False
        while not end:
            entry = next(following)
            place, end = place + entry["delta"], entry["end"]
            if entry["weights"].any():
                found[:, index[tile, place, entry["rotate"]]] = entry["weights"]
    return found


def unpacked(plan: SparsePlan, conv: Convolution, config: CoreConfig) -> np.ndarray:
    """The weights that the packed words stand for, by what each entry means."""
    tiles, places, rotates = (part.ravel().tolist() for part in plan.shape.places)
    index = {key: at for at, key in enumerate(zip(tiles, places, rotates, strict=True))}
    assert len(index) == len(tiles), "two weights of a kernel would meet the same pixel"
    found = np.zeros((conv.maps, conv.map_weights), np.int8)
    size = pass_maps(conv, plan.shape, config, plan.slots)
    for first, groups in zip(range(0, conv.maps, size), plan.weights.passes, strict=True):
        for group in groups:
            if plan.shape.shared:
                of_block = _unpacked_shared(plan, group, index, config)[: conv.maps - first]
                at = group.maps[0] * config.lanes
                found[first:][at : at + config.lanes] = of_block[: max(0, min(size, conv.maps - first) - at)]
                continue
            header, entries = group_entries(group.word_bytes(config), config)
            following = iter(entries)
            for tile in range(plan.shape.tiles):
                for number in header["maps"][: plan.slots]:
                    place, end = 0, False
                    while not end:
                        entry = next(following)
                        place, end = place + entry["delta"], entry["end"]
                        if entry["value"]:
                            found[first + number, index[tile, place, entry["rotate"]]] = entry["value"]
    return found.reshape(conv.weights.shape)


@pytest.mark.parametrize("config", [CONFIG, NARROW, WIDE], ids=["3x6", "1 lane, deltas of a bit", "3x14"])
@pytest.mark.parametrize("density", [0.0, 0.1, 1.0])
def test_packed_words_stand_for_the_weights(config, density):
    count = 0
    for seed, layer in random_layers(range(40)):
        rng = np.random.default_rng(seed)
        weights = np.where(rng.random(layer.conv.weights.shape) < density, layer.conv.weights, np.int8(0))
        conv = replace(layer.conv, weights=weights, pool=(1, 1), pool_stride=(1, 1))
        try:
            plans = sparse_plans(conv, config)
        except CompilerError:
            continue
        for plan in plans:
            np.testing.assert_array_equal(unpacked(plan, conv, config), weights, f"seed {seed}, {plan.shape}")
            entries = sum(group.slot_counts.sum() for one in plan.weights.passes for group in one)
            assert entries == plan.weights.entries, f"seed {seed}"
            if not plan.shape.shared:
                assert entries == plan.weights.nonzeros + plan.weights.fillers, f"seed {seed}"
            count += 1
    assert count > 30


def test_a_dense_layer_has_no_fillers_and_one_of_zeros_nothing_else():
    conv = convolution((8, 8), 32, 12)
    dense = replace(conv, weights=np.ones_like(conv.weights))
    (plan, *_) = sparse_plans(dense, CONFIG)
    assert plan.weights.fillers == 0 and plan.weights.entries == dense.weights.size
    nothing = replace(conv, weights=np.zeros_like(conv.weights))
    (plan, *_) = sparse_plans(nothing, CONFIG)
    assert plan.weights.entries == plan.weights.fillers == 12 * plan.shape.tiles


def test_a_step_that_is_too_far_takes_fillers():
    conv = convolution((4, 4), 16, 1, (1, 1))
    weights = np.zeros_like(conv.weights)
    weights[0, 0, 0, [0, 15]] = 1
    for bits, fillers in ((4, 0), (3, 2), (2, 4), (1, 14)):
        config = CONFIG.with_changes(groups=1, delta_bits=bits, accumulators=1)
        (plan, *_) = sparse_plans(replace(conv, weights=weights), config)
        assert plan.weights.fillers == fillers, bits


def test_kernels_are_dealt_so_that_groups_are_done_together():
    conv = convolution((4, 4), 16, 12)
    weights = np.zeros_like(conv.weights).reshape(12, -1)
    for number in range(12):
        weights[number, : 12 * (number + 1)] = 1
    (plan, *_) = sparse_plans(replace(conv, weights=weights.reshape(conv.weights.shape)), CONFIG)
    loads = [int(group.slot_counts.sum()) for group in plan.weights.passes[0]]
    assert len(plan.weights.passes) == 1 and max(loads) <= 1.03 * np.mean(loads)


def test_rows_fold_where_that_gives_more_lanes_something_to_do():
    config = CONFIG.with_changes(lanes=16)
    (unfolded, folded) = sparse_shapes(convolution((9, 7), 4, 4, padding=((1, 1), (1, 1))), config)
    assert (unfolded.folds, unfolded.pixels, unfolded.planes) == (1, 7, 1)
    assert (folded.folds, folded.pixels, folded.planes) == (2, 14, 3)
    assert list(folded.segment_pixels()) == [14, 14, 14, 14, 7]
    assert [shape.folds for shape in sparse_shapes(convolution((9, 11), 4, 4), config)] == [1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scratchpad_depth": 16}, "a window takes 48 places of the rsnn scratchpad, but .* raise it to 64"),
        ({"weight_depth": 64}, "its non-zero weights take .* words .* but weight_depth .* is 64: raise it to"),
        ({"groups": 1, "accumulators": 1}, "at most 1 maps, which is no whole beat of the 2 lanes .* accumulators"),
        ({"activation_depth": 16}, "takes 256 words of activation memory, but .* is 64: raise activation_depth"),
        ({"rsnn": False, "csc": True, "lanes": 4}, "it needs the nullhop dataflow, which this configuration leaves"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    conv = convolution((8, 8), 32, 20, padding=((1, 1), (1, 1)))
    with pytest.raises(CompilerError, match=f"^layer conv_2d_7: .*{message}"):
        streamed_mappings(conv, CONFIG.with_changes(**changes))


def test_what_one_dataflow_cannot_hold_runs_on_the_other():
    both = CONFIG.with_changes(nullhop=True, scratchpad_depth=16)
    conv = convolution((8, 8), 32, 20, padding=((1, 1), (1, 1)))
    assert {one.mapping.dataflow for one in candidates(conv, both, 2)} == {"nullhop"}
    both = CONFIG.with_changes(nullhop=True, weight_depth=256)
    sparse = replace(conv, weights=np.where(conv.weights > 100, conv.weights, np.int8(0)))
    assert {one.mapping.dataflow for one in candidates(sparse, both, 2)} == {"rsnn"}


def test_a_layer_with_pooling_has_no_mapping():
    pooled = convolution((8, 8), 4, 4, pool=(2, 2), pool_stride=(2, 2))
    with pytest.raises(CompilerError, match="it needs the nullhop dataflow"):
        candidates(pooled, CONFIG, 1)


def test_multiplies_are_those_of_weights_and_pixels():
    conv = convolution((5, 7), 4, 4)
    (mapping, *_) = sparse_mappings(conv, CONFIG, 1)
    assert mapping.sparse is not None
    operations = mapping.sparse.weights.nonzeros * mapping.sparse.shape.segment_count
    assert mapping.multiplies(operations, conv.maps) == np.count_nonzero(conv.weights) * 3 * 5
