"""Importer for TensorFlow Lite files with int8 quantisation (the format's schema version 3)."""

from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from models.importers.errors import ImporterError
from models.importers.tflite import folding, operators
from models.importers.tflite.reader import RawModel, RawTensor, read_model
from models.layers import Layer
from models.network import Network, NetworkError, Tensor

__all__ = ["load"]


def load(path: str | PathLike[str]) -> Network:
    """Import an int8 network.

    The file's operators become layers one to one, except those that only compute shapes, which become
    constants. A batch size left open in the file becomes 1.

    Raises:
        ImporterError: the file cannot be read, is damaged, or holds an operator, option, type or dynamic
            shape that is not supported. The message names the file, the layer and the reason.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImporterError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        return _build(path.stem, read_model(data))
    except NetworkError as error:
        raise ImporterError(f"{path.name}: {error}") from None


def _build(name: str, model: RawModel) -> Network:
    tensors = dict(enumerate(model.tensors))
    layers: list[Layer] = []
    for operator in model.operators:
        try:
            folded = folding.fold(operator, tensors)
            if folded is None:
                layers.append(operators.build(operator, tensors))
            else:
                tensors[operator.outputs[0]] = folded
        except NetworkError as error:
            message = str(error)
            prefix = f"layer {operator.name}: "
            raise NetworkError(message if message.startswith(prefix) else prefix + message) from None
    used = _used(layers, model, tensors)
    return Network(
        name=name,
        tensors={tensor.name: tensor for tensor in (_tensor(tensors[index]) for index in used)},
        layers=tuple(layers),
        inputs=tuple(tensors[index].name for index in model.inputs if tensors[index].data is None),
        outputs=tuple(tensors[index].name for index in model.outputs),
    )


def _used(layers: Iterable[Layer], model: RawModel, tensors: dict[int, RawTensor]) -> list[int]:
    """Indices of the tensors that take part: constants of the operators, and activations of the layers."""
    activations = {name for layer in layers for name in (*layer.inputs, layer.output)}
    ends = {*model.inputs, *model.outputs}
    read = {index for operator in model.operators for index in operator.inputs if index >= 0}
    return [
        index
        for index, tensor in tensors.items()
        if index in ends or tensor.name in activations or (index in read and tensor.data is not None)
    ]


def _tensor(raw: RawTensor) -> Tensor:
    return Tensor(raw.name, raw.shape, raw.require_dtype(), raw.quantisation, raw.data)
