"""Inputs for a network: from a file, from the samples that ship, or from a seed."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from models.errors import SkipstoneError
from models.golden.elementwise import dequantise, quantise_real
from models.layers import Quantize
from models.network import Network
from models.tensor import Shape

_IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")


class InputError(SkipstoneError):
    """An input file that cannot be used; names the file and what the network takes."""


@dataclass(frozen=True)
class InputForm:
    """What a network takes.

    Attributes:
        network: its name, for messages; shape: for batch 1; dtype: int8, or float32 if it quantises its input itself.
        scale, zero_point: of the quantised input.
    """

    network: str
    shape: Shape
    dtype: np.dtype
    scale: float
    zero_point: int


def input_form(network: Network) -> InputForm:
    """The form of a network's only input; raises InputError if it has several, or one that is never quantised."""
    if len(network.inputs) != 1:
        raise InputError(f"{network.name} has {len(network.inputs)} inputs; a single one is supported here")
    tensor = network.tensors[network.inputs[0]]
    quantiser = next(
        (layer for layer in network.layers if isinstance(layer, Quantize) and tensor.name in layer.inputs), None
    )
    if tensor.quantisation is not None:
        scale, zero_point = tensor.scale, tensor.zero_point
    elif quantiser is not None:
        scale, zero_point = quantiser.scale, quantiser.zero_point
    else:
        raise InputError(f"{network.name}: its input {tensor.name!r} has no quantisation")
    return InputForm(network.name, tensor.shape, tensor.dtype, scale, zero_point)


def image_to_int8(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int8]:
    """Pixels 0..255 to int8 -128..127, as MLPerf Tiny quantises images."""
    return (pixels.astype(np.int16) - 128).astype(np.int8)


def read_input(
    network: Network | InputForm, path: str | PathLike[str] | None, seed: int = 0, *, any_batch: bool = False
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
    form = network if isinstance(network, InputForm) else input_form(network)
    if path is None:
        return _default(form, seed)
    file = Path(path)
    if not file.is_file():
        raise InputError(f"{file}: there is no such file")
    if file.suffix.lower() == ".npy":
        return _taken(form, _read_array(form, file, any_batch))
    if file.suffix.lower() in _IMAGE_SUFFIXES:
        return _taken(form, image_to_int8(_read_image(form, file))[np.newaxis])
    raise InputError(f"{file}: an input is a .npy file or a .png or .jpg image")


def random_input(network: Network | InputForm, seed: int) -> npt.NDArray:
    """One input of uniformly random quantised values, as the network takes it."""
    form = network if isinstance(network, InputForm) else input_form(network)
    values = np.random.default_rng(seed).integers(-128, 128, form.shape, dtype=np.int8)
    return _taken(form, values)


def _default(form: InputForm, seed: int) -> npt.NDArray:
    from models import zoo  # the zoo builds on this module

    if form.network in zoo.names():
        samples = zoo.sample_inputs(form.network)
        if samples.shape[1:] == form.shape[1:]:
            return samples[[seed % len(samples)]]
    return random_input(form, seed)


def _taken(form: InputForm, values: npt.NDArray) -> npt.NDArray:
    """int8 or float32 values in the type that the network takes."""
    if values.dtype == form.dtype:
        return values
    if form.dtype == np.int8:
        return quantise_real(values, form.scale, form.zero_point)
    return dequantise(values, form.scale, form.zero_point)


def _read_array(form: InputForm, file: Path, any_batch: bool) -> npt.NDArray:
    try:
        values = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError, SyntaxError) as error:
        raise InputError(f"{file}: not a readable .npy file: {error}") from None
    if not isinstance(values, np.ndarray):
        raise InputError(f"{file}: an archive of arrays; one .npy array is expected")
    shape = form.shape
    if values.shape == shape[1:]:
        values = values[np.newaxis]
    if values.shape[1:] != shape[1:] or not len(values) or (len(values) != 1 and not any_batch):
        raise InputError(f"{file}: an array of shape {list(values.shape)}; {form.network} takes {list(shape)}")
    if values.dtype == np.uint8:
        return image_to_int8(values)
    if values.dtype == np.int8:
        return values
    if values.dtype.kind != "f":
        raise InputError(f"{file}: elements of type {values.dtype}; int8, uint8 (pixels) or float is expected")
    if not np.isfinite(values).all():
        raise InputError(f"{file}: an element is not a finite number")
    return values.astype(np.float32)


def _read_image(form: InputForm, file: Path) -> npt.NDArray[np.uint8]:
    shape = form.shape
    if len(shape) != 4 or shape[3] not in (1, 3):
        raise InputError(f"{file}: {form.network} takes {list(shape)}, which is not an image; give a .npy file")
    try:
        with Image.open(file) as image:
            pixels = np.asarray(image.convert("RGB" if shape[3] == 3 else "L"))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{file}: not a readable image: {error}") from None
    if pixels.shape[:2] != shape[1:3]:
        height, width = pixels.shape[:2]
        raise InputError(
            f"{file}: an image of {width}x{height}; {form.network} takes {shape[2]}x{shape[1]}: resize it first"
        )
    return pixels.reshape(shape[1:])
