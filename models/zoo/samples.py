"""Images that ship with the zoo, of the CIFAR-10 test set: ``<class>_<index in the test set>.png``."""

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from models.inputs import image_to_int8, random_input
from models.zoo.networks import load

_FOLDER = Path(__file__).parent / "images"
_WITH_IMAGES = ("resnet8",)
_RANDOM_COUNT = 4


def sample_images() -> tuple[tuple[str, Path], ...]:
    """(class name, file) of each image that ships, by index in the test set."""
    files = sorted(_FOLDER.glob("*.png"), key=lambda file: file.stem.split("_")[1])
    return tuple((file.stem.split("_")[0], file) for file in files)


@cache
def _image_inputs() -> npt.NDArray[np.int8]:
    images = []
    for _, file in sample_images():
        with Image.open(file) as image:
            images.append(image_to_int8(np.asarray(image.convert("RGB"))))
    return np.stack(images)


def sample_inputs(name: str) -> npt.NDArray:
    """Inputs for a network of the zoo, [N, ...] as it takes them: images for ``resnet8``, else seeded noise.

    Raises:
        ZooError: there is no network ``name``, or it cannot be fetched.
    """
    if name in _WITH_IMAGES:
        return _image_inputs().copy()
    network = load(name)
    return np.concatenate([random_input(network, seed) for seed in range(_RANDOM_COUNT)])
