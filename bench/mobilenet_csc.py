"""MobileNet V1 0.5 at 224 x 224, dense and with its last two layers cyclic: parameters, and predicted cycles.

Only shapes matter here: the weights are drawn. Hosseini et al. (IEEE TVLSI 2021) give 1,319,648 weights, 149.5 million
multiply-accumulates, and 873 KB with cyclic layers in the place of the last two, which hold 58.7 % of the weights. They
do not say which cyclic layers; here these are CSC-II, two support layers with `paths` paths between each pair of ends.

`python -m bench.mobilenet_csc` prints both networks; `--by-layer` each layer.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from compiler.candidates import candidates
from compiler.lowering import lower
from compiler.operations import Convolve, VectorOperation
from compiler.prediction import WeightStream, run_passes
from compiler.program import TYPICAL_DENSITY, LayerProgram, fastest
from compiler.program_prediction import vector_cycles
from hw.config import CoreConfig
from models.golden.fixed_point import requantisation
from models.layers import Convolution, Layer, Rounding
from models.network import (
    AveragePool2D,
    Conv2D,
    CyclicConv2D,
    DepthwiseConv2D,
    Network,
    Quantisation,
    Requantisation,
    Tensor,
)
from models.sparsity.cyclic import CyclicCascade, several_paths

BLOCKS = (
    *((32, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2)),
    *((512, 512, 1),) * 5,
    *((512, 1024, 2), (1024, 1024, 1)),
)
"""Channels before and after, and stride, of each depthwise-separable block at full width."""
CLASSES, SIZE = 1000, 224
DENSE_CYCLES = 149.5e6 / 128
"""Multiply-accumulates as published, on 128 multipliers."""
PATHS = 32
"""Of the cyclic layers: fans of 128, which come to about 873 KB."""
CONFIG = CoreConfig(post_lanes=16, window_depth=64, activation_depth=32768, weight_depth=4096)
"""8 x 16 multipliers, and memories that the largest maps fit."""


@dataclass(frozen=True)
class LayerCost:
    """What a layer takes: weights, multiply-accumulates, predicted cycles, and the dataflow."""

    name: str
    parameters: int
    macs: int
    cycles: int
    dataflow: str


class _Builder:
    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.tensors = {"input": _tensor("input", (1, SIZE, SIZE, 3))}
        self.layers: list[Layer] = []
        self.last = "input"

    def add(self, kind: type[Convolution], maps: int, **attributes: Any) -> None:
        name = f"{kind.op}_{len(self.layers)}"
        layer = kind(
            name=name,
            inputs=(self.last,),
            output=f"t{len(self.layers)}",
            bias=np.zeros(maps, np.int32),
            requantisation=Requantisation(*_scales(maps), Rounding.DOUBLE),
            input_zero_point=-128,
            output_zero_point=-128,
            activation=(-128, 127),
            **attributes,
        )
        self.tensors[layer.output] = _tensor(layer.output, layer.infer_shape(self.tensors[self.last].shape))
        self.layers.append(layer)
        self.last = layer.output

    def draw(self, *shape: int) -> np.ndarray:
        return self.rng.integers(-127, 128, shape, dtype=np.int8)

    @property
    def channels(self) -> int:
        return self.tensors[self.last].shape[3]

    def same(self, kernel: int, stride: int) -> dict[str, Any]:
        size = self.tensors[self.last].shape[1]
        total = max(0, (math.ceil(size / stride) - 1) * stride + kernel - size)
        one = (total // 2, total - total // 2)
        return {"stride": (stride, stride), "padding": (one, one)}

    def dense(self, maps: int, kernel: int = 1, stride: int = 1) -> None:
        weights = self.draw(maps, kernel, kernel, self.channels)
        self.add(Conv2D, maps, weights=weights, **self.same(kernel, stride))

    def depthwise(self, stride: int) -> None:
        weights = self.draw(1, 3, 3, self.channels)
        self.add(DepthwiseConv2D, self.channels, weights=weights, **self.same(3, stride))

    def cyclic(self, cascade: CyclicCascade) -> None:
        for layer in cascade.layers:
            self.add(
                CyclicConv2D,
                layer.rows,
                weights=self.draw(*layer.shape),
                in_nodes=layer.nodes,
                cyclic_dilation=layer.dilation,
                **self.same(1, 1),
            )

    def pool(self) -> None:
        _, height, width, _ = self.tensors[self.last].shape
        layer = AveragePool2D(
            name=f"average_pool_2d_{len(self.layers)}",
            inputs=(self.last,),
            output=f"t{len(self.layers)}",
            kernel=(height, width),
            stride=(height, width),
            padding=((0, 0), (0, 0)),
            activation=(-128, 127),
        )
        self.tensors[layer.output] = _tensor(layer.output, layer.infer_shape(self.tensors[self.last].shape))
        self.layers.append(layer)
        self.last = layer.output


def _tensor(name: str, shape: tuple[int, ...]) -> Tensor:
    return Tensor(name, shape, np.dtype(np.int8), Quantisation.per_tensor(0.05, -128))


def _scales(maps: int) -> tuple[np.ndarray, np.ndarray]:
    one = requantisation(0.001)
    return np.repeat(one.multiplier, maps), np.repeat(one.shift, maps)


def mobilenet(paths: int = 0) -> Network:
    """MobileNet V1 0.5; with `paths`, the last pointwise convolution and the classifier are CSC-II of so many paths.

    The classifier has 512 nodes, of which its 1000 outputs use each about twice.
    """
    builder = _Builder()
    builder.dense(16, 3, 2)
    for index, (_, after, stride) in enumerate(BLOCKS):
        builder.depthwise(stride)
        if paths and index == len(BLOCKS) - 1:
            builder.cyclic(several_paths(512, 512, _fans(512, paths)))
        else:
            builder.dense(after // 2)
    builder.pool()
    if paths:
        first, second = several_paths(512, 512, _fans(512, paths)).layers
        for layer, maps in ((first, 512), (second, CLASSES)):
            builder.add(
                CyclicConv2D,
                maps,
                weights=builder.draw(maps, layer.fan, 1, 1),
                in_nodes=512,
                cyclic_dilation=layer.dilation,
                **builder.same(1, 1),
            )
    else:
        builder.dense(CLASSES)
    return Network("mobilenet", builder.tensors, tuple(builder.layers), ("input",), (builder.last,))


def _fans(nodes: int, paths: int) -> tuple[int, int]:
    """Of CSC-II: their product is paths x nodes, both as near to each other as `several_paths` allows."""
    options = [(paths * nodes // second, second) for second in range(1, nodes + 1) if nodes % second == 0]
    return min((one for one in options if one[0] <= nodes), key=sum)


def costs(network: Network, config: CoreConfig, *, skip_zeros: bool) -> list[LayerCost]:
    """Each layer as predicted, its weights streaming in behind the layer before.

    Args:
        skip_zeros: dense layers may run on `nullhop`, and half of all activations are zero; otherwise all run on `csc`.
    """
    found, now, weights = [], 0, WeightStream(config)
    rng = np.random.default_rng(0)
    layers = {layer.name: layer for layer in network.layers}
    for operation in lower(network, config).operations:
        before = now
        if isinstance(operation, Convolve):
            ways = candidates(operation.computed, operation.input, config, operation.output.pixel_words)
            one = fastest([way for way in ways if skip_zeros or way.mapping.run], config)
            program = LayerProgram(one.conv, one.mapping, config, sparse_input=False, sparse_output=False)
            stored = (rng.random(operation.input.shape) < TYPICAL_DENSITY).astype(np.uint8)
            now, _ = run_passes(program, stored, now, 0, weights)
            parameters = layers[operation.name].parameters - operation.conv.maps
            dataflow = one.mapping.dataflow
            found.append(LayerCost(operation.name, parameters, operation.conv.macs, now - before, dataflow))
        elif isinstance(operation, VectorOperation):
            now += vector_cycles(operation, config)
            found.append(LayerCost(operation.name, 0, 0, now - before, "vector"))
    return found


def _show(name: str, layers: Sequence[LayerCost], by_layer: bool) -> None:
    if by_layer:
        for one in layers:
            print(f"  {one.name:24} {one.dataflow:8} {one.parameters:>9,} {one.macs:>12,} {one.cycles:>9,}")
    parameters, macs, cycles = (sum(getattr(one, name) for one in layers) for name in ("parameters", "macs", "cycles"))
    share = cycles / DENSE_CYCLES
    print(f"{name:34} {parameters:>9,} weights {macs:>12,} MACs {cycles:>9,} cycles, {share:.2f} of 149.5 M / 128")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.mobilenet_csc", description=__doc__)
    parser.add_argument("--by-layer", action="store_true", help="show each layer")
    by_layer = parser.parse_args(arguments).by_layer
    for paths, kind in ((0, "dense"), (PATHS, "last two cyclic")):
        network = mobilenet(paths)
        _show(f"{kind}, all on csc", costs(network, CONFIG, skip_zeros=False), by_layer)
        _show(f"{kind}, half of zeros skipped", costs(network, CONFIG, skip_zeros=True), by_layer)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
