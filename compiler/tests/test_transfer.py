"""Feature maps as packets, and what a host computes."""

import json

import numpy as np
import pytest

from compiler.errors import CompilerError
from compiler.host_steps import HostStep, host_parts, host_step
from compiler.tests.graphs import GraphBuilder
from compiler.transfer import from_packets, packet_bytes, to_packets
from hw.config import CoreConfig
from models import golden
from models.inputs import read_input
from models.layers import Quantize, TableSoftmax
from models.network import Network, Quantisation, Tensor
from models.sparsity import encode_beats
from models.zoo import networks, tiny

CONFIGS = [CoreConfig(), CoreConfig(stream_units=4, codec_elements=2), CoreConfig(activation_bits=16, stream_units=2)]


@pytest.mark.parametrize(
    "config", CONFIGS, ids=lambda config: f"{config.stream_units} of {config.activation_bits} bits"
)
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 7), (2, 4, 16), (5, 1, 33)])
def test_packets_are_those_of_the_stream(config, shape):
    values = np.random.default_rng(sum(shape)).integers(-128, 128, shape).astype(np.int8)
    packets = to_packets(values.ravel(), shape, -7, config)
    stored = (values.astype(np.int64) + 7) % (1 << config.activation_bits)
    beats = encode_beats(stored.reshape(shape[0], -1), config.activation_bits, config.stream_units, sparse=False)
    assert packets == beats.data.tobytes()
    assert len(packets) == shape[0] * packet_bytes(shape[1], shape[2], config)
    np.testing.assert_array_equal(from_packets(packets, shape, -7, config), values)
    with pytest.raises(CompilerError, match=f"has {len(packets)} bytes, but {len(packets) + 1} came"):
        from_packets(packets + b"\0", shape, -7, config)


@pytest.mark.parametrize("name", tiny.names())
def test_host_steps_are_the_layers_of_the_network(name):
    network = networks.load(name)
    tensors = golden.run(network, read_input(network, None, 3))
    parts = host_parts(network)
    assert parts.after and all(network.layer(name).op in ("softmax", "dequantize") for name in parts.after)
    for layer in (network.layer(name) for name in (*parts.before, *parts.after)):
        step = host_step(layer, network)
        assert HostStep.from_dict(step.as_dict()) == step
        got = step.run(tensors[step.input])
        assert got.dtype == tensors[step.output].dtype
        np.testing.assert_array_equal(got, tensors[step.output])


def test_the_steps_of_other_frameworks():
    table = np.sort((np.random.default_rng(0).random(256) * (1 << 30)).astype(np.int64))[::-1].copy()
    layers = (
        Quantize(name="quantize_0", inputs=("x",), output="q", scale=0.5, zero_point=3, ties_to_even=True),
        TableSoftmax(
            name="softmax_1",
            inputs=("q",),
            output="y",
            table=table,
            numerator=256,
            denominator=1,
            output_zero_point=-128,
        ),
    )
    real = Tensor("x", (1, 9), np.dtype(np.float32))
    int8 = [Tensor(name, (1, 9), np.dtype(np.int8), Quantisation.per_tensor(0.5, 3)) for name in ("q", "y")]
    network = Network("steps", {tensor.name: tensor for tensor in (real, *int8)}, layers, ("x",), ("y",))
    values = np.arange(9, dtype=np.float32).reshape(1, 9) / 4  # halves among them
    expected = golden.run(network, values)
    for layer in layers:
        step = HostStep.from_dict(json.loads(json.dumps(host_step(layer, network).as_dict())))
        np.testing.assert_array_equal(step.run(expected[step.input]), expected[step.output])


def test_what_reads_the_softmax_is_on_the_host():
    builder = GraphBuilder(1)
    shaped = builder.reshape(builder.softmax(builder.reshape(builder.input((1, 2, 5)), (1, 10))), (1, 5, 2))
    parts = host_parts(builder.build(shaped))
    assert (parts.before, parts.after) == ((), ("softmax_1", "reshape_2"))
