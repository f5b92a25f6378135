"""The networks that ship with the project, as `models.training` made them."""

from pathlib import Path

from models.zoo.cache import ZooError, digest

_FOLDER = Path(__file__).parent / "files"
_CHECKSUMS: dict[str, str] = {}


def names() -> tuple[str, ...]:
    """The networks' names."""
    return tuple(_CHECKSUMS)


def file(name: str) -> Path:
    """The file of one of `names`; raises ZooError if it is not there or its SHA-256 differs."""
    path = _FOLDER / f"{name}.onnx"
    if not path.is_file() or digest(path.read_bytes()) != _CHECKSUMS[name]:
        raise ZooError(f"{path} is not the file that ships with Skipstone: install Skipstone again")
    return path
