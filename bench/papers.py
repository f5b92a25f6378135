"""The tables of RSNN and CSC as benchmarks: `bench.rsnn`, `bench.balance` and `bench.mobilenet_csc`, recorded."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import Any

from bench import balance, mobilenet_csc, rsnn
from bench.benchmark import Benchmark, Case, Column, Row, layer_columns, rates
from bench.mobilenet import mobilenet
from bench.published import published
from bench.vgg_shapes import VGG16
from models.sparsity.balance import Dealing

SEED = 0


@cache
def _modelled() -> dict[str, rsnn.Figures]:
    return {one.name: one for one in rsnn.modelled()}


@cache
def _measured() -> dict[str, rsnn.Figures]:
    return {one.name: one for one in rsnn.measured(rsnn.CROPPED, seed=SEED)}


def _rsnn_row(figures: rsnn.Figures) -> Row:
    simulated: dict[str, Any] = {} if figures.cycles is None else {"cycles": figures.cycles, "equal": figures.equal}
    return {
        "layer": figures.name,
        "dataflow": "rsnn",
        "groups": rsnn.PUS,
        "lanes": rsnn.LANES,
        "rows": figures.rows,
        "density": round(figures.density, 4),
        **simulated,
        "predicted_cycles": figures.predicted,
        "macs": figures.macs,
        "multiplies": figures.multiplies,
        "fillers": round(figures.fillers, 4),
        **rates(figures.taken, figures.macs, figures.multiplies, rsnn.PUS * rsnn.LANES),
    }


def _whole_row(name: str) -> Row:
    return _rsnn_row(_modelled()[name])


def _cropped_row(name: str) -> Row:
    return _rsnn_row(_measured()[name])


def _rsnn_cases(full: bool) -> Sequence[Case]:
    whole = [Case(layer.name, partial(_whole_row, layer.name), cheap=True) for layer in VGG16]
    cropped = [
        Case(f"{name}, {rows} rows in Verilog", partial(_cropped_row, name)) for name, rows in rsnn.CROPPED.items()
    ]
    return [*whole, *cropped] if full else whole


def _rsnn_total(rows: Sequence[Row]) -> Row:
    whole = [row for row in rows if "cycles" not in row]
    sums = {key: sum(row[key] for row in whole) for key in ("predicted_cycles", "macs", "multiplies")}
    return {**sums, **rates(sums["predicted_cycles"], sums["macs"], sums["multiplies"], rsnn.PUS * rsnn.LANES)}


RSNN_VGG16 = Benchmark(
    name="rsnn-vgg16",
    title="RSNN's table: VGG16 pruned with balance to published densities, 32 x 14 multipliers, by the cycle model",
    cases=_rsnn_cases,
    columns=(
        *layer_columns("name"),
        Column("weight density", "density", ".0%"),
        *layer_columns("cycles", "predicted_cycles", "macs"),
        Column("fillers", "fillers", ".1%"),
        *layer_columns("utilisation", "efficiency", "equal"),
    ),
    summarise=_rsnn_total,
    published=published("rsnn"),
    seed=SEED,
)
"""A full run adds four layers in Verilog, cropped to a few rows (see `bench.rsnn`)."""


def _balance_row(dealing: Dealing, slots: int, spread: float) -> Row:
    busy = balance.utilisation(VGG16, spread, dealing, slots)
    return {"utilisation": round(busy, 4), "imbalance": round(1 / busy, 4)}


def _balance_cases(full: bool) -> Sequence[Case]:
    dealt = [(Dealing.IN_ORDER, 1), (Dealing.SORTED, 1), (Dealing.MERGED, 4), (Dealing.MERGED, balance.SLOTS)]
    cases = []
    for spread in balance.SPREADS:
        for dealing, slots in dealt:
            name = f"{dealing}, {slots} slots" if dealing is Dealing.MERGED else f"{dealing}"
            parameters = {"dealing": name, "spread": spread}
            cases.append(
                Case(f"{name}, spread {spread}", partial(_balance_row, dealing, slots, spread), parameters, held=False)
            )
    return cases


BALANCE = Benchmark(
    name="balance",
    title="Unevenly pruned VGG16 on 32 units: how long the busiest works, over the mean",
    cases=_balance_cases,
    columns=(
        Column("kernels dealt", "dealing"),
        Column("spread of densities", "spread", ".1f"),
        Column("busiest / mean", "imbalance", ".3f"),
        Column("utilisation", "utilisation", ".1%"),
    ),
)
"""In numpy alone; the hardware does as well, since each of its groups takes an entry a cycle."""


def _mobilenet_row(variant: mobilenet_csc.Variant | None) -> Row:
    layers = mobilenet(mobilenet_csc.WIDTH, mobilenet_csc.SIZE)
    dense = sum(layer.weights for layer in layers)
    if variant is None:
        return {"weights": dense, "smaller": 1.0, "macs": sum(layer.macs for layer in layers)}
    weights = mobilenet_csc.weights_of(layers, variant)
    return {"weights": weights, "smaller": round(dense / weights, 4), "macs": mobilenet_csc.macs_of(layers, variant)}


def _mobilenet_cases(full: bool) -> Sequence[Case]:
    variants = [(variant.what, variant) for variant in mobilenet_csc.variants()]
    return [Case(name, partial(_mobilenet_row, variant), cheap=True) for name, variant in [("dense", None), *variants]]


MOBILENET_CSC = Benchmark(
    name="csc-mobilenet",
    title="CSC's table: MobileNet V1 0.5 at 224 pixels with its last two layers cyclic, bytes of 8 bit weights",
    cases=_mobilenet_cases,
    columns=(
        Column("last two layers", "name"),
        Column("weights, bytes", "weights", ",d"),
        Column("times smaller", "smaller", ".2f"),
        Column("MACs", "macs", ",d"),
    ),
    published=published("csc"),
)
"""Parameters counted; nothing runs."""
