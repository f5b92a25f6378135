"""Inputs from files, samples and seeds."""

import numpy as np
import pytest
from PIL import Image

from models import zoo
from models.inputs import InputError, image_to_int8, random_input, read_input

IMAGE = (32, 32, 3)


def save(path, values):
    np.save(path, values)
    return path


@pytest.mark.parametrize("shape", [(1, *IMAGE), IMAGE])
def test_int8_array(resnet8, tmp_path, shape):
    values = np.random.default_rng(0).integers(-128, 128, shape, dtype=np.int8)
    got = read_input(resnet8, save(tmp_path / "x.npy", values))
    np.testing.assert_array_equal(got, values.reshape(1, *IMAGE))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_real_array_is_quantised(resnet8, tmp_path, dtype):
    """ResNet-8 takes pixel values: scale 1, zero point -128."""
    values = np.full(IMAGE, 100.4, dtype)
    values[0, 0] = [-5, 254.5, 300]
    got = read_input(resnet8, save(tmp_path / "x.npy", values))
    assert got.dtype == np.int8
    assert got[0, 0, 0].tolist() == [-128, 127, 127]
    assert (got[0, 1:] == 100 - 128).all()


@pytest.mark.parametrize("suffix", ["npy", "png"])
def test_pixels(resnet8, tmp_path, suffix):
    pixels = np.random.default_rng(0).integers(0, 256, IMAGE, dtype=np.uint8)
    path = tmp_path / f"x.{suffix}"
    if suffix == "npy":
        np.save(path, pixels)
    else:
        Image.fromarray(pixels).save(path)
    np.testing.assert_array_equal(read_input(resnet8, path)[0], pixels.astype(int) - 128)


def test_network_that_quantises_its_input(networks, tmp_path):
    """Quantised values come back as the real values that the network quantises to the same."""
    network = networks["keyword_spotting"]
    values = np.arange(500, dtype=np.int64).reshape(50, 10, 1).astype(np.int8)
    got = read_input(network, save(tmp_path / "x.npy", values))
    assert got.dtype == np.float32
    from models import golden

    layer = network.layers[0]
    np.testing.assert_array_equal(golden.run_layer(network, layer, {layer.inputs[0]: got})[0], values)


def test_several_inputs_only_where_asked_for(resnet8, tmp_path):
    path = save(tmp_path / "x.npy", np.zeros((3, *IMAGE), np.int8))
    assert read_input(resnet8, path, any_batch=True).shape == (3, *IMAGE)
    with pytest.raises(InputError, match=r"\[3, 32, 32, 3\]; resnet8 takes \[1, 32, 32, 3\]"):
        read_input(resnet8, path)


def test_samples_and_seeds(resnet8, networks):
    samples = zoo.sample_inputs("resnet8")
    np.testing.assert_array_equal(read_input(resnet8, None, 11), samples[[11 % len(samples)]])
    other = networks["visual_wake_words"]
    assert read_input(other, None, 5).shape == (1, 96, 96, 3)
    np.testing.assert_array_equal(random_input(other, 5), random_input(other, 5))
    assert (random_input(other, 5) != random_input(other, 6)).any()


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("x.npy", np.zeros((31, 32, 3), np.int8), r"shape \[31, 32, 3\]; resnet8 takes \[1, 32, 32, 3\]"),
        ("x.npy", np.zeros(IMAGE, np.int32), "type int32"),
        ("x.npy", np.full(IMAGE, np.nan), "not a finite number"),
        ("x.npy", np.zeros(IMAGE, object), "not a readable .npy file"),
        ("x.npy", b"not an array", "not a readable .npy file"),
        ("x.png", b"not an image", "not a readable image"),
        ("x.png", np.zeros((16, 32, 3), np.uint8), "an image of 32x16; resnet8 takes 32x32: resize it first"),
        ("x.txt", b"", "a .npy file or a .png or .jpg image"),
        ("x.jpg", None, "there is no such file"),
    ],
)
def test_unusable_files_are_refused(resnet8, tmp_path, name, values, reason):
    path = tmp_path / name
    if isinstance(values, bytes):
        path.write_bytes(values)
    elif name.endswith("png"):
        Image.fromarray(values).save(path)
    elif values is not None:
        np.save(path, values, allow_pickle=True)
    with pytest.raises(InputError, match=reason):
        read_input(resnet8, path)


def test_image_for_a_network_without_images(networks, tmp_path):
    path = tmp_path / "x.png"
    Image.fromarray(np.zeros((50, 10, 3), np.uint8)).save(path)
    assert read_input(networks["keyword_spotting"], path).shape == (1, 50, 10, 1)
    path.with_suffix(".npy").write_bytes(b"")
    with pytest.raises(InputError, match="not a readable"):
        read_input(networks["keyword_spotting"], path.with_suffix(".npy"))


def test_whole_range_of_pixels():
    pixels = np.arange(256, dtype=np.uint8)
    assert image_to_int8(pixels).tolist() == list(range(-128, 128))
