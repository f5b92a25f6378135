"""The page: one HTML file that needs nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import altair as alt
import jinja2
from markupsafe import Markup

from bench.report import charts
from bench.report.sources import VECTOR, Alternatives, BoardRates, LayerSet, Peers, Sources
from bench.report.svg import to_svg
from hw.config import CoreConfig

_FOLDER = Path(__file__).parent

_WHY = {
    "nullhop": (
        "convolutions over all channels, pointwise and fully connected layers",
        "one non-zero activation serves a map in every lane, so each zero saves a cycle",
    ),
    "rsnn": (
        "layers with many zero weights, pruned so that every unit has as many",
        "one non-zero weight serves neighbouring pixels, so each zero weight saves a cycle",
    ),
    "csc": (
        "depthwise convolutions, which share no activation between maps; cyclic layers; dense ones with few zeros",
        "a channel a lane: zeros are not skipped, but neither is a weight of 0 for each other channel multiplied",
    ),
    VECTOR: ("additions and pooling, which multiply nothing", "they read and write as fast as the memory gives"),
}
"""Where each dataflow runs, and why."""


_ALTERNATIVES = (
    "What the compiler chooses between, by its cycle model: nullhop wins by zero activations, rsnn by zero weights. A "
    "depthwise layer on nullhop is a dense one whose weights are nearly all zero: that is what csc is for."
)
_PREDICTED = (
    "By the cycle model. A dense accelerator cannot exceed 1; what is above it are multiplications by zero that take "
    "no time."
)
_IMBALANCE = (
    "1.00 is even work; what is above it, all other units wait. An array that skips zero weights is as fast as its "
    "busiest unit: kernels that share a unit, the largest dealt first, make up for uneven pruning."
)
_PEERS = (
    "Each generator, with so many multipliers, in simulation, checked against its own model. A dense one cannot exceed "
    "1; one that skips zeros gains with each of them, and without any is bound by the same multipliers."
)
_SIZES = (
    "Counted by the same synthesis for the same part, before anything is placed. NNgen makes hardware for each "
    "network; Skipstone's is the same for all, and runs them from a program."
)
_RATES = (
    "At the board's clock, the transfer of input and output left out. Networks that a board cannot hold are in the "
    "table below, with the reason."
)


@dataclass(frozen=True)
class Figure:
    """A chart with its title and what to see in it."""

    title: str
    text: str
    svg: Markup


@dataclass(frozen=True)
class Winner:
    """What a dataflow ran, in sum, or is `predicted` to do; rates are None for what multiplies nothing."""

    dataflow: str
    where: str
    why: str
    layers: int
    cycles: int
    efficiency: float | None
    utilisation: float | None
    predicted: bool = False


def render(sources: Sources) -> str:
    """The whole page as HTML."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("page.html").render(
        style=Markup((_FOLDER / "page.css").read_text(encoding="utf-8")),
        version=version("skipstone"),
        tiles=_tiles(sources.sets),
        winners=winners(sources),
        overview=_overview(sources.sets),
        alternatives=[
            _figure(each.title, _about(each), charts.alternative_bars(each)) for each in sources.alternatives
        ],
        imbalances=[_figure(each.title, _IMBALANCE, charts.imbalance_bars(each)) for each in sources.imbalances],
        details=_details(sources.sets),
        traffic=_traffic(sources.sets),
        peers=[_peers(peers) for peers in sources.peers],
        boards=[*_rates(sources.rates), *(_board(board) for board in sources.boards)],
        tables=sources.tables,
        origins=sources.origins,
        wrong=[f"{s.title}: {row['name']}" for s in sources.sets for row in s.rows if not row.get("equal", True)],
        compared=sum(len(layers.rows) for layers in sources.sets),
    )


def _figure(title: str, text: str, chart: alt.TopLevelMixin) -> Figure:
    return Figure(title, text, Markup(to_svg(chart, title)))


def _tiles(sets: Sequence[LayerSet]) -> list[tuple[str, str, str]]:
    """The headline figures: number, what it is, what to hold it against."""
    found = []
    for layers in sets:
        total, published = layers.total, layers.published
        if total is None or not total.get("macs") or layers.sweep:
            continue
        if "efficiency" in published:
            told = f"{layers.title.rpartition(': ')[2]}; published: {published['efficiency']:.1%}"
            found.append((f"{total['efficiency']:.1%}", "of the dense peak, weight loading counted", told))
        else:
            found.append((f"{total['efficiency']:.2f}", "MAC / cycle / lane", layers.title))
    return found


def _about(alternatives: Alternatives) -> str:
    return _PREDICTED if len({row["dataflow"] for row in alternatives.rows}) == 1 else _ALTERNATIVES


def winners(sources: Sources) -> list[Winner]:
    """What each dataflow ran in whole networks and published workloads, sweeps left out.

    For one that ran in none: what it is predicted to do.
    """
    rows = [(layers.multipliers, row) for layers in sources.sets if not layers.sweep for row in layers.rows]
    predicted = [
        (row["groups"] * row["lanes"], {**row, "cycles": row["predicted_cycles"]})
        for each in sources.alternatives
        for row in each.rows
    ]
    found = []
    for name, (where, why) in _WHY.items():
        own = [(multipliers, row) for multipliers, row in rows if row.get("dataflow") == name]
        only_predicted = not own
        own = own or [(multipliers, row) for multipliers, row in predicted if row["dataflow"] == name]
        if not own:
            continue
        capacity = sum(multipliers * row["cycles"] for multipliers, row in own)

        def share(key: str, of: float = capacity, own: list[tuple[int, Any]] = own) -> float | None:
            total = sum(row[key] for _, row in own)
            return total / of if total else None

        cycles = sum(row["cycles"] for _, row in own)
        rates = share("macs"), share("multiplies")
        found.append(Winner(name, where, why, len(own), cycles, *rates, only_predicted))
    return found


def _overview(sets: Sequence[LayerSet]) -> list[Figure]:
    """What all files say together."""
    if not sets:
        return []
    found = [
        _figure(
            "Zeros against speed-up",
            "Each dot is a layer. The dashed line is the ideal: a zero that is skipped costs nothing; what a dot is "
            "below it is waiting. nullhop stays close to it. csc skips nothing but padding and stands at the left. "
            "Small fully connected layers wait for their weights. The solid line is a layer with more and more zeros: "
            "it bends where finding the next non-zero takes longer than multiplying it.",
            charts.speedup(sets),
        )
    ]
    networks = [layers for layers in sets if len({row.get("dataflow") for row in layers.rows}) > 1]
    if networks:
        text = (
            "The array changes its dataflow from layer to layer; the compiler takes the one with the fewest predicted "
            "cycles."
        )
        found.append(_figure("Where the cycles go", text, charts.share_bars(networks)))
    if any(row.get("traffic") for layers in sets for row in layers.multiplying):
        bandwidth = CoreConfig().lanes
        text = (
            f"A port (weights, maps in, maps out) carries {bandwidth} bytes a cycle. Under the slope a layer waits for "
            "data, under the flat roof for multipliers; above the roof it is faster than dense hardware could be, "
            "along the dashed line as far as the port allows."
        )
        found.append(_figure("Roofline", text, charts.roofline(sets, bandwidth)))
    return found


def _details(sets: Sequence[LayerSet]) -> list[Figure]:
    """A picture a network."""
    text = (
        "Wide bar: cycles from start to done. Narrow bar: the ideal, every multiplier busy. Stroke: what was predicted."
    )
    found = []
    for layers in sets:
        if {"efficiency"} <= layers.published.keys() and all("hidden_efficiency" in row for row in layers.rows):
            against = f"The dashed line is what was published for the network, {layers.published['efficiency']:.1%}."
            found.append(_figure(f"{layers.title}: efficiency", against, charts.efficiency_bars(layers)))
        if not layers.sweep:
            found.append(_figure(f"{layers.title}: cycles", text, charts.cycle_bars(layers)))
        if any(row.get("imbalance") is not None for row in layers.rows):
            found.append(_figure(f"{layers.title}: imbalance", _IMBALANCE, charts.imbalance_bars(layers)))
    return found


def _traffic(sets: Sequence[LayerSet]) -> list[Figure]:
    text = "Bytes of each layer's input and output, dense, and as sparsity maps with lists of the non-zero values."
    shown: list[LayerSet] = [
        layers for layers in sets if not layers.sweep and any(row.get("traffic") for row in layers.multiplying)
    ]
    return [_figure(f"{layers.title}: feature maps", text, charts.traffic_bars(layers)) for layers in shown]


def _peers(peers: Peers) -> Figure:
    if peers.sized:
        return _figure(peers.title, _SIZES, charts.peer_sizes(peers))
    return _figure(peers.title, _PEERS, charts.peer_bars(peers))


def _rates(rates: Sequence[BoardRates]) -> list[Figure]:
    return [_figure(each.title, _RATES, charts.rate_bars(each)) for each in rates if each.running]


def _board(board: Any) -> Figure:
    reached = "reached" if board.achieved >= board.wanted else "not reached"
    text = f"Clock: {board.achieved:.1f} MHz; {board.wanted:g} MHz were asked for and {reached}."
    return _figure(board.title, text, charts.board_bars(board))
