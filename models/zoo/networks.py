"""All networks by name: those that are fetched, and those that ship."""

from dataclasses import replace
from pathlib import Path

from models.importers import tflite
from models.network import Network
from models.zoo import shipped, tiny
from models.zoo.cache import ZooError

DEFAULT = "resnet8"


def names() -> tuple[str, ...]:
    """The networks' names, the default first."""
    return (*tiny.names(), *shipped.names())


def fetch(name: str) -> Path:
    """The file of a network, once it is sure that it is there and whole.

    Raises:
        ZooError: there is no network ``name``, it cannot be fetched, or a checksum differs.
    """
    if name in shipped.names():
        return shipped.file(name)
    if name not in tiny.names():
        raise ZooError(f"there is no network {name!r} in the zoo; there are {', '.join(names())}")
    return tiny.fetch(name)


def load(name: str) -> Network:
    """The network of the zoo called ``name``; raises ZooError as `fetch` does."""
    path = fetch(name)
    if path.suffix == ".tflite":
        return replace(tflite.load(path), name=name)
    from models.importers import onnx  # takes half a second, which other networks need not wait for

    return replace(onnx.load(path), name=name)
