"""The networks that ship with the project, as `models.training` made them."""

from pathlib import Path

from models.zoo.cache import ZooError, digest

_FOLDER = Path(__file__).parent / "files"
_CHECKSUMS: dict[str, str] = {
    "lenet300_csc12": "2e982b2b8de5ec13d0d3b0a57ae46c505804953f82d2916767cd30206c88dd40",
    "lenet300_csc21": "6f7b01c3dbc72ea2f0dc417e496d99dc88e383f6870f5d4ed67cf7aec5fcf401",
    "lenet300_csc46": "d3a3f3520e8e88a0d5676c34cb60d0180d1b9de883576c78c5e6b972c4d9b97a",
    "cifar_csc": "24201303dab3af6f3cbdc7e7cedb32ad1a30ca3765b61887c723e74f064a2a22",
}


def names() -> tuple[str, ...]:
    """The networks' names."""
    return tuple(_CHECKSUMS)


def file(name: str) -> Path:
    """The file of one of `names`; raises ZooError if it is not there or its SHA-256 differs."""
    path = _FOLDER / f"{name}.onnx"
    if not path.is_file() or digest(path.read_bytes()) != _CHECKSUMS[name]:
        raise ZooError(f"{path} is not the file that ships with Skipstone: install Skipstone again")
    return path
