"""The cyclic layer and its golden operator, against the dense convolution that it is equal to."""

from dataclasses import replace

import numpy as np
import pytest

from models import golden
from models.layers import CyclicConv2D, Requantisation
from models.network import Network, NetworkError, Quantisation, Tensor
from models.statistics import gather

SIZE = (7, 6)


def cyclic_layer(
    in_nodes: int,
    out_nodes: int,
    fan_in: int,
    cyclic_dilation: int,
    *,
    kernel: int = 1,
    seed: int = 0,
    **changes: object,
) -> CyclicConv2D:
    """A random layer, whose outputs fill the range of an int8."""
    rng = np.random.default_rng(seed)
    # A product has a standard deviation of about 73 * 74, and the output should have one of about 50.
    shift = -7 - int(np.log2(fan_in * kernel * kernel) / 2)
    layer = CyclicConv2D(
        name="cyclic_conv_2d_0",
        inputs=("x",),
        output="y",
        weights=rng.integers(-127, 128, (out_nodes, fan_in, kernel, kernel), dtype=np.int8),
        bias=rng.integers(-9999, 9999, out_nodes).astype(np.int32),
        requantisation=Requantisation(
            rng.integers(1 << 30, 1 << 31, out_nodes, dtype=np.int64).astype(np.int32),
            np.full(out_nodes, shift, np.int32),
        ),
        input_zero_point=int(rng.integers(-128, 128)),
        output_zero_point=int(rng.integers(-20, 20)),
        activation=(-128, 127),
        stride=(1, 1),
        padding=((0, 0), (0, 0)),
        in_nodes=in_nodes,
        cyclic_dilation=cyclic_dilation,
    )
    return replace(layer, **changes)  # type: ignore[arg-type]


def network_of(layer: CyclicConv2D, size: tuple[int, int] = SIZE) -> Network:
    quantisation = Quantisation.per_tensor(1.0, layer.input_zero_point)
    x = Tensor("x", (1, *size, layer.in_nodes), np.dtype(np.int8), quantisation)
    y = Tensor("y", layer.infer_shape(x.shape), np.dtype(np.int8), Quantisation.per_tensor(1.0))
    return Network("one", {"x": x, "y": y}, (layer,), ("x",), ("y",))


SHAPES = {
    "a power": cyclic_layer(16, 16, 4, 4),
    "no power": cyclic_layer(15, 15, 5, 3),
    "fewer outputs": cyclic_layer(30, 7, 6, 5),
    "more outputs": cyclic_layer(9, 23, 3, 3, kernel=3, padding=((1, 1), (1, 1))),
    "all edges": cyclic_layer(11, 11, 11, 1, kernel=2),
    "all edges, far apart": cyclic_layer(10, 4, 10, 3),
    "one edge": cyclic_layer(8, 8, 1, 5, kernel=3, padding=((0, 1), (2, 0))),
    "few of many edges": cyclic_layer(100, 130, 3, 41, kernel=2, stride=(1, 2), padding=((1, 0), (0, 2))),
    "one of many edges": cyclic_layer(40, 7, 1, 5),
    "one channel": cyclic_layer(1, 5, 1, 1, kernel=5, padding=((2, 2), (2, 2))),
    "one output": cyclic_layer(6, 1, 2, 3),
    "a stride": cyclic_layer(12, 12, 4, 3, kernel=3, stride=(2, 3), padding=((1, 0), (1, 1))),
    "dilated in space": cyclic_layer(6, 6, 2, 3, kernel=3, dilation=(2, 1)),
    "clamped": cyclic_layer(6, 6, 3, 2, activation=(-3, 40)),
}


def dense_by_definition(layer: CyclicConv2D) -> np.ndarray:
    """int8[outputs, height, width, inputs], an edge at a time."""
    dense = np.zeros((layer.out_nodes, *layer.kernel, layer.in_nodes), np.int8)
    for output, edge in np.ndindex(layer.out_nodes, layer.fan_in):
        dense[output, :, :, (output + edge * layer.cyclic_dilation) % layer.in_nodes] = layer.weights[output, edge]
    return dense


def random_maps(layer: CyclicConv2D, batch: int) -> np.ndarray:
    return np.random.default_rng(1).integers(-128, 128, (batch, *SIZE, layer.in_nodes), dtype=np.int8)


@pytest.mark.parametrize("shape", SHAPES)
def test_equal_to_the_dense_convolution(shape):
    layer = SHAPES[shape]
    dense = layer.expanded()
    np.testing.assert_array_equal(dense.weights, dense_by_definition(layer))
    network = network_of(layer)
    assert (layer.in_nodes > 16 * layer.fan_in) == ("many" in shape)
    x = random_maps(layer, 3)
    got = golden.run_layer(network, layer, {"x": x})
    np.testing.assert_array_equal(got, golden.run_layer(replace(network, layers=(dense,)), dense, {"x": x}))
    assert got.std() > 10
    assert layer.macs(network) == got[0].size // layer.out_nodes * layer.weights.size
    assert layer.parameters == layer.weights.size + layer.out_nodes


@pytest.mark.parametrize("seed", range(20))
def test_random_shapes_equal_the_dense_convolution(seed):
    rng = np.random.default_rng(seed)
    nodes, dilation = (int(n) for n in rng.integers(1, (40, 400)[seed % 2], 2))
    layer = cyclic_layer(
        nodes,
        int(rng.integers(1, 60)),
        int(rng.integers(1, min(nodes // np.gcd(nodes, dilation), 40) + 1)),
        dilation,
        kernel=int(rng.integers(1, 4)),
        seed=seed,
        stride=tuple(int(s) for s in rng.integers(1, 4, 2)),
        padding=tuple((int(a), int(b)) for a, b in rng.integers(0, 3, (2, 2))),
    )
    network, dense, x = network_of(layer), layer.expanded(), random_maps(layer, 2)
    got = golden.run_layer(network, layer, {"x": x})
    expected = golden.run_layer(network, dense, {"x": x})
    np.testing.assert_array_equal(got, expected, f"seed {seed}: {layer.support}")


def test_accumulators_wrap():
    """A bias at the end of int32 makes the sum wrap, in the cyclic layer as in the dense one."""
    layer = cyclic_layer(8, 8, 4, 2, bias=np.full(8, (1 << 31) - 1, np.int32))
    layer = replace(layer, requantisation=replace(layer.requantisation, shift=np.full(8, -24, np.int32)))
    network, x = network_of(layer), random_maps(layer, 1)
    got = golden.run_layer(network, layer, {"x": x})
    np.testing.assert_array_equal(got, golden.run_layer(network, layer.expanded(), {"x": x}))
    assert got.min() < 0 < got.max()


@pytest.mark.parametrize("shape", ["fewer outputs", "more outputs", "a stride"])
def test_zeros_that_could_be_skipped_are_counted_edge_by_edge(shape):
    layer = SHAPES[shape]
    network, x = network_of(layer), random_maps(layer, 2)
    x[np.random.default_rng(2).random(x.shape) < 0.4] = layer.input_zero_point
    (row,) = gather(network, golden.run(network, x))
    alive = (x != layer.input_zero_point).astype(int)
    useful = 0
    (top, bottom), (left, right) = layer.padding
    padded = np.pad(alive, ((0, 0), (top, bottom), (left, right), (0, 0)))
    for image, y, z in np.ndindex(len(x), *row.output_shape[1:3]):
        for output, edge, ky, kx in np.ndindex(layer.weights.shape):
            channel = (output + edge * layer.cyclic_dilation) % layer.in_nodes
            useful += padded[image, y * layer.stride[0] + ky, z * layer.stride[1] + kx, channel]
    assert row.skippable_macs == pytest.approx(1 - useful / (row.macs * len(x)))
    assert (row.kernel, row.parameters) == (layer.kernel, layer.parameters)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (
            cyclic_layer(6, 6, 4, 2),
            "a cyclic layer of 6 nodes has at most 3 edges an output with a dilation of 2, not 4",
        ),
        (cyclic_layer(4, 4, 2, 0), "sizes are at least 1"),
        (replace(SHAPES["a power"], weights=np.ones((16, 4), np.int8)), r"packed weights of shape \[16, 4\]"),
        (replace(SHAPES["a power"], bias=np.zeros(3, np.int32)), "3 biases for 16 output channels"),
        (cyclic_layer(4, 4, 2, 1, kernel=9), "a 9x9 window does not fit an input of 7x6"),
    ],
)
def test_what_cannot_be_names_the_layer(layer, message):
    with pytest.raises(NetworkError, match=f"layer cyclic_conv_2d_0: .*{message}"):
        network_of(layer)


def test_another_number_of_channels_is_refused():
    with pytest.raises(NetworkError, match="layer cyclic_conv_2d_0: 16 input nodes do not fit 15 channels"):
        SHAPES["a power"].infer_shape((1, 4, 4, 15))
