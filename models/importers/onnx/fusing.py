"""Rectifiers that stand alone become the clamp of the layer before them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from models.importers.onnx.builder import same_quantisation
from models.layers import Layer, Relu
from models.network import Tensor


def fuse_rectifiers(
    layers: Sequence[Layer], tensors: dict[str, Tensor], outputs: Sequence[str]
) -> tuple[list[Layer], dict[str, Tensor]]:
    """The same network without rectifiers of an unchanged scale whose input only they read.

    They only clamp the integers, which the layer before them does in the same step if it has a clamp.
    """
    readers = Counter((*outputs, *(name for layer in layers for name in layer.inputs)))
    result: list[Layer] = []
    written: dict[str, int] = {}
    for layer in layers:
        place = written.get(layer.inputs[0])
        before: Any = result[place] if place is not None else None
        if place is None or not _fits(layer, before, tensors) or readers[layer.inputs[0]] != 1:
            written[layer.output] = len(result)
            result.append(layer)
            continue
        low, high = (np.clip(bound, *layer.activation) for bound in before.activation)  # type: ignore[attr-defined]
        result[place] = replace(before, output=layer.output, activation=(int(low), int(high)))
        written[layer.output] = place
    kept = {name for layer in result for name in (*layer.inputs, layer.output)} | set(outputs)
    return result, {name: tensor for name, tensor in tensors.items() if name in kept}


def _fits(layer: Layer, before: Layer, tensors: dict[str, Tensor]) -> bool:
    """Whether a layer only clamps, and the one before it can do that."""
    if not isinstance(layer, Relu) or not hasattr(before, "activation"):
        return False
    quantisations = [tensors[name].quantisation for name in (layer.inputs[0], layer.output)]
    first, second = quantisations
    return first is not None and second is not None and same_quantisation(first, second)
