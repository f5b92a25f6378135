"""What a network becomes: which operations, and what is refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from compiler.errors import CompilerError
from compiler.lowering import lower
from compiler.network_program import compile_network
from compiler.operations import OPERATION_NAMES, Convolve
from compiler.tests.graphs import GraphBuilder, with_zero
from hw.config import AcceleratorConfig, CoreConfig
from models.layers import Conv2D, Dequantize, MaxPool2D, Quantize, Requantize
from models.network import Network, Quantisation, Tensor
from models.zoo import networks


def kinds(network: Network, **changes: Any) -> list[str]:
    return [OPERATION_NAMES[int(op.kind)] for op in lower(network, CoreConfig(**changes)).operations]


def test_resnet8():
    found = lower(networks.load("resnet8"), CoreConfig())
    names = [operation.name for operation in found.operations]
    assert names[:5] == ["load_0", "conv_2d_0", "conv_2d_1", "conv_2d_2", "add_3"]
    assert names[-2:] == ["average_pool_2d_12", "fully_connected_14"]
    assert found.graph.host.after == ("softmax_15",) and not found.graph.host.before
    assert (
        len(found.maps) == 1 + 15
    )  # the input, and all but the softmax; the reshape has the words of what it reshapes


def test_a_network_of_real_numbers_is_quantised_and_dequantised_on_the_host():
    found = lower(networks.load("anomaly_detection"), CoreConfig())
    assert found.graph.host.before == ("quantize_0",) and found.graph.host.after == ("dequantize_16",)
    # The input arrives flat, as the first layer reads it.
    assert found.operations[0].output is not None and found.operations[0].output.shape == (1, 1, 640)


def test_a_pad_layer_becomes_padding():
    builder = GraphBuilder(1)
    network = builder.build(
        builder.conv(builder.pad(builder.input((1, 5, 5, 4)), (1, 2), (0, 3)), 4, (3, 3), padding=((1, 0), (1, 1)))
    )
    (_, conv) = lower(network, CoreConfig()).operations
    assert isinstance(conv, Convolve) and conv.conv.padding == ((2, 2), (1, 4)) and conv.conv.size == (5, 5)


def test_a_pooling_is_fused_unless_the_tensor_is_wanted():
    builder = GraphBuilder(2)
    made = builder.conv(builder.input((1, 6, 6, 4)), 4, (3, 3))
    builder.change(activation=(-128, 127))
    pooled = builder.pool(made, MaxPool2D, (2, 2))
    builder.change(activation=(-128, 127))
    assert kinds(builder.build(pooled)) == ["LOAD", "CONVOLVE"]
    assert kinds(builder.build(pooled, made)) == ["LOAD", "CONVOLVE", "MAXIMUM"]
    assert kinds(builder.build(pooled), max_kernel=3) == ["LOAD", "CONVOLVE"]
    assert lower(builder.build(pooled), CoreConfig()).operations[1].layers == ("conv_2d_0", "max_pool_2d_1")


def test_zeros_are_made_for_a_convolution_that_reads_them():
    builder = GraphBuilder(3)
    narrow = builder.conv(builder.input((1, 4, 4, 16)), 5, (1, 1))
    network = builder.build(builder.conv(narrow, 16, (1, 1)))
    # Where a word's elements are the lanes of one group, maps of zeros cost nothing; where not, they are written.
    assert kinds(network) == ["LOAD", "CONVOLVE", "CONVOLVE"]
    first = lower(network, CoreConfig()).operations[1]
    assert isinstance(first, Convolve) and first.computed.maps == 16
    assert kinds(network, groups=1, lanes=4, post_lanes=4) == ["LOAD", "CONVOLVE", "SUM", "CONVOLVE"]
    assert kinds(network, groups=1, lanes=4, post_lanes=4, vector=False) == ["LOAD", "CONVOLVE", "CONVOLVE"]
    alone = builder.build(narrow)
    only = lower(replace(alone, layers=alone.layers[:1]), CoreConfig()).operations[1]
    assert isinstance(only, Convolve) and only.computed.maps == 5


def _never_zero() -> Network:
    builder = GraphBuilder(4)
    made = builder.conv(builder.input((1, 4, 4, 16)), 5, (1, 1))
    zero = builder.zero(made)
    clamp = (zero + 1, 127) if zero < 100 else (-128, zero - 1)
    builder.change(activation=clamp)
    return builder.build(builder.conv(made, 16, (1, 1)))


def _constant() -> Network:
    builder = GraphBuilder(4)
    made = builder.sum(builder.input((1, 4)), builder._tensor("constant", (1, 4), 3))
    builder.tensors["constant"] = replace(builder.tensors["constant"], data=np.zeros((1, 4), np.int8))
    return builder.build(made)


def _real() -> Network:
    real = {n: Tensor(n, (1, 4), np.dtype(np.float32)) for n in ("input", "output")}
    between = Tensor("q", (1, 4), np.dtype(np.int8), Quantisation.per_tensor(0.1, 0))
    layers = (
        Quantize(name="quantize_0", inputs=("input",), output="q", scale=0.1, zero_point=0),
        Dequantize(name="dequantize_1", inputs=("q",), output="output", scale=0.1, zero_point=0),
    )
    return Network("real", {**real, "q": between}, layers, ("input",), ("output",))


def _made(make, seed=1) -> Network:
    builder = GraphBuilder(seed)
    return builder.build(make(builder))


def _equal(builder: GraphBuilder) -> str:
    return with_zero(builder, builder.conv("input_0", 4, (1, 1)), builder.zero("input_0"))


def _padded(builder: GraphBuilder, **value: int) -> str:
    return builder.pad(builder.input((1, 3, 3, 4)), (1, 1), (1, 1), **value)


def _reshaped(builder: GraphBuilder) -> str:
    return builder.reshape(builder.conv(builder.input((1, 4, 4, 3)), 3, (1, 1)), (1, 4, 3, 4))


REFUSALS = [
    (_real(), {}, "real has no layer for the accelerator"),
    (_made(lambda b: b.rescale(b.softmax(b.input((1, 4))), Requantize)), {}, "reads the output of softmax_0"),
    (_constant(), {}, "layer add_0: its input 'constant' is a constant"),
    (_never_zero(), {}, "layer conv_2d_0: its activations are never zero"),
    (_made(_padded), {}, "tensor 't0' is padded, but something else"),
    (_made(lambda b: b.conv(_padded(b, value=77), 4, (2, 2))), {}, "layer conv_2d_1: the padding of 77"),
    (
        _made(lambda b: b.conv(_reshaped(b), 4, (2, 2))),
        {},
        "layer conv_2d_2: its tensor 't1' was reshaped from [4, 4, 3] to [4, 3, 4]",
    ),
    (_made(lambda b: b.mean(b.input((1, 3, 3, 4)), 3)), {}, "layer mean_0: a mean over anything but the rows and"),
    (
        _made(lambda b: b.join(b.input((1, 3, 3, 4)), _equal(b), axis=2)),
        {},
        "layer concatenation_2: it joins along dimension 2",
    ),
    (_made(lambda b: b.join(b.input((1, 3, 3, 4)), _equal(b))), {}, "begin and end at multiples of post_lanes (8)"),
    (_made(lambda b: b.dense(b.conv(b.input((1, 17, 1, 3)), 3, (1, 1)), 4)), {}, "larger than a kernel can be"),
    (_made(lambda b: b.conv(b.input((1, 3, 3, 4)), 4, (3, 3))), {"weight_depth": 32}, "weight_depth of this"),
    (_made(lambda b: b.conv(b.input((1, 3, 40, 4)), 4, (3, 3))), {"max_size": 31}, "max_size of this"),
]


@pytest.mark.parametrize(("network", "changes", "reason"), REFUSALS, ids=[case[2] for case in REFUSALS])
def test_what_does_not_run_is_refused_in_one_line(network, changes, reason):
    with pytest.raises(CompilerError) as refused:
        lower(network, CoreConfig(**changes))
    line = str(refused.value)
    assert reason in line and "\n" not in line


def test_a_depthwise_layer_is_dense_where_it_must_be():
    def conv(channels: int, multiplier: int, padding: int = 0, **changes):
        builder = GraphBuilder(1)
        source = builder.pad(builder.input((1, 4, 4, channels)), (padding, 0), (0, 0))
        network = builder.build(builder.depthwise(source, (3, 3), multiplier))
        program = compile_network(network, AcceleratorConfig(CoreConfig(**changes)))
        (layer,) = (entry.layer for entry in program.entries if entry.layer is not None)
        return layer

    assert conv(8, 1).conv.depthwise and conv(8, 1).conv.channels == 8
    # A window of the last one lies in the padding as a whole.
    for layer in (conv(8, 1, csc=False), conv(1, 8), conv(8, 1, padding=3)):
        assert layer.conv.edges is None
        # Of each map the weights of one channel count.
        assert (np.count_nonzero(layer.conv.weights.any(axis=(1, 2)), axis=1) <= 1).all()


def test_the_same_is_done_where_it_can_be():
    # An input arrives in the shape in which it is read, and smaller slices of a word join channels in smaller steps.
    kinds(_made(lambda b: b.conv(b.reshape(b.input((1, 4, 4, 3)), (1, 4, 3, 4)), 4, (2, 2))))
    kinds(_made(lambda b: b.join(b.input((1, 3, 3, 4)), _equal(b))), post_lanes=4)


def test_a_graph_that_contradicts_itself_is_refused():
    builder = GraphBuilder(5)
    network = builder.build(builder.conv(builder.input((1, 3, 3, 4)), 4, (2, 2)))
    (layer,) = network.layers
    assert isinstance(layer, Conv2D)
    wrong = replace(layer, input_zero_point=(layer.input_zero_point + 129) % 256 - 128)
    with pytest.raises(CompilerError, match="its zero point is not that of its input 'input_0'"):
        lower(replace(network, layers=(wrong,)), CoreConfig())
    reshaped = builder.reshape("t0", (1, 16))
    builder.tensors[reshaped] = replace(builder.tensors[reshaped], quantisation=Quantisation.per_tensor(1.0, 77))
    with pytest.raises(CompilerError, match="the zero points of its input and its output differ"):
        lower(builder.build(reshaped), CoreConfig())
