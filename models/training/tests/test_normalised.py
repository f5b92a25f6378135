"""What PyTorch computes, against numpy; left out where PyTorch is not installed."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from models.sparsity.cyclic import SupportLayer, narrowing  # noqa: E402 - only with PyTorch
from models.training.graph import Cyclic, Dense, Flatten, Graph, Point  # noqa: E402
from models.training.module import Classifier  # noqa: E402
from models.training.normalised import NormalisedClassifier  # noqa: E402


def points() -> Graph:
    first, second = narrowing(24, 9, 8, 6, (4,))
    steps = (
        Point("pixels", ("image",)),
        Cyclic("first", ("pixels",), first),
        Cyclic("second", ("first",), second, relu=True, bias=True),
        Flatten("flat", ("second",)),
        Dense("hidden", ("flat",), (7, 9)),
        Dense("scores", ("hidden",), (5, 7), relu=False),
    )
    return Graph("points", "image", (1, 4, 6), 1 / 255, steps)


def test_a_support_layer_of_points():
    graph = points()
    module = Classifier(graph, graph.initial(0))
    images = np.random.default_rng(0).random((3, 1, 4, 6), np.float32)
    tensors = module.tensors(torch.from_numpy(images))
    (first, _) = (step for step in graph.steps if isinstance(step, Cyclic))
    expected = first.support.apply(graph.initial(0)["first.weight"], images.reshape(3, 24))
    np.testing.assert_allclose(tensors["first"].detach().numpy()[:, :, 0, 0], expected, rtol=1e-4, atol=1e-5)


def test_a_support_layer_of_maps_and_its_gradient():
    """Against the dense convolution; a weight's gradient is that of its place in it."""
    support = SupportLayer(4, 3, 3, 6, (3, 3))
    step = Cyclic("conv", ("image",), support, stride=2, padding=((0, 1), (1, 0)), bias=True)
    graph = Graph("maps", "image", (4, 6, 7), 1.0, (step,))
    module = Classifier(graph, graph.initial(0))
    images = torch.from_numpy(np.random.default_rng(1).normal(size=(2, 4, 6, 7)).astype(np.float32))
    dense = torch.from_numpy(support.expand(module.weight("conv").detach().numpy())).requires_grad_()
    padded = torch.nn.functional.pad(images, (1, 0, 0, 1))
    expected = torch.nn.functional.conv2d(padded, dense, stride=2)
    got = module(images)
    torch.testing.assert_close(got, expected)
    got.square().sum().backward()
    expected.square().sum().backward()
    gradient = module.weight("conv").grad
    assert gradient is not None and dense.grad is not None
    sources = support.sources[:, :, np.newaxis, np.newaxis]
    np.testing.assert_allclose(
        gradient.numpy(), np.take_along_axis(dense.grad.numpy(), sources, 1), rtol=1e-4, atol=1e-4
    )


def test_normalisation_is_folded_into_the_weights():
    graph = points()
    module = NormalisedClassifier(graph, graph.initial(0))
    images = torch.from_numpy(np.random.default_rng(2).normal(size=(64, 1, 4, 6)).astype(np.float32) + 0.5)
    optimiser = torch.optim.Adam(module.parameters(), 0.05)
    for _ in range(20):
        optimiser.zero_grad()
        module(images).square().mean().backward()
        optimiser.step()
    assert not torch.allclose(module.folded()(images), module(images), rtol=1e-3)  # a batch's own statistics
    module.eval()
    torch.testing.assert_close(module.folded()(images), module(images), rtol=1e-4, atol=1e-4)
    assert set(module.parameters_by_name()) == set(graph.initial(0))
