"""Golden operators: networks in numpy, bit for bit TensorFlow Lite's int8 reference kernels."""

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from models.golden.operators import run_layer
from models.network import Network, NetworkError
from models.tensor import batched

__all__ = ["run", "run_layer"]

Arrays = dict[str, npt.NDArray]


def run(
    network: Network, inputs: npt.NDArray | Mapping[str, npt.NDArray], layers: Iterable[str] | None = None
) -> Arrays:
    """Run a network on a batch.

    Args:
        network: what to run.
        inputs: arrays by name of the network's inputs, or the array itself if there is one input. Each has
            the tensor's dtype and shape, with any batch N in place of the leading 1.
        layers: names of layers to keep the outputs of. The others are freed once read, and layers that no
            kept one needs are not run. None keeps everything, inputs included.

    Returns:
        Arrays by tensor name; activations have the batch N first.

    Raises:
        NetworkError: an input that is missing, unknown, or of the wrong dtype or shape; an unknown layer.
    """
    tensors = _check_inputs(network, inputs)
    if layers is None:
        for layer in network.layers:
            tensors[layer.output] = run_layer(network, layer, tensors)
        return tensors
    keep = {network.layer(name).output for name in layers}
    needed = set(keep)
    last_reader: dict[str, str] = {}
    for layer in reversed(network.layers):
        if layer.output in needed:
            needed.update(layer.inputs)
            for name in layer.inputs:
                last_reader.setdefault(name, layer.name)
    for layer in network.layers:
        if layer.output not in needed:
            continue
        tensors[layer.output] = run_layer(network, layer, tensors)
        for name in layer.inputs:
            if last_reader[name] == layer.name and name not in keep:
                tensors.pop(name, None)
    return {name: tensors[name] for name in tensors if name in keep}


def _check_inputs(network: Network, inputs: npt.NDArray | Mapping[str, npt.NDArray]) -> Arrays:
    if not isinstance(inputs, Mapping):
        if len(network.inputs) != 1:
            raise NetworkError(f"{network.name} has {len(network.inputs)} inputs: give an array for each name")
        inputs = {network.inputs[0]: np.asarray(inputs)}
    if set(inputs) != set(network.inputs):
        raise NetworkError(
            f"{network.name}: inputs for {sorted(inputs)} were given, but it reads {sorted(network.inputs)}"
        )
    batches = {len(array) if array.ndim else 0 for array in inputs.values()}
    if len(batches) != 1 or 0 in batches:
        raise NetworkError(f"{network.name}: every input needs the same batch of 1 or more; got {sorted(batches)}")
    for name, array in inputs.items():
        tensor = network.tensors[name]
        if array.dtype != tensor.dtype or array.shape != batched(tensor.shape, len(array)):
            raise NetworkError(
                f"{network.name}: input {name!r} is {array.dtype}{list(array.shape)}, "
                f"but must be {tensor.dtype}{['N', *tensor.shape[1:]]}"
            )
    return dict(inputs)
