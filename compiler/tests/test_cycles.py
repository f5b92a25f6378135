"""What units cost and what is predicted from it: against brute force, and for sanity."""

from itertools import pairwise

import numpy as np
import pytest

from compiler.convolution import Convolution
from compiler.cycles import UnitCosts, load_cycles, store_cycles, unit_costs
from compiler.mapping import Mapping, ceil_div, mappings
from compiler.prediction import Prediction, predict_run
from compiler.program import compile_layer
from compiler.tests.layers import CONFIGS, convolution, random_layers
from hw.config import CoreConfig
from models.sparsity import encode_beats

DEFAULT = CoreConfig()
PER_CONFIG = pytest.mark.parametrize("config", CONFIGS, ids=lambda config: f"{config.groups}x{config.lanes}")


def brute_force(conv: Convolution, mapping: Mapping, non_zero: np.ndarray) -> UnitCosts:
    """Every unit, window and tap on its own, on the whole input [rows, columns, channels]."""
    costs = UnitCosts(*(np.zeros(conv.output_size, np.int64) for _ in range(4)))
    cuts = [slice(first, first + 16) for first in range(0, conv.channels, 16)]
    for unit in np.ndindex(conv.output_size):
        for pool in np.ndindex(conv.pool):
            closed = False
            for tap_row in range(conv.kernel[0]):
                row = _coordinate(conv, 0, unit[0], pool[0], tap_row)
                if not 0 <= row < conv.size[0]:
                    costs.steps[unit] += 2
                    closed = False
                    continue
                for tap_column in range(conv.kernel[1]):
                    column = _coordinate(conv, 1, unit[1], pool[1], tap_column)
                    if not 0 <= column < conv.size[1]:
                        costs.steps[unit] += 2
                        closed = False
                        continue
                    words = [int(non_zero[row, column, cut].sum()) for cut in cuts]
                    costs.steps[unit] += 1 + len(words)
                    costs.operations[unit] += sum(words)
                    costs.words[unit] += sum(1 for word in words if word)
                    closed = words[-1] > 0
            # A result whose last word is zero or padding takes an operation of its own to be closed.
            costs.words[unit] += not closed
            costs.issues[unit] += not closed
    costs.issues[...] += costs.operations
    return costs


def _coordinate(conv: Convolution, axis: int, unit: int, pool: int, tap: int) -> int:
    output = unit * conv.pool_stride[axis] + pool
    return output * conv.stride[axis] + tap * conv.dilation[axis] - conv.padding[axis][0]


def test_unit_costs_are_those_of_brute_force():
    for seed, layer in random_layers(range(60)):
        conv = layer.conv
        program = compile_layer(conv, DEFAULT)
        shaped = layer.input.reshape(*conv.size, conv.channels)
        expected = brute_force(conv, program.mapping, shaped != conv.input_zero_point)
        found = unit_costs(conv, program.mapping, program.stored_input(layer.input))
        for name in ("operations", "words", "issues", "steps"):
            np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), f"seed {seed}, {name}")


def test_operations_are_the_non_zero_activations_under_all_windows():
    for seed, layer in random_layers(range(100, 160)):
        conv = layer.conv
        covered = [np.zeros(size, np.int64) for size in conv.size]  # by how many windows, along each axis
        for axis in range(2):
            for unit in range(conv.output_size[axis]):
                for pool in range(conv.pool[axis]):
                    for tap in range(conv.kernel[axis]):
                        at = _coordinate(conv, axis, unit, pool, tap)
                        if 0 <= at < conv.size[axis]:
                            covered[axis][at] += 1
        pixels = (layer.input.reshape(*conv.size, conv.channels) != conv.input_zero_point).sum(axis=2)
        total = int(covered[0] @ pixels @ covered[1])
        program = compile_layer(conv, DEFAULT)
        operations = unit_costs(conv, program.mapping, program.stored_input(layer.input)).operations
        assert operations.sum() == total, f"seed {seed}"
        (predicted,) = predict_run([(program, layer.input, layer.output)], DEFAULT)
        assert predicted.operations == total * program.mapping.passes, f"seed {seed}"


@PER_CONFIG
@pytest.mark.parametrize("sparse", [True, False])
def test_a_row_takes_at_least_its_beats_and_its_slices(config, sparse):
    rng = np.random.default_rng(5)
    for shape in [(3, 1, 1), (4, 5, 17), (2, 7, 3), (3, 2, 64)]:
        stored = rng.integers(1, 256, shape) * (rng.random(shape) < 0.5)
        packets = encode_beats(
            stored.reshape(len(stored), -1), config.activation_bits, config.stream_units, sparse=sparse
        )
        beats = np.diff(packets.ends, prepend=0)
        slices = ceil_div(shape[1] * shape[2], config.codec_elements)
        for cycles in (load_cycles(stored, config, sparse), store_cycles(stored, config, sparse)):
            assert cycles.shape == (len(stored),)
            assert (cycles >= beats).all() and (cycles >= slices).all(), shape


def predict(conv: Convolution, tensor: np.ndarray, config: CoreConfig = DEFAULT, **options: bool) -> Prediction:
    output = np.full((*conv.output_size, conv.maps), conv.output_zero_point, np.int8)
    (found,) = predict_run([(compile_layer(conv, config, **options), tensor, output)], config)
    return found


def _tensor(conv: Convolution, density: float, seed: int = 0) -> np.ndarray:
    """Larger densities keep what smaller ones have."""
    rng = np.random.default_rng(seed)
    kept = rng.random((*conv.size, conv.channels)) < density
    return np.where(kept, np.int8(1), np.int8(conv.input_zero_point))


@PER_CONFIG
def test_more_activations_take_longer(config):
    conv = convolution((10, 10), 16, 24, padding=((1, 1), (1, 1)))
    results = [predict(conv, _tensor(conv, density), config) for density in (0.0, 0.2, 0.5, 0.8, 1.0)]
    assert results[0].operations == 0
    assert all(a.operations < b.operations for a, b in pairwise(results))
    assert all(a.cycles < b.cycles for a, b in pairwise(results))


def test_more_groups_never_take_longer():
    conv = convolution((16, 16), 32, 64, padding=((1, 1), (1, 1)))
    cycles = [predict(conv, _tensor(conv, 0.5), CoreConfig.sized(groups, 16)).cycles for groups in (1, 2, 4, 8)]
    assert cycles == sorted(cycles, reverse=True)
    assert cycles[0] / cycles[3] > 7  # of at most 8


@PER_CONFIG
def test_a_layer_takes_at_least_its_operations_and_its_weights(config):
    for seed, layer in random_layers(range(40)):
        conv = layer.conv
        for mapping in mappings(conv, config):
            program = compile_layer(conv, config, channel_groups=mapping.channel_groups)
            (found,) = predict_run([(program, layer.input, layer.output)], config)
            assert found.cycles >= found.operations / program.mapping.space_groups, f"seed {seed}"
            assert found.cycles >= len(program.weights), f"seed {seed}"


def test_predictions_are_repeatable():
    for seed, layer in random_layers(range(20)):
        conv = layer.conv
        first, second = (predict(conv, layer.input) for _ in range(2))
        assert first == second, f"seed {seed}"


def test_weights_of_the_next_layer_load_behind_the_one_before():
    conv = convolution((12, 12), 16, 16, padding=((1, 1), (1, 1)))
    tensor, output = _tensor(conv, 0.5), np.zeros((12, 12, 16), np.int8)
    job = (compile_layer(conv, DEFAULT), tensor, output)
    first, second, third = predict_run([job, job, job], DEFAULT)
    loading = len(job[0].weights)
    assert second.cycles == third.cycles
    assert 0 < first.cycles - second.cycles <= loading + 2


def test_a_run_of_no_layers():
    assert predict_run([], DEFAULT) == []
