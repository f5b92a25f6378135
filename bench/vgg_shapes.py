"""The convolutions of VGG16 and VGG19 (Simonyan and Zisserman 2015) at 224 pixels, by their shapes.

Each is 3x3, with stride 1 and a padding of 1. VGG16's have the weight densities that magnitude pruning leaves: S. Han,
J. Pool, J. Tran, W. Dally, "Learning both Weights and Connections for Efficient Neural Networks", NIPS 2015, the table
of VGG-16.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

KERNEL = (3, 3)
_SIZE = 224
_MAPS = (64, 128, 256, 512, 512)
_DEPTHS = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
_DENSITIES = (0.58, 0.22, 0.34, 0.36, 0.53, 0.24, 0.42, 0.32, 0.27, 0.34, 0.35, 0.29, 0.36)


@dataclass(frozen=True)
class VggLayer:
    """One layer.

    Attributes:
        name: as published.
        inputs, outputs: channels.
        size: height and width of its input and its output.
        last: of its block, so that 2x2 max-pooling follows.
        density: share of the weights that are not 0 after pruning; 1 where none is published.
    """

    name: str
    inputs: int
    outputs: int
    size: int
    last: bool
    density: float = 1.0

    @property
    def kernel_weights(self) -> int:
        """Weights of one output kernel, zeros too."""
        return self.inputs * KERNEL[0] * KERNEL[1]

    @property
    def macs(self) -> int:
        """Dense multiply-accumulates, padding counted as in the papers."""
        return self.kernel_weights * self.outputs * self.size**2


def vgg_layers(network: str) -> tuple[VggLayer, ...]:
    """The convolutions of `vgg16` or `vgg19`, in order."""
    return tuple(_layers(network))


def _layers(network: str) -> Iterator[VggLayer]:
    densities = iter(_DENSITIES if network == "vgg16" else ())
    inputs = 3
    for block, (outputs, depth) in enumerate(zip(_MAPS, _DEPTHS[network], strict=True), start=1):
        size = _SIZE >> block - 1
        for index in range(1, depth + 1):
            name = f"conv{block}_{index}"
            yield VggLayer(name, inputs, outputs, size, index == depth, next(densities, 1.0))
            inputs = outputs


VGG16 = vgg_layers("vgg16")
