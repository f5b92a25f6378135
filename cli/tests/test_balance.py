"""`skipstone balance`."""

import json

from models import zoo
from models.sparsity.balance import prunable


def test_a_row_a_layer(skipstone):
    status, printed, _ = skipstone("balance", "resnet8")
    assert status == 0
    for layer in prunable(zoo.load("resnet8")):
        assert layer.name in printed
    assert "merged, %" in printed and "balanced" not in printed and "add_3" not in printed


def test_pruning_with_and_without_balance(skipstone, tmp_path):
    output = tmp_path / "out.json"
    options = ("--groups", 4, "--slots", 2, "--density", 0.25, "--json", output)
    status, printed, _ = skipstone("balance", "resnet8", *options)
    assert status == 0 and "balanced" in printed
    first, *_ = json.loads(output.read_text())["layers"]
    assert first["name"] == "conv_2d_0" and first["kernels"] == 16
    assert first["balanced"]["utilisation"]["in order"] == 1.0
    assert first["utilisation"]["in order"] < first["utilisation"]["merged"] < 1


def test_a_density_that_is_none_is_refused(skipstone):
    status, _, error = skipstone("balance", "resnet8", "--density", 1.5)
    assert status == 2 and "--density" in error
