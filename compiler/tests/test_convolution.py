"""From layers to convolutions, and which pooling is fused."""

import numpy as np
import pytest

from compiler.convolution import Edges, convolutions, from_layer
from compiler.errors import CompilerError
from compiler.tests.layers import conv_2d, convolution, fully_connected, max_pool, network
from models.layers import Rounding

SHAPE = (1, 9, 8, 6)


def test_a_convolution_keeps_every_parameter():
    layer = conv_2d(6, 10, stride=(2, 1), dilation=(1, 2), padding=((1, 0), (2, 1)), activation=(-100, 50))
    conv = from_layer(layer, network(SHAPE, layer))
    assert conv is not None
    assert (conv.name, conv.op, conv.input, conv.output) == ("conv_2d_0", "conv_2d", "input", "convolved")
    assert (conv.size, conv.channels, conv.maps, conv.kernel) == ((9, 8), 6, 10, (3, 3))
    assert (conv.stride, conv.dilation, conv.padding) == ((2, 1), (1, 2), ((1, 0), (2, 1)))
    assert (conv.input_zero_point, conv.output_zero_point, conv.activation) == (1, 2, (-100, 50))
    assert (conv.rounding, conv.pool, conv.pool_stride) == (Rounding.DOUBLE, (1, 1), (1, 1))
    assert conv.weights is layer.weights and conv.bias is layer.bias
    assert conv.shift is layer.requantisation.shift and conv.multiplier is layer.requantisation.multiplier


def test_sizes_and_cost_are_those_of_the_network():
    layer, pooling = conv_2d(6, 10, stride=(2, 1), padding=((1, 0), (2, 1))), max_pool(stride=(2, 3))
    net = network(SHAPE, layer, pooling)
    (conv,) = convolutions(net).values()
    assert (1, *conv.convolved_size, conv.maps) == net.tensors["convolved"].shape
    assert (1, *conv.output_size, conv.maps) == net.tensors["pooled"].shape
    assert conv.map_weights == 3 * 3 * 6
    assert conv.macs == layer.macs(net)


@pytest.mark.parametrize("activation_bits", [8, 16])
@pytest.mark.parametrize("zero_point", [-128, 0, 3, 127])
def test_no_input_makes_a_sum_that_takes_more_bits_and_some_input_takes_them_all(activation_bits, zero_point):
    conv = convolution(input_zero_point=zero_point)
    weights = conv.weights.reshape(conv.maps, -1).astype(np.int64)
    values = np.array([-(1 << activation_bits - 1), (1 << activation_bits - 1) - 1]) - zero_point
    extremes = [np.where(weights > 0, values[i], values[1 - i]) for i in range(2)]
    sums = np.concatenate([(weights * inputs).sum(axis=1) for inputs in extremes])
    bits = conv.sum_bits(activation_bits)
    assert (sums >= -(1 << bits - 1)).all() and (sums < 1 << bits - 1).all()
    assert ((sums < -(1 << bits - 2)) | (sums >= 1 << bits - 2)).any()


@pytest.mark.parametrize(
    ("shape", "keep_dims", "rows"), [((1, 12), False, 1), ((1, 2, 2, 3), False, 1), ((1, 5, 12), True, 5)]
)
def test_a_fully_connected_layer_is_a_1x1_convolution(shape, keep_dims, rows):
    layer = fully_connected(12, 7, keep_dims=keep_dims)
    net = network(shape, layer)
    conv = from_layer(layer, net)
    assert conv is not None
    assert (conv.size, conv.kernel, conv.channels, conv.maps) == ((1, rows), (1, 1), 12, 7)
    np.testing.assert_array_equal(conv.weights[:, 0, 0, :], layer.weights)
    assert conv.rounding is Rounding.SINGLE
    assert conv.macs == layer.macs(net)


def test_what_the_array_does_not_run():
    pooling = max_pool()
    net = network(SHAPE, conv_2d(6, 10, groups=2), pooling)
    assert from_layer(pooling, net) is None
    assert convolutions(net) == {}  # of which only dense ones stream


def test_the_dense_form_of_a_convolution_in_groups():
    grouped = conv_2d(6, 10, groups=2)
    conv = from_layer(grouped, network(SHAPE, grouped))
    assert conv is not None and conv.edges == Edges(6, 1, step=3, step_maps=5) and conv.channels == 6
    dense = conv.expanded()
    assert dense.edges is None and dense.channels == 6
    np.testing.assert_array_equal(dense.weights[:5, ..., :3], grouped.weights[:5])
    np.testing.assert_array_equal(dense.weights[5:, ..., 3:], grouped.weights[5:])
    assert not dense.weights[:5, ..., 3:].any() and not dense.weights[5:, ..., :3].any()


def test_tensors_that_are_not_int8_are_refused():
    layer = conv_2d(6, 10)
    net = network(SHAPE, layer, dtype=np.float32)
    with pytest.raises(
        CompilerError, match=r"^layer conv_2d_0: tensor 'input' is float32, but the array takes .*int8$"
    ):
        convolutions(net)


def test_tensors_of_16_bits_are_taken_if_they_are_wanted():
    layer = conv_2d(6, 10)
    wide = network(SHAPE, layer, dtype=np.int16)
    assert list(convolutions(wide, dtype=np.int16)) == ["conv_2d_0"]
    with pytest.raises(CompilerError, match=r"tensor 'input' is int16, but the array takes and gives int8$"):
        convolutions(wide)
    with pytest.raises(CompilerError, match=r"tensor 'input' is int8, but the array takes and gives int16$"):
        convolutions(network(SHAPE, layer), dtype=np.int16)


def test_a_pooling_behind_a_convolution_is_fused():
    net = network(SHAPE, conv_2d(6, 10), max_pool(kernel=(2, 3), stride=(2, 4)))
    found = convolutions(net)
    assert list(found) == ["conv_2d_0"]
    conv = found["conv_2d_0"]
    assert (conv.pool, conv.pool_stride, conv.output) == ((2, 3), (2, 4), "pooled")


@pytest.mark.parametrize(
    "pooling",
    [
        pytest.param(max_pool(kernel=(3, 2)), id="overlapping rows"),
        pytest.param(max_pool(stride=(2, 1)), id="overlapping columns"),
        pytest.param(max_pool(padding=((0, 0), (0, 1))), id="padded"),
        pytest.param(max_pool(activation=(-127, 127)), id="clamping below"),
        pytest.param(max_pool(activation=(-128, 126)), id="clamping above"),
    ],
)
def test_a_pooling_that_the_post_processor_cannot_do_is_not_fused(pooling):
    conv = convolutions(network(SHAPE, conv_2d(6, 10), pooling))["conv_2d_0"]
    assert (conv.pool, conv.pool_stride, conv.output) == ((1, 1), (1, 1), "convolved")


def test_a_clamp_that_the_convolution_has_already_done_does_not_matter():
    net = network(SHAPE, conv_2d(6, 10, activation=(0, 99)), max_pool(activation=(0, 100)))
    assert convolutions(net)["conv_2d_0"].output == "pooled"


def test_a_tensor_with_another_reader_must_leave():
    second = max_pool(name="max_pool_2d_2", output="pooled again")
    assert convolutions(network(SHAPE, conv_2d(6, 10), max_pool(), second))["conv_2d_0"].output == "convolved"


def test_an_output_of_the_network_must_leave():
    net = network(SHAPE, conv_2d(6, 10), max_pool(), outputs=("pooled", "convolved"))
    assert convolutions(net)["conv_2d_0"].output == "convolved"


def test_layers_come_in_the_order_of_the_network():
    second = conv_2d(10, 3, name="conv_2d_2", inputs=("pooled",), output="end")
    assert list(convolutions(network(SHAPE, conv_2d(6, 10), max_pool(), second))) == ["conv_2d_0", "conv_2d_2"]


def test_a_pooling_of_one_element_changes_nothing_but_the_stride():
    conv = convolution((9, 9), pool=(1, 1), pool_stride=(2, 3))
    assert conv.convolved_size == (7, 7)
    assert conv.output_size == (4, 3)
