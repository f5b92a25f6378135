"""`skipstone golden`."""

import numpy as np
import pytest

from cli.golden import golden
from models import golden as operators
from models import zoo
from models.errors import SkipstoneError
from models.inputs import read_input


def test_writes_every_tensor(tmp_path):
    output = tmp_path / "folder" / "out.npz"
    golden("resnet8", output=output)
    network = zoo.load("resnet8")
    expected = operators.run(network, read_input(network, None))
    with np.load(output) as archive:
        assert set(archive.files) == set(network.tensors)
        for name, tensor in network.tensors.items():
            np.testing.assert_array_equal(archive[name], expected[name] if tensor.data is None else tensor.data)


def test_batch(tmp_path):
    path = tmp_path / "x.npy"
    np.save(path, np.zeros((3, 32, 32, 3), np.int8))
    golden("resnet8", input=path, output=tmp_path / "out.npz")
    with np.load(tmp_path / "out.npz") as archive:
        assert archive["Identity_int8"].shape == (3, 10)


def test_wrong_suffix_leaves_nothing(tmp_path):
    with pytest.raises(SkipstoneError, match=r"out\.npy: the output is an \.npz file; name it .*out\.npz"):
        golden("resnet8", output=tmp_path / "out.npy")
    assert not list(tmp_path.iterdir())


def test_output_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SkipstoneError, match="cannot be written"):
        golden("resnet8", output=tmp_path / "file" / "out.npz")
