"""MobileNet V1 (Howard et al. 2017) by its shapes: weights and multiply-accumulates, without weights' values."""

from collections.abc import Iterator
from dataclasses import dataclass

CLASSES = 1000
# Outputs and stride of each depthwise separable block, for a width of 1.
_BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))
_STEM = 32


@dataclass(frozen=True)
class ConvolutionShape:
    """A convolution of square maps and kernels, padded so that the output has size / stride positions a side.

    Attributes:
        name: of the layer.
        inputs, outputs: channels; of a fully connected layer nodes, on a map of 1 x 1.
        kernel, stride: in both directions.
        size: positions a side of the input.
        depthwise: each output reads one input.
    """

    name: str
    inputs: int
    outputs: int
    kernel: int = 1
    stride: int = 1
    size: int = 1
    depthwise: bool = False

    @property
    def output_size(self) -> int:
        """Positions a side of the output."""
        return -(-self.size // self.stride)

    @property
    def weights(self) -> int:
        """Weights, without biases, which batch normalisation folds into."""
        return self.kernel**2 * self.outputs * (1 if self.depthwise else self.inputs)

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image, padding positions counted."""
        return self.output_size**2 * self.weights


def mobilenet(width: float, size: int) -> tuple[ConvolutionShape, ...]:
    """Layers with weights, for a width multiplier and an input of size x size pixels of three colours."""
    return tuple(_layers(width, size))


def _layers(width: float, size: int) -> Iterator[ConvolutionShape]:
    channels = round(_STEM * width)
    yield ConvolutionShape("stem", 3, channels, 3, 2, size)
    size = -(-size // 2)
    for block, (full, stride) in enumerate(_BLOCKS, start=1):
        yield ConvolutionShape(f"depthwise_{block}", channels, channels, 3, stride, size, depthwise=True)
        size = -(-size // stride)
        outputs = round(full * width)
        yield ConvolutionShape(f"pointwise_{block}", channels, outputs, size=size)
        channels = outputs
    yield ConvolutionShape("classifier", channels, CLASSES)
