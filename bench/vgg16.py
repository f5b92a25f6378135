"""VGG16's convolutions at 224 pixels, with the weight densities that magnitude pruning leaves.

Densities: S. Han, J. Pool, J. Tran, W. Dally, "Learning both Weights and Connections for Efficient Neural Networks",
NIPS 2015, the table of VGG-16. Every kernel is 3x3, with stride 1 and a padding of 1.
"""

from __future__ import annotations

from dataclasses import dataclass

KERNEL = (3, 3)


@dataclass(frozen=True)
class ConvolutionShape:
    """One layer.

    Attributes:
        name: as published.
        inputs, outputs: channels.
        size: height and width of its input and its output.
        density: share of the weights that are not 0.
    """

    name: str
    inputs: int
    outputs: int
    size: int
    density: float

    @property
    def kernel_weights(self) -> int:
        """Weights of one output kernel, zeros too."""
        return self.inputs * KERNEL[0] * KERNEL[1]

    @property
    def macs(self) -> int:
        """Dense multiply-accumulates."""
        return self.kernel_weights * self.outputs * self.size**2


VGG16 = (
    ConvolutionShape("conv1_1", 3, 64, 224, 0.58),
    ConvolutionShape("conv1_2", 64, 64, 224, 0.22),
    ConvolutionShape("conv2_1", 64, 128, 112, 0.34),
    ConvolutionShape("conv2_2", 128, 128, 112, 0.36),
    ConvolutionShape("conv3_1", 128, 256, 56, 0.53),
    ConvolutionShape("conv3_2", 256, 256, 56, 0.24),
    ConvolutionShape("conv3_3", 256, 256, 56, 0.42),
    ConvolutionShape("conv4_1", 256, 512, 28, 0.32),
    ConvolutionShape("conv4_2", 512, 512, 28, 0.27),
    ConvolutionShape("conv4_3", 512, 512, 28, 0.34),
    ConvolutionShape("conv5_1", 512, 512, 14, 0.35),
    ConvolutionShape("conv5_2", 512, 512, 14, 0.29),
    ConvolutionShape("conv5_3", 512, 512, 14, 0.36),
)
