"""Random networks for the tests: every kind of layer that the accelerator runs, in any order that fits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from models.golden.fixed_point import INT8_RANGE, quantise_multiplier, requantisation
from models.layers import (
    Add,
    AveragePool2D,
    Concatenation,
    Conv2D,
    CyclicConv2D,
    DepthwiseConv2D,
    FullyConnected,
    Layer,
    MaxPool2D,
    Mean,
    Pad,
    Relu,
    Relu6,
    Requantisation,
    Requantize,
    RescaledAveragePool2D,
    Reshape,
    Rounding,
    Softmax,
)
from models.network import Network, Quantisation, Tensor

CHANNELS = (1, 3, 4, 8, 16, 20, 24, 32)
KINDS = (
    *("conv", "conv", "conv and pool", "depthwise", "add", "maximum"),
    *("average", "rescale", "join", "rows", "pad", "mean"),
)


class GraphBuilder:
    """Appends layers to a network; each method returns the name of the tensor that it makes."""

    def __init__(self, seed: int, weight_bits: int = 8) -> None:
        self.rng = np.random.default_rng(seed)
        self._lowest, self._beyond = (
            (-127, 128) if weight_bits >= 8 else (-(1 << weight_bits - 1), 1 << weight_bits - 1)
        )
        self.tensors: dict[str, Tensor] = {}
        self.layers: list[Layer] = []
        self.inputs: list[str] = []

    def _pick(self, *values: Any) -> Any:
        return values[int(self.rng.integers(len(values)))]

    def _zero_point(self) -> int:
        return int(self._pick(-128, 127, self.rng.integers(-128, 128)))

    def _tensor(self, name: str, shape: tuple[int, ...], zero_point: int) -> str:
        self.tensors[name] = Tensor(name, shape, np.dtype(np.int8), Quantisation.per_tensor(0.05, zero_point))
        return name

    def weights(self, shape: tuple[int, ...]) -> np.ndarray:
        """Random ones, of all values of the width that the builder was given."""
        return self.rng.integers(self._lowest, self._beyond, shape, dtype=np.int8)

    def input(self, shape: tuple[int, ...]) -> str:
        name = self._tensor(f"input_{len(self.inputs)}", shape, self._zero_point())
        self.inputs.append(name)
        return name

    def zero(self, name: str) -> int:
        return self.tensors[name].zero_point

    def shape(self, name: str) -> tuple[int, ...]:
        return self.tensors[name].shape

    def add(self, kind: type[Layer], *inputs: str, zero_point: int, **attributes: Any) -> str:
        """Append a layer of a kind; raises NetworkError if its inputs do not fit."""
        output = f"t{len(self.layers)}"
        layer = kind(name=f"{kind.op}_{len(self.layers)}", inputs=inputs, output=output, **attributes)
        shape = layer.infer_shape(*(self.shape(name) for name in inputs))
        self.layers.append(layer)
        return self._tensor(output, shape, zero_point)

    def change(self, **attributes: Any) -> None:
        """Give the last layer other attributes."""
        self.layers[-1] = replace(self.layers[-1], **attributes)

    def _activation(self, zero_point: int) -> tuple[int, int]:
        low = zero_point if self.rng.random() < 0.5 else -128
        return low, max(low, int(self._pick(127, min(127, zero_point + 40))))

    def _scales(self, maps: int, depth: int) -> Requantisation:
        return requantisation(*(self.rng.uniform(0.2, 2.0, maps) / (40 * np.sqrt(depth))))

    def conv(self, name: str, maps: int, kernel: tuple[int, int], groups: int = 1, **window: Any) -> str:
        channels, zero = self.shape(name)[3] // groups, self._zero_point()
        return self.add(
            Conv2D,
            name,
            zero_point=zero,
            groups=groups,
            weights=self.weights((maps, *kernel, channels)),
            bias=self.rng.integers(-2000, 2000, maps, dtype=np.int32),
            requantisation=self._scales(maps, channels * kernel[0] * kernel[1]),
            input_zero_point=self.zero(name),
            output_zero_point=zero,
            activation=self._activation(zero),
            **{"stride": (1, 1), "padding": ((0, 0), (0, 0)), **window},
        )

    def cyclic(self, name: str, maps: int, fan: int, kernel: tuple[int, int], step: int = 1, **window: Any) -> str:
        """A support layer of so many edges a map, `step` channels apart."""
        zero = self._zero_point()
        return self.add(
            CyclicConv2D,
            name,
            zero_point=zero,
            weights=self.weights((maps, fan, *kernel)),
            bias=self.rng.integers(-2000, 2000, maps, dtype=np.int32),
            requantisation=self._scales(maps, fan * kernel[0] * kernel[1]),
            in_nodes=self.shape(name)[3],
            cyclic_dilation=step,
            input_zero_point=self.zero(name),
            output_zero_point=zero,
            activation=self._activation(zero),
            **{"stride": (1, 1), "padding": ((0, 0), (0, 0)), **window},
        )

    def depthwise(self, name: str, kernel: tuple[int, int], multiplier: int = 1, **window: Any) -> str:
        zero, maps = self._zero_point(), self.shape(name)[3] * multiplier
        return self.add(
            DepthwiseConv2D,
            name,
            zero_point=zero,
            weights=self.weights((1, *kernel, maps)),
            bias=self.rng.integers(-2000, 2000, maps, dtype=np.int32),
            requantisation=self._scales(maps, kernel[0] * kernel[1]),
            depth_multiplier=multiplier,
            input_zero_point=self.zero(name),
            output_zero_point=zero,
            activation=self._activation(zero),
            **{"stride": (1, 1), "padding": ((0, 0), (0, 0)), **window},
        )

    def dense(self, name: str, maps: int, depth: int | None = None) -> str:
        """A fully connected layer, of the whole input unless a `depth` is given."""
        size, zero = int(np.prod(self.shape(name))), self._zero_point()
        scaling = self._scales(maps, depth or size)
        return self.add(
            FullyConnected,
            name,
            zero_point=zero,
            weights=self.weights((maps, depth or size)),
            bias=self.rng.integers(-2000, 2000, maps, dtype=np.int32),
            requantisation=Requantisation(scaling.multiplier, scaling.shift, Rounding.SINGLE),
            input_zero_point=self.zero(name),
            output_zero_point=zero,
            activation=self._activation(zero),
            keep_dims=depth is not None,
        )

    def sum(self, first: str, second: str) -> str:
        zero = self._zero_point()
        return self.add(
            Add,
            first,
            second,
            zero_point=zero,
            left_shift=20,
            input_scaling=requantisation(*self.rng.permutation([0.5, self.rng.uniform(0.05, 0.5)])),
            output_scaling=requantisation(float(self.rng.uniform(0.5, 4)) / (1 << 20)),
            input_zero_points=(self.zero(first), self.zero(second)),
            output_zero_point=zero,
            activation=self._activation(zero),
        )

    def pool(self, name: str, kind: type[Layer], kernel: tuple[int, int], **window: Any) -> str:
        return self.add(
            kind,
            name,
            zero_point=self.zero(name),
            kernel=kernel,
            activation=self._activation(self.zero(name)),
            **{"stride": kernel, "padding": ((0, 0), (0, 0)), **window},
        )

    def rescaled_pool(self, name: str, kernel: tuple[int, int], padding_counts: bool, **window: Any) -> str:
        zero = self._zero_point()
        window = {"stride": kernel, "padding": ((0, 0), (0, 0)), **window}
        _, height, width, _ = self.shape(name)
        (top, bottom), (left, right) = window["padding"]
        full = np.pad(
            np.ones((height, width), int), ((top, bottom), (left, right)), constant_values=int(padding_counts)
        )
        windows = np.lib.stride_tricks.sliding_window_view(full, kernel)[:: window["stride"][0], :: window["stride"][1]]
        counts = tuple(int(count) for count in np.unique(windows.sum(axis=(2, 3))))
        scaling = requantisation(*(1.3 / count for count in counts))
        return self.add(
            RescaledAveragePool2D,
            name,
            zero_point=zero,
            kernel=kernel,
            activation=self._activation(zero),
            counts=counts,
            padding_counts=padding_counts,
            requantisation=Requantisation(scaling.multiplier, scaling.shift, Rounding.SINGLE),
            input_zero_point=self.zero(name),
            output_zero_point=zero,
            **window,
        )

    def mean(self, name: str, *axes: int, keep_dims: bool = True) -> str:
        zero = self._zero_point()
        count = int(np.prod([self.shape(name)[axis] for axis in axes]))
        multiplier, shift = quantise_multiplier(float(self.rng.uniform(0.5, 1.5)) / count)
        return self.add(
            Mean,
            name,
            zero_point=zero,
            axes=axes,
            keep_dims=keep_dims,
            multiplier=multiplier,
            shift=shift,
            input_zero_point=self.zero(name),
            output_zero_point=zero,
        )

    def rescale(self, name: str, kind: type[Layer]) -> str:
        zero = self._zero_point()
        extra = {} if kind is Requantize else {"activation": self._activation(zero)}
        return self.add(
            kind,
            name,
            zero_point=zero,
            requantisation=requantisation(float(self.rng.uniform(0.3, 1.9))),
            input_zero_point=self.zero(name),
            output_zero_point=zero,
            **extra,
        )

    def pad(self, name: str, rows: tuple[int, int], columns: tuple[int, int], value: int | None = None) -> str:
        value = self.zero(name) if value is None else value
        return self.add(Pad, name, zero_point=self.zero(name), paddings=((0, 0), rows, columns, (0, 0)), value=value)

    def reshape(self, name: str, shape: tuple[int, ...]) -> str:
        return self.add(Reshape, name, zero_point=self.zero(name), shape=shape)

    def join(self, *names: str, axis: int = 3) -> str:
        return self.add(Concatenation, *names, zero_point=self.zero(names[0]), axis=axis)

    def softmax(self, name: str) -> str:
        return self.add(Softmax, name, zero_point=-128, multiplier=1 << 30, left_shift=22, diff_min=-124)

    def build(self, *outputs: str, name: str = "random") -> Network:
        return Network(name, self.tensors, tuple(self.layers), tuple(self.inputs), outputs)

    def values(self, network: Network, density: float = 0.6) -> dict[str, np.ndarray]:
        """An input for each input of the network, so many of its values not the zero point."""
        found = {}
        for name in network.inputs:
            dense = self.rng.integers(*INT8_RANGE, self.shape(name), dtype=np.int8, endpoint=True)
            zeros = self.rng.random(dense.shape) >= density
            found[name] = np.where(zeros, np.int8(self.zero(name)), dense)
        return found


def random_graph(seed: int, layers: int = 8) -> tuple[Network, dict[str, np.ndarray]]:
    """A network of about so many layers with skips, pools and joins, and an input for it."""
    builder = GraphBuilder(seed)
    rng, pick = builder.rng, builder._pick
    side = int(rng.integers(1, 9)), int(rng.integers(1, 9))
    maps = [builder.input((1, *side, pick(*CHANNELS)))]
    if rng.random() < 0.2:
        maps.append(builder.input((1, *side, pick(*CHANNELS))))
    while len(builder.layers) < layers:
        name = maps[int(rng.integers(max(0, len(maps) - 3), len(maps)))]
        maps.append(_grown(builder, name, maps))
    ends = [maps[-1], *(n for n in maps if rng.random() < 0.15 and n not in builder.inputs)]
    if rng.random() < 0.5:
        ends[0] = builder.dense(builder.reshape(ends[0], (1, int(np.prod(builder.shape(ends[0]))))), 10)
    if rng.random() < 0.3 and len(builder.shape(ends[0])) == 2:
        ends[0] = builder.softmax(ends[0])
    network = builder.build(*dict.fromkeys(ends))
    return network, builder.values(network)


def _grown(builder: GraphBuilder, name: str, maps: list[str]) -> str:
    """Another layer, or a few, on a map."""
    rng, pick = builder.rng, builder._pick
    _, height, width, _ = builder.shape(name)
    kernel = (int(rng.integers(1, min(4, height + 2))), int(rng.integers(1, min(4, width + 2))))
    around = (int(rng.integers(0, kernel[0])), kernel[0] - 1), (int(rng.integers(0, kernel[1])), kernel[1] - 1)
    same = [other for other in maps if builder.shape(other) == builder.shape(name)]
    kind = pick(*KINDS)
    if kind == "add":
        return builder.sum(name, pick(*same))
    if kind in ("maximum", "average"):
        window = {"stride": (int(rng.integers(1, 3)), 1), "padding": tuple((p[0], p[0]) for p in around)}
        window = window if rng.random() < 0.6 else {"padding": ((0, 0), (0, 0))}
        fits = min(kernel[0], height), min(kernel[1], width)
        return builder.pool(name, MaxPool2D if kind == "maximum" else AveragePool2D, fits, **window)
    if kind == "depthwise":
        multiplier = int(pick(1, 1, 1, 2)) if builder.shape(name)[3] <= 16 else 1
        dilation = pick((1, 1), (1, 1), (2, 1))
        padding = tuple((size // 2 * step, size // 2 * step) for size, step in zip(kernel, dilation, strict=True))
        stride = int(rng.integers(1, 3)), int(rng.integers(1, 3))
        return builder.depthwise(name, kernel, multiplier, stride=stride, dilation=dilation, padding=padding)
    if kind == "rescale":
        return builder.rescale(name, pick(Relu, Relu6, Requantize))
    if kind == "mean":
        return builder.mean(name, *pick((1, 2), (1,), (2,)))
    if kind in ("join", "rows"):
        return _joined(builder, name, rows=kind == "rows")
    if kind == "pad":
        return builder.conv(builder.pad(name, *around), pick(*CHANNELS), kernel)
    made = builder.conv(
        name, pick(*CHANNELS), kernel, padding=around, stride=(int(rng.integers(1, 3)), int(rng.integers(1, 3)))
    )
    _, height, width, _ = builder.shape(made)
    if kind == "conv and pool" and min(height, width) > 1:
        made = builder.pool(made, MaxPool2D, (2, 2))
    return made


def _joined(builder: GraphBuilder, name: str, *, rows: bool) -> str:
    """Two or three branches of a map, put together; sometimes a branch is the map itself, or one comes twice."""
    channels = builder.shape(name)[3]
    branches = []
    for _ in range(int(builder.rng.integers(1, 4))):
        maps = channels if rows else builder._pick(8, 16, 24)
        branches.append(builder.conv(name, maps, (1, 1)))
    if rows and builder.rng.random() < 0.4:
        branches.append(name)
    if builder.rng.random() < 0.2:
        branches.append(branches[0])
    zero = builder.zero(branches[0])
    equal = [branch if builder.zero(branch) == zero else with_zero(builder, branch, zero) for branch in branches]
    return builder.join(*equal, axis=1 if rows else 3)


def with_zero(builder: GraphBuilder, name: str, zero: int) -> str:
    """A map brought to another zero point, so that it can be joined with others."""
    return builder.add(
        Requantize,
        name,
        zero_point=zero,
        requantisation=requantisation(0.9),
        input_zero_point=builder.zero(name),
        output_zero_point=zero,
    )
