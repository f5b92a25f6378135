"""Importers: from a file, or a name of the zoo, to a network."""

from os import PathLike
from pathlib import Path

from models.importers import tflite
from models.importers.errors import ImporterError
from models.network import Network

__all__ = ["ImporterError", "load", "source_path"]


def source_path(source: str | PathLike[str]) -> Path:
    """The file of a network: itself, or that of the network that the zoo knows by the name ``source``.

    Raises:
        ImporterError: there is neither a file nor a network of the zoo called ``source``.
        ZooError: a network of the zoo could not be fetched.
    """
    from models import zoo  # the zoo imports this package's importers

    if str(source) in zoo.names():
        return zoo.fetch(str(source))
    path = Path(source)
    if not path.is_file():
        raise ImporterError(f"{source}: neither a file nor a network of the zoo ({', '.join(zoo.names())})")
    return path


def load(source: str | PathLike[str]) -> Network:
    """The network in a file, or the one that the zoo knows by the name ``source``.

    Raises:
        ImporterError: there is no such file or name, or the file cannot be imported.
        ZooError: a network of the zoo could not be fetched.
    """
    path = source_path(source)
    suffix = path.suffix.lower()
    if suffix == ".tflite":
        return tflite.load(path)
    if suffix == ".onnx":
        from models.importers import onnx  # takes half a second, which other files need not wait for

        return onnx.load(path)
    raise ImporterError(f"{path}: not a network file; an int8 .tflite or .onnx file is one")
