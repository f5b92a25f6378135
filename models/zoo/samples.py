"""Images that ship with the zoo, of the CIFAR-10 and MNIST test sets: ``<class>_<index in the test set>.png``."""

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from models.inputs import image_to_int8, random_input
from models.tensor import Shape
from models.zoo.networks import load

_ROOT = Path(__file__).parent
_FOLDERS: dict[Shape, str] = {(1, 32, 32, 3): "images", (1, 28, 28, 1): "digits"}
"""Where the images are that a network takes, by the shape of its input."""

_RANDOM_COUNT = 4


def sample_images(folder: str = "images") -> tuple[tuple[str, Path], ...]:
    """(class name, file) of each image that ships, by index in the test set: ``images``, or ``digits`` of MNIST."""
    files = sorted((_ROOT / folder).glob("*.png"), key=lambda file: file.stem.split("_")[1])
    return tuple((file.stem.split("_")[0], file) for file in files)


@cache
def _image_inputs(folder: str) -> npt.NDArray[np.int8]:
    mode = "L" if folder == "digits" else "RGB"
    images = []
    for _, file in sample_images(folder):
        with Image.open(file) as image:
            pixels = np.asarray(image.convert(mode))
            images.append(image_to_int8(pixels.reshape(*pixels.shape[:2], -1)))
    return np.stack(images)


def sample_inputs(name: str) -> npt.NDArray:
    """Inputs for a network of the zoo, [N, ...] as it takes them: images where it takes such, else seeded noise.

    Raises:
        ZooError: there is no network ``name``, or it cannot be fetched.
    """
    network = load(name)
    tensor = network.tensors[network.inputs[0]]
    if tensor.shape in _FOLDERS and tensor.dtype == np.int8:
        return _image_inputs(_FOLDERS[tensor.shape]).copy()
    return np.concatenate([random_input(network, seed) for seed in range(_RANDOM_COUNT)])
