from math import ceil, floor, prod

import numpy as np
import pytest

from models.sparsity.cyclic import (
    CyclicCascade,
    CyclicError,
    SupportLayer,
    exact_fans,
    narrowing,
    one_path,
    several_paths,
    uniform_fans,
)

NODES = 260
"""Every size up to this one is tried."""


def weights(cascade: CyclicCascade, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(-9, 10, layer.shape) for layer in cascade.layers]


def counted(cascade: CyclicCascade) -> np.ndarray:
    """Paths between each pair of ends, counted edge by edge: the product of the adjacency matrices."""
    # Whole numbers of this size are exact in floating point, whose products are quick.
    reached = np.eye(cascade.nodes)
    for layer in cascade.layers:
        adjacency = np.zeros((layer.rows, layer.nodes))
        outputs = np.arange(layer.rows)
        for edge in range(layer.fan):
            np.add.at(adjacency, (outputs, (outputs + edge * layer.dilation) % layer.nodes), 1)
        assert adjacency.max() == 1, layer
        reached = adjacency @ reached
    return reached[:, : cascade.inputs]


@pytest.mark.parametrize("nodes", range(1, NODES + 1))
def test_prime_factors_give_exactly_one_path(nodes):
    fans = exact_fans(nodes)
    assert prod(fans) == nodes
    for order in {fans, fans[::-1]}:
        cascade = one_path(nodes, nodes, order)
        assert (counted(cascade) == 1).all(), order
        assert cascade.parameters == nodes * sum(order)


@pytest.mark.parametrize("fan", [2, 3, 4, 5, 7, 8, 16])
def test_any_size_with_one_fan_has_about_as_many_paths_everywhere(fan):
    for nodes in range(1, NODES + 1, 3):
        fans = uniform_fans(nodes, fan)
        assert prod(fans) >= nodes and max(fans) <= max(fan, 1) and prod(fans[:-1]) < max(nodes, 2)
        paths = counted(one_path(nodes, nodes, fans))
        share = prod(fans) / nodes
        assert paths.min() >= max(1, floor(share)) and paths.max() <= ceil(share), (nodes, fans)


@pytest.mark.parametrize("nodes", [1, 2, 4, 6, 9, 12, 16, 30, 36, 64, 100, 128, 210, 256])
def test_two_layers_with_several_paths(nodes):
    tried = 0
    for second in (d for d in range(1, nodes + 1) if nodes % d == 0):
        step = nodes // second
        for first in {step, 2 * step, 3 * step, nodes} & set(range(1, nodes + 1)):
            cascade = several_paths(nodes, nodes, (first, second))
            assert (counted(cascade) == first * second // nodes).all(), (first, second)
            tried += 1
    assert tried >= 1
    if (side := round(nodes**0.5)) ** 2 == nodes and side % 2 == 0:
        # F = sqrt(N C) for C = 4.
        assert several_paths(nodes, nodes, (2 * side, 2 * side)).parameters == 2 * nodes * 2 * side


def test_several_paths_on_more_nodes_than_either_end():
    """As many nodes as have the divisors that are wanted; inputs that are not there are zero."""
    cascade = several_paths(10, 15, (8, 8), nodes=16)
    assert (counted(cascade) == 4).all() and counted(cascade).shape == (15, 10)
    assert cascade.parameters == 16 * 8 + 15 * 8


def test_paths_by_distance_are_those_counted_edge_by_edge():
    for cascade in (one_path(30, 30, (5, 3, 2)), one_path(23, 23, (3, 3, 3)), several_paths(24, 24, (8, 12))):
        ends = np.arange(cascade.nodes)
        np.testing.assert_array_equal(counted(cascade), cascade.paths[(ends - ends[:, np.newaxis]) % cascade.nodes])


@pytest.mark.parametrize(("inputs", "outputs"), [(12, 30), (30, 12), (784, 300), (7, 5), (1, 9), (9, 1)])
def test_more_inputs_than_outputs_or_fewer(inputs, outputs):
    nodes = max(inputs, outputs)
    cascade = one_path(inputs, outputs, exact_fans(nodes))
    assert (counted(cascade) == 1).all() and counted(cascade).shape == (outputs, inputs)
    packed = weights(cascade, inputs)
    dense = cascade.compose(packed)
    assert dense.shape == (outputs, inputs, 1, 1)
    values = np.random.default_rng(1).integers(-9, 10, (3, inputs))
    np.testing.assert_array_equal(cascade.apply(packed, values), values @ dense[:, :, 0, 0].T)
    assert cascade.parameters == nodes * sum(cascade.fans[:-1]) + outputs * cascade.fans[-1]
    assert cascade.macs() == cascade.parameters and cascade.dense_parameters == inputs * outputs


@pytest.mark.parametrize(
    ("inputs", "outputs", "nodes", "first", "fans"),
    [
        (784, 300, 308, 28, (28,)),
        (784, 300, 294, 16, (7, 7)),
        (784, 10, 112, 7, (4, 4, 7)),
        (300, 100, 50, 6, (10, 5)),
        (12, 5, 4, 3, (2, 2)),
        (6, 7, 2, 3, (2,)),
    ],
)
def test_narrowing_first_has_exactly_one_path(inputs, outputs, nodes, first, fans):
    layers = narrowing(inputs, outputs, nodes, first, fans)
    reached = np.eye(inputs)
    for layer in layers:
        reached = layer.expand(np.ones(layer.shape))[:, :, 0, 0] @ reached
    assert reached.shape == (outputs, inputs) and (reached == 1).all()
    assert sum(layer.parameters for layer in layers) == nodes * (first + sum(fans[:-1])) + outputs * fans[-1]


@pytest.mark.parametrize(("inputs", "outputs"), [(12, 30), (16, 32), (9, 10), (1, 9)])
def test_more_outputs_than_nodes_start_over(inputs, outputs):
    """On as many nodes as inputs: exactly one path still, and fewer weights than on as many nodes as outputs."""
    cascade = one_path(inputs, outputs, exact_fans(inputs), nodes=inputs)
    reached = counted(cascade)
    assert (reached == 1).all() and reached.shape == (outputs, inputs)
    ends = np.arange(inputs) - np.arange(outputs)[:, np.newaxis]
    np.testing.assert_array_equal(reached, cascade.paths[ends % cascade.nodes])
    packed = weights(cascade, outputs)
    values = np.random.default_rng(2).integers(-9, 10, (3, inputs))
    np.testing.assert_array_equal(cascade.apply(packed, values), values @ cascade.compose(packed)[:, :, 0, 0].T)
    assert cascade.parameters == inputs * sum(cascade.fans[:-1]) + outputs * cascade.fans[-1]
    assert cascade.parameters < one_path(inputs, outputs, exact_fans(outputs)).parameters


def test_a_dense_layer_is_one_layer_of_all_edges():
    cascade = one_path(8, 8, (8,))
    packed = weights(cascade, 1)
    dense = cascade.compose(packed)[:, :, 0, 0]
    for output in range(8):
        np.testing.assert_array_equal(np.roll(dense[output], -output), packed[0][output, :, 0, 0])


@pytest.mark.parametrize(
    "layer",
    [
        SupportLayer(12, 3, 4, 12),
        SupportLayer(10, 5, 3, 7, (3, 2)),
        SupportLayer(5, 3, 2, 12),
        SupportLayer(1, 1, 1, 1),
    ],
)
def test_packed_and_dense_are_the_same_weights(layer):
    packed = np.random.default_rng(2).integers(-9, 10, layer.shape)
    dense = layer.expand(packed)
    assert dense.shape == (layer.rows, layer.nodes, *layer.kernel)
    np.testing.assert_array_equal(layer.pack(dense), packed)
    for output in range(layer.rows):
        for edge in range(layer.fan):
            source = (output + edge * layer.dilation) % layer.nodes
            np.testing.assert_array_equal(dense[output, source], packed[output, edge])
    assert np.count_nonzero(dense) == np.count_nonzero(packed)


@pytest.mark.parametrize("spatial", [0, 1])
def test_a_convolution_has_its_kernel_in_one_layer(spatial):
    nodes, fans, kernel = 16, (4, 4), (3, 3)
    cascade = one_path(nodes, nodes, fans, kernel=kernel, spatial=spatial)
    assert cascade.kernel == kernel
    assert cascade.parameters == nodes * 4 * (3 * 3 + 2 - 1)
    packed = weights(cascade, 3)
    dense = cascade.compose(packed)
    assert dense.shape == (nodes, nodes, 3, 3) and cascade.dense_parameters == dense.size
    # Each pair has one path: its kernel is that of the path's spatial edge, times the weight of the other edge.
    first, second = (layer.expand(part) for layer, part in zip(cascade.layers, packed, strict=True))
    for output in range(nodes):
        for source in range(nodes):
            paths = [
                first[middle, source] * second[output, middle]
                for middle in range(nodes)
                if first[middle, source].any() and second[output, middle].any()
            ]
            assert len(paths) <= 1
            np.testing.assert_array_equal(dense[output, source], paths[0] if paths else np.zeros(kernel))


def test_multiplications_of_a_convolution_with_a_stride():
    cascade = one_path(16, 16, (4, 4), kernel=(3, 3), spatial=1)
    assert cascade.macs(25, 100) == 64 * 100 + 64 * 9 * 25
    assert one_path(16, 16, (4, 4), kernel=(3, 3)).macs(25, 100) == (64 * 9 + 64) * 25


def test_lenet_300_100_shrinks_as_published():
    sizes = [(784, 300), (300, 100)]
    dense = sum(a * b for a, b in sizes)
    cyclic = sum(one_path(a, b, uniform_fans(max(a, b), 4)).parameters for a, b in sizes)
    assert 10 <= dense / cyclic <= 46


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: one_path(16, 16, (2, 2, 2)), r"fans of \[2, 2, 2\] reach 8 of 16 nodes"),
        (lambda: one_path(4, 4, (8,)), "at most 4 edges an output with a dilation of 1, not 8"),
        (lambda: one_path(6, 6, (2, 6)), "at most 3 edges an output with a dilation of 2, not 6"),
        (lambda: uniform_fans(10, 1), "a fan of 1 reaches no other node"),
        (lambda: several_paths(12, 12, (4, 5)), "do not give 12 nodes a whole number of paths"),
        (lambda: narrowing(12, 5, 4, 5, (2, 2)), "a first fan of 5 and .* do not narrow 12 inputs to 4 nodes"),
        (lambda: narrowing(12, 5, 6, 3, (2, 2)), "do not narrow 12 inputs to 6 nodes"),
        (lambda: narrowing(12, 5, 4, 3, (2,)), r"fans of \[2\] do not narrow"),
        (lambda: narrowing(12, 5, 4, 0, ()), "a first fan of 0"),
        (lambda: SupportLayer(4, 2, 1, 0), "sizes are at least 1"),
        (lambda: SupportLayer(4, 2, 1, 4).pack(np.ones((4, 4, 1, 1))), "values outside the 2 edges"),
        (lambda: SupportLayer(4, 2, 1, 4).pack(np.ones((4, 4))), r"of shape \[4, 4\], not \[4, 4, 1, 1\]"),
        (lambda: SupportLayer(4, 2, 1, 4).expand(np.ones((4, 3, 1, 1))), r"of shape \[4, 3, 1, 1\], not"),
        (lambda: one_path(4, 4, (2, 2)).compose([np.ones((4, 2, 1, 1))]), "2 layers was given weights for 1"),
        (lambda: one_path(4, 4, (4,)).apply([np.ones((4, 4, 1, 1))], np.ones(5)), "4 inputs was given 5"),
        (lambda: CyclicCascade(4, 4, (SupportLayer(5, 2, 1, 5),)), r"have rows \[4\]"),
        (lambda: one_path(5, 4, (2, 2), nodes=4), "equally many nodes, 5 or more"),
        (lambda: CyclicCascade(4, 4, ()), "equally many nodes, 4 or more"),
    ],
)
def test_what_cannot_be_is_one_line(make, message):
    with pytest.raises(CyclicError, match=message) as refused:
        make()
    assert "\n" not in str(refused.value)
