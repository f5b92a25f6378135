"""`skipstone accuracy`, on the images that ship in place of the whole test set."""

import json

import numpy as np
import pytest
import typer

from cli import accuracy as command
from models import zoo
from models.errors import SkipstoneError
from models.zoo import cifar10
from models.zoo.samples import sample_images


@pytest.fixture
def samples(monkeypatch):
    """Eight images, of which the network classifies seven as labelled."""
    pixels = (zoo.sample_inputs("resnet8").astype(np.int16) + 128).astype(np.uint8)
    labels = np.array([cifar10.CLASSES.index(name) for name, _ in sample_images()])
    monkeypatch.setattr(command.cifar10, "test_set", lambda: (pixels, labels))
    monkeypatch.setattr(command, "_BATCH", 3)
    return len(labels)


def test_counts_and_times(samples, tmp_path, capsys):
    command.accuracy("resnet8", images=samples, json_file=tmp_path / "out.json")
    result = json.loads((tmp_path / "out.json").read_text())
    assert (result["images"], result["correct"], result["accuracy"]) == (8, 7, 0.875)
    assert result["images_per_second"] > 0 and result["judge_images_per_second"] > 0
    assert "top-1 87.50% (7 of 8 images)" in capsys.readouterr().out


def test_known_accuracy_missed(samples, monkeypatch):
    monkeypatch.setattr(command, "_COUNT", samples)
    with pytest.raises(typer.Exit) as caught:
        command.accuracy("resnet8", images=samples)
    assert caught.value.exit_code == 1


def test_digits_and_a_network_that_ships(monkeypatch, capsys):
    pixels = (zoo.sample_inputs("lenet5").astype(np.int16) + 128).astype(np.uint8)
    labels = np.array([int(name) for name, _ in sample_images("digits")])
    monkeypatch.setattr(command.mnist, "test_set", lambda: (pixels, labels))
    command.accuracy("lenet5", images=len(labels))
    printed = capsys.readouterr().out
    assert "lenet5: top-1 100.00% (10 of 10 images)" in printed and "ONNX Runtime: " in printed


@pytest.mark.slow
@pytest.mark.parametrize("name", command._EXPECTED)
def test_accuracy_over_the_whole_test_set(name, capsys):
    command.accuracy(name)
    assert ": reached" in capsys.readouterr().out


def test_network_for_other_images():
    with pytest.raises(SkipstoneError, match="does not classify CIFAR-10 or MNIST images"):
        command.accuracy("keyword_spotting")
