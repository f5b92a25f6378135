"""The vector unit's operations: arithmetic of their parameters, and what is refused."""

import numpy as np
import pytest

from compiler.errors import CompilerError
from compiler.lowering import lower
from compiler.operations import UNCHANGED, Slide, VectorOperation
from compiler.tests.graphs import GraphBuilder
from compiler.vector import division
from hw.config import CoreConfig
from models.golden.fixed_point import multiply_by_quantised_multiplier, multiply_rounding_once, requantisation
from models.layers import AveragePool2D, MaxPool2D, Relu, Rounding


@pytest.mark.parametrize("counts", [range(1, 130), [169, 196, 255, 256, 257, 1000, 1024], [65535, 511 * 511]])
def test_an_average_is_that_of_the_reference_kernel(counts):
    for count in counts:
        total = np.arange(-128 * count, 128 * count + 1, max(1, count // 300))
        halves = count * (2 * np.arange(-128, 128) + 1) // 2  # where rounding turns
        total = np.unique(np.concatenate([total, *(halves + step for step in (-1, 0, 1))]))
        expected = np.copysign((abs(total) + count // 2) // count, total)
        for zero_point in (-128, 0, 127):
            scaling = division(count, zero_point)
            assert scaling.rounding is Rounding.SINGLE and 1 << 30 <= scaling.multiplier < 1 << 31
            assert -31 <= scaling.shift <= 0 and scaling.bias == count * zero_point
        np.testing.assert_array_equal(
            multiply_rounding_once(total, scaling.multiplier, scaling.shift), expected, err_msg=str(count)
        )


def test_unchanged_means_unchanged():
    values = np.concatenate([np.arange(-70000, 70001), [(1 << 30) - 1, 1 - (1 << 30)]])
    for scale in (multiply_by_quantised_multiplier, multiply_rounding_once):
        np.testing.assert_array_equal(scale(values, UNCHANGED.multiplier, UNCHANGED.shift), values)


def test_positions_inside_the_map():
    slide = Slide(start=-2, step=3, taps=4)
    found = [len([at for at in range(first, first + 4) if 0 <= at < 9]) for first in (-2, 1, 4, 7)]
    np.testing.assert_array_equal(slide.inside(4, 9), found)


def _layer(make, **changes):
    """A network of one layer, with some of its attributes changed."""
    builder = GraphBuilder(1)
    output = make(builder)
    builder.change(**changes)
    return builder.build(output)


def _pool(kernel, **window):
    return lambda b: b.pool(b.input((1, 6, 6, 8)), AveragePool2D, kernel, **window)


def _padded(builder, **value):
    return builder.pad(builder.input((1, 6, 6, 8)), (1, 1), (0, 0), **value)


REFUSALS = [
    (_layer(lambda b: b.rescale(b.input((1, 2, 2, 3)), Relu)), {"vector": False}, "needs the vector unit"),
    (
        _layer(lambda b: b.rescale(b.input((1, 2, 2, 3)), Relu), requantisation=requantisation(5.0)),
        {},
        "left shift is 3, but max_left_shift of this configuration is 1: raise it",
    ),
    (_layer(lambda b: b.sum(b.input((1, 4)), b.input((1, 1)))), {}, "not of one shape"),
    (_layer(lambda b: b.sum(b.input((1, 4)), "input_0"), left_shift=15), {}, "set activation_bits to 8"),
    (_layer(lambda b: b.sum(b.input((1, 4)), "input_0")), {"activation_bits": 16}, "set activation_bits to 8"),
    (
        _layer(lambda b: b.sum(b.input((1, 4)), "input_0"), input_scaling=requantisation(0.5, 1.5)),
        {},
        "factors are not 1/2 for one and at most that for the other",
    ),
    (
        _layer(lambda b: b.sum(b.input((1, 4)), "input_0"), input_scaling=requantisation(0.3, 0.4)),
        {},
        "factors are not 1/2 for one and at most that for the other",
    ),
    (_layer(_pool((3, 3), stride=(1, 1), padding=((3, 0), (0, 0)))), {}, "lies in the padding"),
    (
        _layer(_pool((5, 5), stride=(1, 1), padding=((1, 1), (1, 1)))),
        {},
        "by up to 25 positions, but groups x lanes / post_lanes of this configuration is 16: raise groups or lower",
    ),
    (
        _layer(lambda b: b.pool(_padded(b), AveragePool2D, (3, 3), padding=((1, 1), (0, 0)))),
        {},
        "behind a pad layer",
    ),
    (
        _layer(lambda b: b.pool(_padded(b, value=100), MaxPool2D, (3, 3))),
        {},
        "the padding of 100 in front of it",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("network", "changes", "reason"), REFUSALS, ids=[case[2] for case in REFUSALS])
def test_what_the_vector_unit_does_not_do_is_refused_in_one_line(network, changes, reason):
    with pytest.raises(CompilerError) as refused:
        lower(network, CoreConfig(**changes))
    line = str(refused.value)
    assert reason in line and line.startswith(f"layer {network.layers[-1].name}: ") and "\n" not in line


def test_windows_of_as_many_positions_as_there_are_entries_are_done():
    network = _layer(_pool((4, 4), stride=(1, 1), padding=((1, 1), (1, 1))))
    (operation,) = (op for op in lower(network, CoreConfig()).operations if isinstance(op, VectorOperation))
    assert operation.by_count and len(operation.scalings) == 16
