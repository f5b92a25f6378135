"""`skipstone inspect`."""

import json

import numpy as np

from cli.inspect import inspect
from models import zoo


def test_a_row_a_layer(capsys):
    inspect("resnet8")
    printed = capsys.readouterr().out
    network = zoo.load("resnet8")
    for layer in network.layers:
        assert layer.name in printed
    assert "12,501,632" in printed and "77,706" in printed
    assert "skippable" not in printed


def test_zeros_of_an_input(tmp_path, capsys):
    path, output = tmp_path / "x.npy", tmp_path / "out.json"
    np.save(path, np.full((1, 32, 32, 3), -128, np.int8))
    inspect("resnet8", input=path, json_file=output)
    assert "skippable" in capsys.readouterr().out
    document = json.loads(output.read_text())
    first, *_ = document["layers"]
    assert (first["name"], first["zero_activations"], first["skippable_macs"]) == ("conv_2d_0", 1.0, 1.0)
    assert document["total"]["macs"] == sum(layer["macs"] for layer in document["layers"])
    assert 0 < document["total"]["zero_activations"] < document["total"]["skippable_macs"] < 1
