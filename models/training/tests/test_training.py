"""Training with PyTorch, on a handful of images; skipped where PyTorch is not installed."""

import numpy as np
import onnx
import pytest

from models import golden, zoo
from models.importers import onnx as importer
from models.inputs import image_to_int8
from models.sparsity.partitions import nonzeros_by_kernel
from models.sparsity.pruning import CubicSchedule, Pruner, quota

torch = pytest.importorskip("torch")

from models.training.batches import Augmentation, to_input  # noqa: E402 - after the check for PyTorch
from models.training.loop import Recipe, accuracy, observe, steps_of, train  # noqa: E402
from models.training.module import Classifier  # noqa: E402
from models.training.onnx_file import to_onnx  # noqa: E402
from models.training.pruned import PLANS, main, results  # noqa: E402
from models.training.topologies import lenet5, parameters_of, resnet8  # noqa: E402

RECIPE = Recipe(4, 3e-3, Augmentation(0, False), batch=32)


def bars(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images of ten classes: a bright row, at the height that the class says, in noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, count)
    images = rng.integers(0, 100, (count, 28, 28, 1))
    images[np.arange(count), 4 + 2 * labels] += 150
    return images.astype(np.uint8), labels


@pytest.fixture(scope="module")
def trained():
    torch.set_num_threads(1)
    graph = lenet5()
    module = Classifier(graph, graph.initial(0))
    train(module, *bars(960, 0), RECIPE, say=lambda line: None)
    return module


def test_it_learns(trained):
    assert accuracy(trained, *bars(200, 1)) > 0.95


def test_pruned_weights_are_balanced_and_stay_zero(trained):
    images, labels = bars(960, 0)
    module = Classifier(trained.graph, trained.parameters_by_name())
    pruner = Pruner(PLANS["lenet5"].rules(), CubicSchedule(1.0, 0.3, 0, steps_of(RECIPE, len(images)) // 2))
    train(module, images, labels, RECIPE, pruner=pruner, teacher=trained, say=lambda line: None)
    assert pruner.frozen and accuracy(module, *bars(200, 1)) > 0.9
    parameters = module.parameters_by_name()
    for name, step in module.graph.weighted().items():
        weights = parameters[f"{name}.weight"]
        assert ((weights != 0) == pruner.masks[name]).all(), name
        if weights.ndim == 4:
            size = int(np.prod(step.shape[1:]))
            assert (nonzeros_by_kernel(weights, 16, channel_axis=1) == quota(size, 0.3)).all(), name
        else:
            patterns = weights != 0
            assert (patterns[:10] == patterns[0]).all() and patterns[0].sum() == quota(step.shape[1], 0.3), name


def test_the_int8_file_says_what_the_module_says(trained, tmp_path):
    images, _ = bars(200, 2)
    path = tmp_path / "bars.onnx"
    onnx.save(to_onnx(trained.graph, trained.parameters_by_name(), observe(trained, images)), path)
    network = importer.load(path)
    with torch.no_grad():
        expected = trained(torch.from_numpy(to_input(images, 1 / 255))).numpy()
    output = network.tensors[network.outputs[0]]
    scores = (golden.run(network, image_to_int8(images))[output.name] - float(output.zero_point)) * output.scale
    assert abs(scores - expected).max() < 0.1 * abs(expected).max()


def test_resnet8_is_mlperfs_network():
    """Before quantisation, the module's scores are those of the int8 network, to about its steps."""
    network = zoo.load("resnet8")
    graph = resnet8()
    module = Classifier(graph, parameters_of(network, graph))
    images = (zoo.sample_inputs("resnet8").astype(np.int16) + 128).astype(np.uint8)
    logits = network.tensors[network.layers[-1].inputs[0]]
    expected = golden.run(network, image_to_int8(images))[logits.name].astype(float)
    expected = (expected - logits.zero_point) * logits.scale
    assert abs(observe(module, images)["fc"] - expected).max() < 8 * logits.scale


def test_the_whole_plan_in_small(monkeypatch, tmp_path, capsys):
    from dataclasses import replace

    plan = PLANS["lenet5"]
    stage = replace(plan.stages[0], recipe=replace(RECIPE, epochs=2), pruning=1)
    small = replace(
        plan, dense=RECIPE, stages=(stage,), training_set=lambda: bars(320, 0), test_set=lambda: bars(50, 1)
    )
    monkeypatch.setitem(PLANS, "lenet5", small)
    assert main(["lenet5", "--output", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lenet5.onnx", "lenet5_pruned30.onnx"]
    assert "density 1 to 0.3" in capsys.readouterr().out
    # The same once more, byte by byte.
    for name, model in results(small, say=lambda line: None):
        assert model.SerializeToString() == (tmp_path / f"{name}.onnx").read_bytes(), name


def test_a_network_that_is_not_trained_here(capsys):
    assert main(["alexnet"]) == 2
    assert capsys.readouterr().err == "train-pruned: alexnet: there is no training of it; there is of lenet5, resnet8\n"
