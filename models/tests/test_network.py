"""A network refuses to be built from parts that contradict each other."""

from dataclasses import replace

import numpy as np
import pytest

from models.layers import Requantisation
from models.network import Network, NetworkError, Quantisation, Relu, Tensor


def tensor(name: str, shape: tuple[int, ...] = (1, 4), **settings) -> Tensor:
    return Tensor(name, shape, np.dtype(np.int8), Quantisation.per_tensor(1.0), **settings)


def relu(name: str, source: str, output: str) -> Relu:
    scaling = Requantisation(np.array([1 << 30], np.int32), np.array([1], np.int32))
    return Relu(
        name=name,
        inputs=(source,),
        output=output,
        requantisation=scaling,
        input_zero_point=0,
        output_zero_point=0,
        activation=(0, 127),
    )


@pytest.fixture
def chain() -> Network:
    return Network(
        "chain",
        {name: tensor(name) for name in "abc"},
        (relu("relu_0", "a", "b"), relu("relu_1", "b", "c")),
        inputs=("a",),
        outputs=("c",),
    )


def test_layer_by_name(chain):
    assert chain.layer("relu_1") is chain.layers[1]
    assert chain.input_shapes(chain.layers[1]) == ((1, 4),)
    with pytest.raises(NetworkError, match="no layer 'relu_9'; its layers are relu_0, relu_1"):
        chain.layer("relu_9")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"layers": (relu("x", "b", "c"), relu("y", "a", "b"))}, "x: its input 'b' has no value yet"),
        ({"layers": (relu("x", "a", "b"), relu("x", "b", "c"))}, "two layers are named x"),
        ({"layers": (relu("x", "a", "b"), relu("y", "a", "b"))}, "'b' already has a value"),
        ({"layers": (relu("x", "a", "z"),)}, "no tensor 'z'"),
        ({"layers": ()}, "needs an input, a layer and an output"),
        ({"outputs": ("z",)}, "output 'z' is not written"),
        ({"inputs": ("a", "a")}, "'a' already has a value"),
        (
            {"tensors": {"a": tensor("a"), "b": tensor("b", (1, 5)), "c": tensor("c")}},
            r"\[1, 5\], but \[1, 4\]",
        ),
        ({"tensors": {name: tensor(name, (2, 4)) for name in "abc"}}, "no leading batch dimension of 1"),
    ],
)
def test_contradictions_are_refused(chain, changes, reason):
    with pytest.raises(NetworkError, match=reason):
        replace(chain, **changes)


def test_tensor_checks_its_data():
    with pytest.raises(NetworkError, match=r"data is int8\[3\], not int8\[1, 4\]"):
        tensor("x", data=np.zeros(3, np.int8))
    with pytest.raises(NetworkError, match="empty dimension"):
        tensor("x", (1, 0))


def test_quantisation_checks_its_lengths():
    scales, zeros = np.ones(3), np.zeros(3, np.int64)
    with pytest.raises(NetworkError, match="without an axis"):
        Quantisation(scales, zeros)
    with pytest.raises(NetworkError, match="3 scales and 2 zero points"):
        Quantisation(scales, zeros[:2], 0)
    with pytest.raises(NetworkError, match="3 scales on dimension 1"):
        Tensor("x", (1, 4), np.dtype(np.int8), Quantisation(scales, zeros, 1))
    per_channel = Tensor("x", (1, 3), np.dtype(np.int8), Quantisation(scales, zeros, 1))
    with pytest.raises(NetworkError, match="not quantised with one scale"):
        _ = per_channel.scale


def test_requantisation_checks_its_range():
    with pytest.raises(NetworkError, match="out of range"):
        Requantisation(np.array([1 << 29], np.int32), np.array([0], np.int32))
    with pytest.raises(NetworkError, match="out of range"):
        Requantisation(np.array([1 << 30], np.int32), np.array([31], np.int32))
    with pytest.raises(NetworkError, match="equally many"):
        Requantisation(np.array([1 << 30], np.int32), np.array([0, 0], np.int32))
