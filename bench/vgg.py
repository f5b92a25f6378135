"""NullHop's table: the convolutions of VGG16 and VGG19 on as many multipliers, with its share of zeros.

Each layer's input is a seeded map (see `bench.synthetic`) with one share of zeros for all layers but the first, whose
image has none; it is chosen so that, weighted by multiply-accumulates, the network has the share that the paper's
figures imply. Weights have no zeros to speak of and none is skipped.

**How a layer is measured.** In a full run it is simulated whole. In a quick run its top rows are, as a layer of their
own: as few as take `_QUICK_CYCLES`, but at least `_LEAST_ROWS`; the cycle model adds the rest:
cycles = simulated(top rows) + predicted(layer) - predicted(top rows). Every byte that comes out is compared.

**Weights counted, and not.** It runs twice in a row. The first time the weight memory is empty: `cycles` count its
whole loading. The second time, as behind any other layer, its first weights have come meanwhile: `hidden_cycles`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from bench.benchmark import Benchmark, Case, Column, Row, layer_columns, rates, totals
from bench.layers import layer_row, make_job, simulate
from bench.published import published
from bench.synthetic import feature_map
from bench.vgg_shapes import KERNEL, VggLayer, vgg_layers
from compiler.mapping import ceil_div
from compiler.prediction import Prediction, predict_run
from hw.config import CoreConfig
from sim.random_layers import LayerShape, make_layer
from sim.streams import LayerJob

CORES = {
    bits: CoreConfig(activation_bits=bits, weight_bits=bits, activation_depth=4096, weight_depth=16384)
    for bits in (8, 16)
}
"""By bits of activations and weights: as many multipliers as NullHop has, and memories for two passes of the deepest
layer."""

_MULTIPLIERS = CORES[8].groups * CORES[8].lanes
SEED = 0
_QUICK_CYCLES = 250_000
_LEAST_ROWS = 4
_SAME = ((1, 1), (1, 1))


def top_rows(layer: VggLayer, rows: int) -> LayerShape:
    """The layer's top rows as a layer."""
    pool = 2 if layer.last else 1
    return LayerShape((rows, layer.size), layer.inputs, layer.outputs, KERNEL, padding=_SAME, pool=pool)


def zero_shares(layers: Sequence[VggLayer], weighted: float) -> dict[str, float]:
    """Of each layer's input, such that weighted by multiply-accumulates it is `weighted`: none in the first layer's."""
    total = sum(layer.macs for layer in layers)
    share = weighted * total / (total - layers[0].macs)
    return {layer.name: 0.0 if layer is layers[0] else share for layer in layers}


def simulated_rows(layer: VggLayer, zero_share: float, *, full: bool) -> int:
    """How many of the layer's rows are simulated."""
    if full:
        return layer.size
    row = layer.macs * (1 - zero_share) / (layer.size * _MULTIPLIERS)
    # An even number, as pooling takes them.
    rows = 2 * ceil_div(ceil_div(_QUICK_CYCLES, int(row)), 2)
    return min(layer.size, max(rows, _LEAST_ROWS))


def _predict(job: LayerJob) -> list[Prediction]:
    """Of the layer behind nothing, and behind itself."""
    return predict_run([(job.program, job.input, job.expected)] * 2, job.program.config)


def _measure(layer: VggLayer, zero_share: float, seed: int, full: bool, bits: int) -> Row:
    core = CORES[bits]
    rows = simulated_rows(layer, zero_share, full=full)
    values = feature_map((layer.size, layer.size, layer.inputs), zero_share, seed, bits)
    top = make_job(make_layer(top_rows(layer, rows), seed, values[:rows]), core)
    runs = simulate([top, top], core)
    whole = top if rows == layer.size else make_job(make_layer(top_rows(layer, layer.size), seed, values), core)
    rest = [a.cycles - b.cycles for a, b in zip(_predict(whole), _predict(top), strict=True)]
    cold = _predict(whole)[0]
    measured = replace(runs[0], job=whole, cycles=runs[0].cycles + rest[0], operations=cold.operations, prediction=cold)
    row = layer_row(measured)
    hidden = runs[1].cycles + rest[1]
    warm = rates(hidden, row["macs"], row["multiplies"], _MULTIPLIERS)
    return {
        "simulated_rows": rows,
        "simulated_cycles": [run.cycles for run in runs],
        "simulated_predicted_cycles": [run.prediction.cycles for run in runs],
        **row,
        "equal": all(run.mismatch is None and run.operations == run.prediction.operations for run in runs),
        "hidden_cycles": hidden,
        "hidden_utilisation": warm["utilisation"],
        "hidden_efficiency": warm["efficiency"],
    }


def _cases(network: str, bits: int, full: bool) -> Sequence[Case]:
    layers = vgg_layers(network)
    shares = zero_shares(layers, published("nullhop")["networks"][network]["zero_share"])
    return [
        Case(
            layer.name,
            partial(_measure, layer, shares[layer.name], SEED + index, full, bits),
            {
                "size": layer.size,
                "channels": layer.inputs,
                "maps": layer.outputs,
                "zero_share": round(shares[layer.name], 4),
                "activation_bits": bits,
                "weight_bits": bits,
                "simulated": "whole" if full else "top rows",
            },
            # The other benchmarks here have the same layers, for longer than they tell anything new.
            held=(network, bits) == ("vgg16", 8),
        )
        for index, layer in enumerate(layers)
    ]


def _summarise(rows: Sequence[Row]) -> Row:
    total = totals(rows)
    hidden = sum(row["hidden_cycles"] for row in rows)
    warm = rates(hidden, total["macs"], total["multiplies"], _MULTIPLIERS)
    return {
        **total,
        "hidden_cycles": hidden,
        "hidden_utilisation": warm["utilisation"],
        "hidden_efficiency": warm["efficiency"],
    }


_COLUMNS = (
    *layer_columns("name"),
    Column("zero inputs", "zero_share", ".1%"),
    Column("rows simulated", "simulated_rows", "d"),
    Column("of", "size", "d"),
    *layer_columns("cycles", "predicted_cycles", "macs", "utilisation"),
    Column("efficiency", "efficiency", ".1%"),
    Column("utilisation, weights hidden", "hidden_utilisation", ".1%"),
    Column("efficiency, weights hidden", "hidden_efficiency", ".1%"),
    *layer_columns("equal"),
)


def _benchmark(network: str, bits: int = 8) -> Benchmark:
    figures = published("nullhop")
    called = network.upper() if bits == 8 else f"{network.upper()} at {bits} bits"
    return Benchmark(
        name=f"nullhop-{network}" if bits == 8 else f"nullhop-{network}-{bits}bit",
        title=f"NullHop's table: the convolutions of {called} on 8 x 16 multipliers",
        cases=partial(_cases, network, bits),
        columns=_COLUMNS,
        summarise=_summarise,
        published={
            "network": called,
            "source": figures["source"],
            "what": figures["what"],
            "clock_mhz": figures["clock_mhz"],
            **figures["networks"][network],
        },
        seed=SEED,
    )


VGG16, VGG19 = _benchmark("vgg16"), _benchmark("vgg19")

VGG16_16BIT = _benchmark("vgg16", bits=16)
"""NullHop's own width: activations and weights of 16 bits."""
