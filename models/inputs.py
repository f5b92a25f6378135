"""Inputs for a network: from a file, from the samples that ship, or from a seed."""

from os import PathLike
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from models.errors import SkipstoneError
from models.golden.elementwise import dequantise, quantise_real
from models.layers import Quantize
from models.network import Network, Tensor

_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")


class InputError(SkipstoneError):
    """An input file that cannot be used; names the file and what the network takes."""


def image_to_int8(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int8]:
    """Pixels 0..255 to int8 -128..127, as MLPerf Tiny quantises images."""
    return (pixels.astype(np.int16) - 128).astype(np.int8)


def read_input(
    network: Network, path: str | PathLike[str] | None, seed: int = 0, *, any_batch: bool = False
) -> npt.NDArray:
    """An input of a network that has one.

    Args:
        network: what the input is for.
        path: a .npy file of int8 (quantised values), float (real values) or uint8 (pixels), of the input's
            shape with or without the batch; or a .png or .jpg image of the input's height and width. None: a
            sample image that ships with the network, picked by ``seed``, or random values drawn from it.
        seed: what to pick or draw.
        any_batch: accept a .npy file with more than one input.

    Returns:
        [N, ...] as the network takes it: int8, or float32 if it quantises its input itself.

    Raises:
        InputError: a file that cannot be read, is of another kind or does not fit; a network of several
            inputs.
    """
    if path is None:
        return _default(network, seed)
    file = Path(path)
    if not file.is_file():
        raise InputError(f"{file}: there is no such file")
    if file.suffix.lower() == ".npy":
        return _taken(network, _read_array(network, file, any_batch))
    if file.suffix.lower() in _IMAGE_SUFFIXES:
        return _taken(network, image_to_int8(_read_image(network, file))[np.newaxis])
    raise InputError(f"{file}: an input is a .npy file or a .png or .jpg image")


def random_input(network: Network, seed: int) -> npt.NDArray:
    """One input of uniformly random quantised values, as the network takes it."""
    shape = _input(network).shape
    values = np.random.default_rng(seed).integers(-128, 128, shape, dtype=np.int8)
    return _taken(network, values)


def _default(network: Network, seed: int) -> npt.NDArray:
    from models import zoo  # the zoo builds on this module

    if network.name in zoo.names():
        samples = zoo.sample_inputs(network.name)
        if samples.shape[1:] == _input(network).shape[1:]:
            return samples[[seed % len(samples)]]
    return random_input(network, seed)


def _input(network: Network) -> Tensor:
    if len(network.inputs) != 1:
        raise InputError(f"{network.name} has {len(network.inputs)} inputs; a single one is supported here")
    return network.tensors[network.inputs[0]]


def _quantisation(network: Network) -> tuple[float, int]:
    """Scale and zero point of the input, or of what it is quantised to first."""
    tensor = _input(network)
    if tensor.quantisation is not None:
        return tensor.scale, tensor.zero_point
    for layer in network.layers:
        if isinstance(layer, Quantize) and tensor.name in layer.inputs:
            return layer.scale, layer.zero_point
    raise InputError(f"{network.name}: its input {tensor.name!r} has no quantisation")


def _taken(network: Network, values: npt.NDArray) -> npt.NDArray:
    """int8 or float32 values in the type that the network takes."""
    wanted = _input(network).dtype
    if values.dtype == wanted:
        return values
    scale, zero_point = _quantisation(network)
    return quantise_real(values, scale, zero_point) if wanted == np.int8 else dequantise(values, scale, zero_point)


def _read_array(network: Network, file: Path, any_batch: bool) -> npt.NDArray:
    try:
        values = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise InputError(f"{file}: not a readable .npy file: {error}") from None
    if not isinstance(values, np.ndarray):
        raise InputError(f"{file}: an archive of arrays; one .npy array is expected")
    shape = _input(network).shape
    if values.shape == shape[1:]:
        values = values[np.newaxis]
    if values.shape[1:] != shape[1:] or not len(values) or (len(values) != 1 and not any_batch):
        raise InputError(f"{file}: an array of shape {list(values.shape)}; {network.name} takes {list(shape)}")
    if values.dtype == np.uint8:
        return image_to_int8(values)
    if values.dtype == np.int8:
        return values
    if values.dtype.kind != "f":
        raise InputError(f"{file}: elements of type {values.dtype}; int8, uint8 (pixels) or float is expected")
    if not np.isfinite(values).all():
        raise InputError(f"{file}: an element is not a finite number")
    return values.astype(np.float32)


def _read_image(network: Network, file: Path) -> npt.NDArray[np.uint8]:
    shape = _input(network).shape
    if len(shape) != 4 or shape[3] not in (1, 3):
        raise InputError(f"{file}: {network.name} takes {list(shape)}, which is not an image; give a .npy file")
    try:
        with Image.open(file) as image:
            pixels = np.asarray(image.convert("RGB" if shape[3] == 3 else "L"))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{file}: not a readable image: {error}") from None
    if pixels.shape[:2] != shape[1:3]:
        height, width = pixels.shape[:2]
        raise InputError(
            f"{file}: an image of {width}x{height}; {network.name} takes {shape[2]}x{shape[1]}: resize it first"
        )
    return pixels.reshape(shape[1:])
