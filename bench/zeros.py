"""One layer, from no zero activation to nothing else: what skipping gains, and where it ends."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bench.benchmark import LAYER_COLUMNS, Benchmark, Case, Column, Row
from bench.layers import layer_row, make_job, simulate
from bench.synthetic import feature_map
from hw.config import CoreConfig
from sim.random_layers import LayerShape, make_layer

CORE = CoreConfig()
SHAPE = LayerShape((16, 16), 64, 64, kernel=(3, 3), padding=((1, 1), (1, 1)))
SEED = 0
_QUICK = (0, 20, 40, 50, 60, 70, 80, 90, 95, 100)
_FULL = range(0, 101, 5)


def _measure(percent: int) -> Row:
    values = feature_map((*SHAPE.size, SHAPE.channels), percent / 100, SEED)
    (run,) = simulate([make_job(make_layer(SHAPE, SEED, values), CORE)], CORE)
    return layer_row(run)


def _cases(full: bool) -> Sequence[Case]:
    return [
        Case(f"{percent} % zeros", partial(_measure, percent), {"zero_share": percent / 100}, cheap=percent in (0, 70))
        for percent in (_FULL if full else _QUICK)
    ]


ZEROS = Benchmark(
    name="zeros",
    title="A 3x3 convolution of 64 to 64 channels on 16x16, with more and more zero activations, on 8 x 16 multipliers",
    cases=_cases,
    columns=(Column("zero inputs", "zero_share", ".0%"), *LAYER_COLUMNS[2:]),
    seed=SEED,
)
"""The layer starts with nothing loaded: its weights, its rows and its result's way out are counted."""
