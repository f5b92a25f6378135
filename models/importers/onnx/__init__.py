"""Importer for ONNX files with int8 or uint8 quantisation, as quantised operators (QLinearConv, ...) or as QDQ.

Feature maps become channels last (see `models.importers.onnx.layout`), uint8 activations int8 ones that are 128
less, and every layer rounds in fixed point (see `models.importers.onnx.rounding`).
"""

from os import PathLike
from pathlib import Path

from models.importers.errors import ImporterError
from models.importers.onnx.importer import build_network
from models.importers.onnx.reader import read_graph
from models.network import Network, NetworkError

__all__ = ["load"]


def load(path: str | PathLike[str]) -> Network:
    """Import a quantised network.

    Tensors keep the names that the file gives their values, in integers if it has those. A layer's name ends in the
    place of its node in the file. A batch size left open in the file becomes 1.

    Raises:
        ImporterError: the file cannot be read, is damaged, or holds an operator, option, type or dynamic shape that
            is not supported. The message names the file, the node and the reason.
    """
    path = Path(path)
    try:
        return build_network(path.stem, read_graph(path))
    except OSError as error:
        raise ImporterError(f"{path}: cannot be read: {error.strerror}") from None
    except NetworkError as error:
        line = " ".join(str(error).split())  # a damaged name may hold anything
        raise ImporterError(f"{path.name}: {line}") from None
