"""Cyclic sparsely connected layers (CSC): an index-free replacement of dense layers, in numpy.

A dense layer between N inputs and N outputs becomes a cascade of *support layers* without an activation between them.
In each, output i reads the `fan` inputs (i + j x `dilation`) mod N, so a weight's place tells which input it is for:
row i, column j of the *packed* weights [N, fan]. Which pairs of ends are connected, and by how many paths, depends on
(input - output) mod N alone: it is the number of ways to write that as a sum of one step j x dilation of each layer.

- One path (CSC-I): dilations are the products of the fans before, and the product of all fans is N. If it is more
  than N, there are floor or ceil(product / N) paths.
- One path, narrowing first: where outputs are fewer, the first layer may read inputs that are far apart, so that the
  layers after it have fewer nodes.
- C paths (CSC-II): two layers, fans F1 x F2 = C x N, dilations 1 and N / F2, which divides F1.

With N_in inputs and N_out outputs N is the larger of both: inputs above N_in are zero, and the last layer computes only
N_out rows. For N_out > N_in it may be N_in as well: outputs from N on start over, each with weights of its own, and no
weight is spent on an input that is zero.

In a CSC convolution the nodes are channels, and the edges of one support layer are K x K kernels.

Source: Hosseini et al., IEEE Transactions on VLSI Systems 2021, and Design Automation Conference 2019. Mixed fans and
sizes that are no product of them are worked out here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from math import prod

import numpy as np
import numpy.typing as npt

from models.errors import SkipstoneError

Kernel = tuple[int, int]


class CyclicError(SkipstoneError):
    """A cyclic layer that cannot be, or weights that are not of its shape."""


@dataclass(frozen=True)
class SupportLayer:
    """One layer of a cascade: output i of `nodes` reads inputs (i + j x dilation) mod nodes for j < fan.

    Attributes:
        nodes, fan, dilation: as above.
        rows: outputs that are computed: the first of the nodes, or more than those, which start over.
        kernel: height and width of the kernel on each edge; (1, 1) in a layer without space.

    Raises:
        CyclicError: two edges of an output would be the same.
    """

    nodes: int
    fan: int
    dilation: int
    rows: int
    kernel: Kernel = (1, 1)

    def __post_init__(self) -> None:
        if min(self.nodes, self.fan, self.dilation, self.rows, *self.kernel) < 1:
            raise CyclicError(f"{self}: sizes are at least 1")
        if len(set(self.steps)) < self.fan:
            raise CyclicError(
                f"a cyclic layer of {self.nodes} nodes has at most "
                f"{self.nodes // np.gcd(self.nodes, self.dilation)} edges an output with a dilation of "
                f"{self.dilation}, not {self.fan}"
            )

    @property
    def steps(self) -> tuple[int, ...]:
        """Input of each edge, relative to the output, modulo the nodes."""
        return tuple(j * self.dilation % self.nodes for j in range(self.fan))

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of the packed weights: rows, fan, kernel height, kernel width."""
        return (self.rows, self.fan, *self.kernel)

    @property
    def parameters(self) -> int:
        """Weights that are stored, and multiplications for each position of the output."""
        return prod(self.shape)

    @cached_property
    def sources(self) -> npt.NDArray[np.int64]:
        """The input of each edge: int64[rows, fan]."""
        return (np.arange(self.rows)[:, np.newaxis] + np.array(self.steps)) % self.nodes

    def pack(self, dense: npt.NDArray) -> npt.NDArray:
        """The weights [rows, nodes, *kernel] without the edges that are not there.

        Raises:
            CyclicError: another shape, or an edge that is not there has a weight.
        """
        expected = (self.rows, self.nodes, *self.kernel)
        if dense.shape != expected:
            raise CyclicError(f"dense weights are of shape {list(dense.shape)}, not {list(expected)}")
        packed = np.take_along_axis(dense, self.sources[:, :, np.newaxis, np.newaxis], axis=1)
        if np.count_nonzero(packed) < np.count_nonzero(dense):
            raise CyclicError(f"dense weights have values outside the {self.fan} edges of each of {self.nodes} nodes")
        return packed

    def expand(self, packed: npt.NDArray) -> npt.NDArray:
        """The weights as a dense array [rows, nodes, *kernel]; raises CyclicError for another shape."""
        self._check(packed)
        dense = np.zeros((self.rows, self.nodes, *self.kernel), packed.dtype)
        np.put_along_axis(dense, self.sources[:, :, np.newaxis, np.newaxis], packed, axis=1)
        return dense

    def apply(self, packed: npt.NDArray, values: npt.NDArray) -> npt.NDArray:
        """The layer's outputs [..., rows] for inputs [..., nodes], edge by edge, as the hardware goes.

        Raises:
            CyclicError: another shape, or kernels that cover more than a point.
        """
        self._check(packed)
        if self.kernel != (1, 1):
            raise CyclicError(f"{self}: its kernels need the positions of a feature map; expand it")
        weights = packed[:, :, 0, 0]
        return sum(values[..., self.sources[:, j]] * weights[:, j] for j in range(self.fan))

    def _check(self, packed: npt.NDArray) -> None:
        if packed.shape != self.shape:
            raise CyclicError(f"packed weights are of shape {list(packed.shape)}, not {list(self.shape)}")


@dataclass(frozen=True)
class CyclicCascade:
    """Support layers in the place of a dense layer of `inputs` and `outputs`, the first one first.

    Raises:
        CyclicError: the layers do not belong together.
    """

    inputs: int
    outputs: int
    layers: tuple[SupportLayer, ...]

    def __post_init__(self) -> None:
        nodes = {layer.nodes for layer in self.layers}
        if len(nodes) != 1 or min(nodes) < self.inputs:
            raise CyclicError(f"the layers of a cascade have equally many nodes, {self.inputs} or more: {self.layers}")
        rows = [*(self.nodes for _ in self.layers[1:]), self.outputs]
        if [layer.rows for layer in self.layers] != rows:
            raise CyclicError(f"the layers of a cascade have rows {rows}: {self.layers}")
        if sum(layer.kernel != (1, 1) for layer in self.layers) > 1:
            raise CyclicError("at most one layer of a cascade has kernels of more than a point")

    @property
    def nodes(self) -> int:
        """Of each layer."""
        return self.layers[0].nodes

    @property
    def fans(self) -> tuple[int, ...]:
        """Of the layers."""
        return tuple(layer.fan for layer in self.layers)

    @property
    def kernel(self) -> Kernel:
        """Height and width of the kernel of the whole."""
        height, width = zip(*(layer.kernel for layer in self.layers), strict=True)
        return max(height), max(width)

    @property
    def parameters(self) -> int:
        """Weights that are stored: no index is."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def dense_parameters(self) -> int:
        """Weights of the dense layer."""
        return self.inputs * self.outputs * prod(self.kernel)

    def macs(self, positions: int = 1, input_positions: int | None = None) -> int:
        """Multiply-accumulates for an output of so many positions.

        A layer before the one with the kernels works on `input_positions`, which differ where that has a stride.
        """
        before = positions if input_positions is None else input_positions
        spatial = next((i for i, layer in enumerate(self.layers) if layer.kernel != (1, 1)), 0)
        return sum(layer.parameters * (before if i < spatial else positions) for i, layer in enumerate(self.layers))

    @cached_property
    def paths(self) -> npt.NDArray[np.int64]:
        """Paths from an input to an output, by (input - output) mod nodes: int64[nodes]."""
        counts = np.zeros(self.nodes, np.int64)
        counts[0] = 1
        for layer in self.layers:
            counts = sum(np.roll(counts, step) for step in layer.steps)  # type: ignore[assignment]
        return counts

    def compose(self, packed: Sequence[npt.NDArray]) -> npt.NDArray:
        """The dense weights [outputs, inputs, *kernel] that the cascade is equal to.

        In int64 for integers: between the layers nothing is rounded.

        Raises:
            CyclicError: other shapes.
        """
        if len(packed) != len(self.layers):
            raise CyclicError(f"a cascade of {len(self.layers)} layers was given weights for {len(packed)}")
        expanded = [layer.expand(weights) for layer, weights in zip(self.layers, packed, strict=True)]
        wide = [weights.astype(np.int64) if weights.dtype.kind in "iu" else weights for weights in expanded]
        return reduce(_after, wide)[:, : self.inputs]

    def apply(self, packed: Sequence[npt.NDArray], values: npt.NDArray) -> npt.NDArray:
        """Outputs [..., outputs] for inputs [..., inputs]; raises CyclicError for other shapes."""
        if values.shape[-1] != self.inputs:
            raise CyclicError(f"a cascade of {self.inputs} inputs was given {values.shape[-1]}")
        missing = [(0, 0)] * (values.ndim - 1) + [(0, self.nodes - self.inputs)]
        values = np.pad(values, missing)
        for layer, weights in zip(self.layers, packed, strict=True):
            values = layer.apply(weights, values)
        return values


def _after(first: npt.NDArray, second: npt.NDArray) -> npt.NDArray:
    """The dense weights of two layers, one after the other; the kernel of one of them is a point."""
    if second.shape[2:] == (1, 1):
        return np.einsum("om,mihw->oihw", second[:, :, 0, 0], first)
    return np.einsum("omhw,mi->oihw", second, first[:, :, 0, 0])


def one_path(
    inputs: int,
    outputs: int,
    fans: Sequence[int],
    *,
    kernel: Kernel = (1, 1),
    spatial: int = 0,
    nodes: int | None = None,
) -> CyclicCascade:
    """CSC-I: each pair of ends has one path, or floor or ceil(product of the fans / nodes) paths.

    Args:
        fans: of the support layers, first one first; their product is at least the nodes.
        kernel: of the edges of support layer `spatial`.
        nodes: of each layer, at least the inputs; by default the larger of inputs and outputs.

    Raises:
        CyclicError: fans that leave some pair unconnected, or make an edge twice; fewer nodes than inputs.
    """
    nodes = nodes or max(inputs, outputs)
    if prod(fans) < nodes:
        raise CyclicError(f"fans of {list(fans)} reach {prod(fans)} of {nodes} nodes: give a larger product")
    return _cascade(inputs, outputs, nodes, fans, [prod(fans[:i]) for i in range(len(fans))], kernel, spatial)


def uniform_fans(nodes: int, fan: int) -> tuple[int, ...]:
    """The fans of CSC-I for one fan: as many layers as it takes to reach all nodes, the last one no larger than needed.

    Raises:
        CyclicError: a fan of less than 2 reaches nothing else.
    """
    if fan < 2 < nodes:
        raise CyclicError(f"a fan of {fan} reaches no other node: give at least 2")
    found: list[int] = []
    while prod(found) < nodes:
        found.append(min(fan, -(-nodes // prod(found))))
    return tuple(found) or (1,)


def exact_fans(nodes: int) -> tuple[int, ...]:
    """The prime factors of the nodes, the largest last: the fewest weights with exactly one path."""
    found, left, divisor = [], nodes, 2
    while left > 1:
        while left % divisor == 0:
            found.append(divisor)
            left //= divisor
        divisor += 1
    return tuple(found) or (1,)


def several_paths(
    inputs: int,
    outputs: int,
    fans: tuple[int, int],
    *,
    kernel: Kernel = (1, 1),
    spatial: int = 0,
    nodes: int | None = None,
) -> CyclicCascade:
    """CSC-II: two layers, and fans[0] x fans[1] / nodes paths between each pair of ends.

    Arguments as `one_path` has them.

    Raises:
        CyclicError: fans[1] does not divide the nodes, or nodes / fans[1] does not divide fans[0]; fewer nodes than
            inputs.
    """
    nodes, (first, second) = nodes or max(inputs, outputs), fans
    if second < 1 or nodes % second or first % (nodes // second):
        raise CyclicError(
            f"fans of {list(fans)} do not give {nodes} nodes a whole number of paths: the second must divide the "
            "nodes, and nodes / second the first"
        )
    return _cascade(inputs, outputs, nodes, fans, [1, nodes // second], kernel, spatial)


def narrowing(inputs: int, outputs: int, nodes: int, first: int, fans: Sequence[int]) -> tuple[SupportLayer, ...]:
    """One path from each of many inputs to each output over fewer nodes: fewer weights than on as many as the inputs.

    The first layer's `nodes` outputs read `first` inputs each, inputs / first = D apart: those equal modulo D. The
    others reach D nodes side by side, which are one of each residue modulo D, as D divides the nodes.

    Args:
        nodes: that the first layer leaves.
        fans: of the layers after it, whose product is D.

    Raises:
        CyclicError: `first` does not divide the inputs, D not the nodes, or the product of the fans is not D.
    """
    apart = inputs // first if first > 0 else 0
    if apart * first != inputs or nodes % apart or prod(fans) != apart or not fans:
        raise CyclicError(
            f"a first fan of {first} and fans of {list(fans)} do not narrow {inputs} inputs to {nodes} nodes: the "
            "first must divide the inputs, the rest the nodes, and the others multiply to the rest"
        )
    rows = [nodes] * (len(fans) - 1) + [outputs]
    rest = (SupportLayer(nodes, fan, prod(fans[:i]), rows[i]) for i, fan in enumerate(fans))
    return SupportLayer(inputs, first, apart, nodes), *rest


def _cascade(
    inputs: int,
    outputs: int,
    nodes: int,
    fans: Sequence[int],
    dilations: Sequence[int],
    kernel: Kernel,
    spatial: int,
) -> CyclicCascade:
    layers = tuple(
        SupportLayer(
            nodes,
            fan,
            dilation,
            rows=outputs if index == len(fans) - 1 else nodes,
            kernel=kernel if index == spatial else (1, 1),
        )
        for index, (fan, dilation) in enumerate(zip(fans, dilations, strict=True))
    )
    return CyclicCascade(inputs, outputs, layers)
