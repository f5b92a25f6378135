"""Training of networks with cyclic layers, on a handful of images; skipped where PyTorch is not installed."""

from dataclasses import replace

import numpy as np
import pytest

from models import golden
from models.importers import onnx as importer
from models.inputs import image_to_int8

pytest.importorskip("torch")

from models.training.csc import PLANS, main
from models.training.tests.test_training import bars


def test_the_whole_plan_in_small(monkeypatch, tmp_path, capsys):
    name = "lenet300_csc21"
    plan = PLANS[name]
    recipe = replace(plan.recipe, epochs=4, batch=32)
    small = replace(plan, recipe=recipe, training_set=lambda: bars(960, 0), test_set=lambda: bars(200, 1))
    monkeypatch.setitem(PLANS, name, small)
    assert main([name, "--output", str(tmp_path)]) == 0
    assert f"{name}: 12,372 parameters" in capsys.readouterr().out
    images, labels = bars(200, 1)
    network = importer.load(tmp_path / f"{name}.onnx")
    scores = golden.run(network, image_to_int8(images))[network.outputs[0]]
    assert (np.argmax(scores, axis=1) == labels).mean() > 0.95


def test_a_network_that_is_not_trained_here(capsys):
    assert main(["alexnet"]) == 2
    expected = f"train-csc: alexnet: there is no training of it; there is of {', '.join(PLANS)}\n"
    assert capsys.readouterr().err == expected
