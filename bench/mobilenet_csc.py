"""MobileNet V1 0.5 at 224 pixels, its last two layers as cyclic ones.

Those two, a pointwise convolution of 512 x 512 and the classifier of 512 x 1000, hold most weights. Hosseini et al.
(IEEE TVLSI 2021) replace them by cyclic layers and report a model of 873 KB. That is, at a byte a weight, what CSC-II
comes to with fans of 64 and 64 on 512 nodes and of 128 and 128 on 1024 nodes, all of which are computed; the fans are
worked out here. The other rows connect every pair of ends with fewer weights.
"""

from dataclasses import dataclass

from bench.mobilenet import ConvolutionShape
from models.sparsity.cyclic import CyclicCascade, one_path, several_paths

WIDTH, SIZE = 0.5, 224


@dataclass(frozen=True)
class Variant:
    """What stands in the place of the last layers.

    Attributes:
        what: for people.
        cascades: one for each layer that is replaced.
    """

    what: str
    cascades: tuple[CyclicCascade, ...]


def variants() -> tuple[Variant, ...]:
    """Cyclic layers for the last two, from the most weights to the fewest."""
    return (
        Variant(
            "CSC-II, 1024 nodes, all computed",
            (several_paths(512, 512, (64, 64)), several_paths(512, 1024, (128, 128))),
        ),
        Variant(
            "CSC-II, 1024 nodes, 1000 computed",
            (several_paths(512, 512, (64, 64)), several_paths(512, 1000, (128, 128), nodes=1024)),
        ),
        Variant(
            "CSC-II, 512 nodes, as many paths",
            (several_paths(512, 512, (64, 64)), several_paths(512, 1000, (128, 64), nodes=512)),
        ),
        Variant(
            "CSC-I, 512 nodes, 2 layers each",
            (one_path(512, 512, (16, 32)), one_path(512, 1000, (32, 16), nodes=512)),
        ),
        Variant(
            "CSC-I, 512 nodes, 3 layers each",
            (one_path(512, 512, (8, 8, 8)), one_path(512, 1000, (8, 8, 8), nodes=512)),
        ),
    )


def weights_of(layers: tuple[ConvolutionShape, ...], variant: Variant) -> int:
    """Weights of a network whose last layers are a variant's."""
    kept = layers[: len(layers) - len(variant.cascades)]
    return sum(layer.weights for layer in kept) + sum(cascade.parameters for cascade in variant.cascades)


def macs_of(layers: tuple[ConvolutionShape, ...], variant: Variant) -> int:
    """Multiply-accumulates of the same."""
    kept, replaced = layers[: -len(variant.cascades)], layers[-len(variant.cascades) :]
    cyclic = zip(replaced, variant.cascades, strict=True)
    return sum(layer.macs for layer in kept) + sum(cascade.macs(layer.output_size**2) for layer, cascade in cyclic)
