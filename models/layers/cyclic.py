"""One support layer of a cyclic sparsely connected network (CSC): a convolution whose edges need no index."""

from dataclasses import dataclass
from functools import cached_property

from models.layers.base import Pair
from models.layers.weighted import Conv2D, Convolution
from models.sparsity.cyclic import CyclicError, SupportLayer
from models.tensor import Shape


@dataclass(frozen=True, eq=False, kw_only=True)
class CyclicConv2D(Convolution):
    """Convolution in which an output channel reads `fan_in` input channels, a fixed number of channels apart.

    Nodes are channels. Edge j of output channel n reads input channel ``(n + j * cyclic_dilation) mod in_nodes``, for
    any number of output channels: those from `in_nodes` on start over. Otherwise it is a convolution: int32 sums,
    requantisation, clamp. A fully connected support layer is one of a 1 x 1 kernel on a map of 1 x 1; a cascade of
    support layers is one layer after the other, the tensors between them int8 without a rectifier.

    Attributes:
        weights: packed, int8[out_nodes, fan_in, kernel height, kernel width], symmetric per output channel.
        in_nodes: the input's channels.
        cyclic_dilation: channels between two edges of an output channel, at least 1.
        stride, padding, dilation: of the window in space, as in any convolution.

    Source: Hosseini et al., IEEE Transactions on VLSI Systems 2021; the graphs are `models.sparsity.cyclic`'s.
    """

    op = "cyclic_conv_2d"
    in_nodes: int
    cyclic_dilation: int

    @property
    def out_nodes(self) -> int:
        """Output channels."""
        return self.weights.shape[0]

    @property
    def fan_in(self) -> int:
        """Edges of an output channel."""
        return self.weights.shape[1]

    @property
    def kernel(self) -> Pair:
        return self.weights.shape[2], self.weights.shape[3]

    @cached_property
    def support(self) -> SupportLayer:
        """The graph of its edges; raises NetworkError if the layer has none such."""
        if self.weights.ndim != 4:
            raise self.refuse(
                f"packed weights of shape {list(self.weights.shape)}; "
                "output channels, edges, kernel height and width are expected"
            )
        try:
            return SupportLayer(self.in_nodes, self.fan_in, self.cyclic_dilation, self.out_nodes, self.kernel)
        except CyclicError as error:
            raise self.refuse(str(error)) from None

    def infer_shape(self, *shapes: Shape) -> Shape:
        (shape,) = shapes
        support = self.support
        out = self._slide(shape, self.kernel, self.dilation)
        if shape[3] != support.nodes:
            raise self.refuse(f"{support.nodes} input nodes do not fit {shape[3]} channels")
        self._check_channels(support.rows)
        return (1, *out, support.rows)

    def expanded(self) -> Conv2D:
        """The dense convolution that it is equal to, most of whose weights are 0."""
        return Conv2D(
            name=self.name,
            inputs=self.inputs,
            output=self.output,
            weights=self.support.expand(self.weights).transpose(0, 2, 3, 1).copy(),
            bias=self.bias,
            requantisation=self.requantisation,
            input_zero_point=self.input_zero_point,
            output_zero_point=self.output_zero_point,
            activation=self.activation,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
        )
