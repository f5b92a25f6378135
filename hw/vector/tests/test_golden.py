"""Layers of networks on the vector unit with the post-processor behind it: the stored bytes are the golden model's."""

import random
from typing import Any

import numpy as np
import pytest

from hw.vector.tests.cases import ADD, MAXIMUM, SUM, Axis, Case, Source, core
from hw.vector.tests.division import division
from hw.vector.tests.system import Layer, VectorSystem, run_layers, store
from models.golden.elementwise import add, relu
from models.golden.fixed_point import INT8_RANGE, requantisation
from models.golden.pooling import average_pool_2d, max_pool_2d, mean
from models.layers import Add, AveragePool2D, MaxPool2D, Mean, Relu

UNCHANGED = {"bias": 0, "multiplier": (1 << 31) - 1, "shift": 0, "single_rounding": 0}
NAMES: dict[str, Any] = {"name": "layer", "inputs": ("x", "y"), "output": "z"}
CHANNELS = (1, 15, 16, 17, 33)


class Bench:
    """Draws layers, and lays their inputs out in memory; the same two places for all, and one for results."""

    def __init__(self, config, seed):
        self.config = config
        self.random = random.Random(seed)
        self.numpy = np.random.default_rng(seed)
        self.words = [[self.random.randrange(256) for _ in range(16)] for _ in range(config.activation_words)]
        self.layers = []
        # Each layer has its own inputs, so that all can be in memory from the beginning.
        self._free = 0

    def zero_point(self):
        return self.random.choice([-128, 0, 127, self.random.randrange(-128, 128)])

    def activation(self, zero_point):
        return self.random.choice([INT8_RANGE, (zero_point, 127), (-100, 90)])

    def feature_map(self, rows, columns, channels, zero_point):
        """Random values, and the source that reads them."""
        values = self.numpy.integers(-128, 128, (1, rows, columns, channels)).astype(np.int8)
        pixel_words = -(-channels // 16)
        base, self._free = self._free, self._free + rows * columns * pixel_words
        store(self.words, values, zero_point, base, pixel_words)
        return values, Source(base, pixel_words, columns * pixel_words, threshold=127 - zero_point)

    def append(self, operation, axes, sources, expected, entries, zero_point, clamp, *, offset=0, by_count=False):
        channels = expected.shape[-1]
        first_channel = self.random.randrange(0, 20, self.config.post_lanes)
        pixel_words = -(-(first_channel + channels) // 16)
        row_words = axes[1].outputs * pixel_words
        output = {
            "base": self._free,
            "pixel_words": pixel_words,
            "row_words": row_words,
            "first_channel": first_channel,
        }
        self._free += axes[0].outputs * row_words
        assert self._free <= self.config.activation_words
        parity = len(self.layers) % 2
        rows, columns = axes
        case = Case(self.config, operation, rows, columns, channels, tuple(sources), output, by_count, parity)
        post = {"offset": offset, "lower": clamp[0] - zero_point, "upper": clamp[1] - zero_point}
        self.layers.append(Layer(case, entries, post, zero_point, expected))

    def run(self, seed, stalls="none"):
        run_layers(VectorSystem(self.config), self.layers, self.words, stalls=stalls, seed=seed)


def entry(scaling):
    return {"bias": 0, "multiplier": int(scaling.multiplier[0]), "shift": int(scaling.shift[0]), "single_rounding": 0}


def append_add(bench, rows, columns, channels):
    rng = bench.random
    scales = [rng.choice([0.5, 0.03, rng.uniform(0.001, 1)]) for _ in range(2)]
    output_scale = rng.uniform(0.5, 3) * max(scales)
    zeros, zero = [bench.zero_point() for _ in range(2)], bench.zero_point()
    twice = 2 * max(scales)
    layer = Add(
        left_shift=20,
        input_scaling=requantisation(*(scale / twice for scale in scales)),
        output_scaling=requantisation(twice / ((1 << 20) * output_scale)),
        input_zero_points=tuple(zeros),
        output_zero_point=zero,
        activation=bench.activation(zero),
        **NAMES,
    )
    maps, sources = zip(*(bench.feature_map(rows, columns, channels, z) for z in zeros), strict=True)
    scaling = layer.input_scaling
    operands = [
        Source(**vars(source) | {"multiplier": int(scaling.multiplier[i]), "right_shift": -int(scaling.shift[i])})
        for i, source in enumerate(sources)
    ]
    # The one of the larger scale first: its factor is 1/2.
    operands.sort(key=lambda source: (source.multiplier, source.right_shift) != (1 << 30, 0))
    axes = Axis(rows, rows), Axis(columns, columns)
    entries = [entry(layer.output_scaling)]
    bench.append(ADD, axes, operands, add(layer, *maps), entries, zero, layer.activation)


def pool_window(bench):
    """Kernel, stride, padding and input size; each window has a position inside."""
    rng = bench.random
    kernel, stride = (rng.randint(1, 3), rng.randint(1, 3)), (rng.randint(1, 3), rng.randint(1, 3))
    padding = tuple((rng.randrange(k), rng.randrange(k)) for k in kernel)
    size = [max(rng.randint(1, 6), k - sum(p)) for k, p in zip(kernel, padding, strict=True)]
    axes = [
        Axis(n, 1 + (n + sum(p) - k) // s, k, s, -p[0])
        for n, k, s, p in zip(size, kernel, stride, padding, strict=True)
    ]
    return {"kernel": kernel, "stride": stride, "padding": padding}, size, axes


def append_average_pool(bench, channels):
    window, size, axes = pool_window(bench)
    zero = bench.zero_point()
    layer = AveragePool2D(activation=bench.activation(zero), **window, **NAMES)
    values, source = bench.feature_map(*size, channels, zero)
    expected = average_pool_2d(layer, values)
    entries = [division(count, zero) for count in range(1, window["kernel"][0] * window["kernel"][1] + 1)]
    bench.append(SUM, axes, [source], expected, entries, zero, layer.activation, offset=-zero, by_count=True)


def append_max_pool(bench, channels):
    window, size, axes = pool_window(bench)
    zero = bench.zero_point()
    layer = MaxPool2D(activation=bench.activation(zero), **window, **NAMES)
    values, source = bench.feature_map(*size, channels, zero)
    bench.append(MAXIMUM, axes, [source], max_pool_2d(layer, values), [UNCHANGED], zero, layer.activation)


def append_mean(bench, rows, columns, channels):
    """Over rows, columns or both."""
    rng = bench.random
    axes = rng.choice([(1, 2), (1,), (2,)])
    zero, output_zero = bench.zero_point(), bench.zero_point()
    taps = [size if number + 1 in axes else 1 for number, size in enumerate((rows, columns))]
    factor = requantisation(rng.uniform(0.5, 1.5) / (taps[0] * taps[1]))
    layer = Mean(
        axes=axes,
        keep_dims=True,
        multiplier=int(factor.multiplier[0]),
        shift=int(factor.shift[0]),
        input_zero_point=zero,
        output_zero_point=output_zero,
        **NAMES,
    )
    values, source = bench.feature_map(rows, columns, channels, zero)
    slides = [Axis(size, size // tap, tap) for size, tap in zip((rows, columns), taps, strict=True)]
    bench.append(SUM, slides, [source], mean(layer, values), [entry(factor)], output_zero, INT8_RANGE)


def append_rectifier(bench, rows, columns, channels):
    """A window of one position, and another scale and zero point."""
    zero, output_zero = bench.zero_point(), bench.zero_point()
    layer = Relu(
        requantisation=requantisation(bench.random.uniform(0.1, 1.9)),
        input_zero_point=zero,
        output_zero_point=output_zero,
        activation=(output_zero, 127),
        **NAMES,
    )
    values, source = bench.feature_map(rows, columns, channels, zero)
    axes = Axis(rows, rows), Axis(columns, columns)
    entries = [entry(layer.requantisation)]
    bench.append(SUM, axes, [source], relu(layer, values), entries, output_zero, layer.activation)


@pytest.mark.parametrize("stalls", ["none", "random"])
@pytest.mark.parametrize("post_lanes", [1, 8, 16])
def test_layers_leave_the_golden_bytes(post_lanes, stalls):
    seed = post_lanes
    bench = Bench(core(post_lanes=post_lanes, groups=16 if post_lanes == 16 else 9, activation_depth=512), seed)
    for channels in CHANNELS[seed % 2 :: 2]:
        append_add(bench, 3, 2, channels)
        append_average_pool(bench, channels)
        append_max_pool(bench, channels)
        append_mean(bench, 4, 3, channels)
        append_rectifier(bench, 2, 3, channels)
    bench.run(seed, stalls)


def test_global_mean_over_a_large_map():
    """The largest sums that the memory can hold: all elements at one end of their range."""
    seed = 5
    bench = Bench(core(max_size=63, activation_depth=1024), seed)
    for value, zero in ((127, -128), (-128, 127)):
        values, source = bench.feature_map(25, 32, 1, zero)
        values[:] = value
        store(bench.words, values, zero, source.base, source.pixel_words)
        factor = requantisation(1 / 800)
        layer = Mean(
            axes=(1, 2),
            keep_dims=True,
            multiplier=int(factor.multiplier[0]),
            shift=int(factor.shift[0]),
            input_zero_point=zero,
            output_zero_point=zero,
            **NAMES,
        )
        axes = Axis(25, 1, 25), Axis(32, 1, 32)
        expected = mean(layer, values)
        assert expected.item() == value
        bench.append(SUM, axes, [source], expected, [entry(factor)], zero, INT8_RANGE)
    bench.run(seed)
