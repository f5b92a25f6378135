"""The pictures: each is a chart of Altair, which `bench.report.svg` writes as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from bench.report.sources import Alternatives, Board, BoardRates, Imbalance, LayerSet, Peers
from bench.report.svg import DATAFLOWS, colour, dataflow_colours

WIDTH = 720
"""Of the plotting area, in pixels."""

_BAR_STEP = 20
_SHARES = alt.Axis(format="%", tickCount=10)
_HEADER = alt.Header(labelOrient="top", labelAnchor="start", labelColor=colour("ink"), labelFontSize=13)
_RATES = alt.Axis(tickCount=6)
_COUNTS = alt.Axis(format="~s", tickCount=6)


def _names(field: str) -> alt.Y:
    """A row for each name, in the order in which they come."""
    return alt.Y(f"{field}:N", sort=None, title=None, axis=alt.Axis(ticks=False, domain=False, labelPadding=8))


def cycle_bars(layers: LayerSet) -> alt.TopLevelMixin:
    """A layer a row: cycles as a bar, the ideal as a bar within it, the predicted as a stroke."""
    values = [
        {
            "layer": row["name"],
            "dataflow": row.get("dataflow", ""),
            "cycles": row["cycles"],
            "predicted": row["predicted_cycles"],
            "ideal": row["multiplies"] / layers.multipliers if row["macs"] else None,
            "told": f"{row['name']}: {row['cycles']:,} cycles, predicted {row['predicted_cycles']:,}"
            + (f", ideal {row['multiplies'] / layers.multipliers:,.0f}" if row["macs"] else ""),
        }
        for row in layers.rows
    ]
    base = alt.Chart(alt.Data(values=values)).encode(y=_names("layer"), description="told:N")
    colours = dataflow_colours([value["dataflow"] for value in values])
    cycles = base.mark_bar(height=14, cornerRadiusEnd=2, opacity=0.45).encode(
        x=alt.X("cycles:Q", title="cycles", axis=_COUNTS), color=colours
    )
    ideal = base.mark_bar(height=6).encode(x="ideal:Q", color=colours)
    predicted = base.mark_tick(thickness=2, height=16, color=colour("ink")).encode(x="predicted:Q")
    return (cycles + ideal + predicted).properties(width=WIDTH, height=alt.Step(_BAR_STEP))


def speedup(sets: Sequence[LayerSet]) -> alt.TopLevelMixin:
    """Each layer by its share of multiplications skipped, and its MAC/cycle/lane; the sweep of one layer as a line."""
    dots = [_speedup_value(row, layers) for layers in sets if not layers.sweep for row in layers.multiplying]
    line = [_speedup_value(row, layers) for layers in sets if layers.sweep for row in layers.multiplying]
    bound = [{"skipped": x / 100, "rate": 1 / (1 - x / 100)} for x in range(0, 96)]
    scale = alt.Scale(domain=[0, 1])
    x = alt.X("skipped:Q", title="share of the dense layer's multiplications not issued", axis=_SHARES, scale=scale)
    ticks = [2.0**power for power in range(-5, 5)]
    y = alt.Y(
        "rate:Q",
        title="dense MAC / cycle / lane",
        scale=alt.Scale(type="log", domain=[ticks[0], ticks[-1]]),
        axis=alt.Axis(values=ticks, format="~g"),
    )
    ideal = alt.Chart(alt.Data(values=bound)).mark_line(
        strokeDash=[5, 4], color=colour("ink-2"), strokeWidth=1.5, clip=True
    )
    parts = [ideal.encode(x=x, y=y)]
    if line:
        sweep = alt.Chart(alt.Data(values=line)).encode(x=x, y=y, description="told:N")
        parts.append(sweep.mark_line(color=colour("dataflow-nullhop"), strokeWidth=2))
    if dots:
        parts.append(
            alt.Chart(alt.Data(values=dots))
            .mark_point(filled=True, size=70, opacity=0.85, clip=True)
            .encode(x=x, y=y, color=dataflow_colours([dot["dataflow"] for dot in dots]), description="told:N")
        )
    return alt.layer(*parts).properties(width=WIDTH, height=340)


def _speedup_value(row: dict[str, Any], layers: LayerSet) -> dict[str, Any]:
    rate, skipped = row["macs"] / (row["cycles"] * layers.multipliers), 1 - row["multiplies"] / row["macs"]
    told = f"{layers.title}, {row['name']}: {skipped:.0%} skipped, {rate:.2f} MAC/cycle/lane"
    return {"skipped": skipped, "rate": rate, "dataflow": row.get("dataflow", ""), "told": told}


def efficiency_bars(layers: LayerSet) -> alt.TopLevelMixin:
    """NullHop's efficiency of each layer, weights counted and hidden; the published one of the network as a line."""
    forms = {"efficiency": "weight loading counted", "hidden_efficiency": "weights loaded behind another layer"}
    rows = [*layers.rows, {**(layers.total or {}), "name": "network"}]
    values = [
        {"layer": row["name"], "form": form, "value": row[key], "told": f"{row['name']}: {row[key]:.1%}, {form}"}
        for row in rows
        for key, form in forms.items()
    ]
    scale = alt.Scale(domain=list(forms.values()), range=[colour("dataflow-nullhop"), colour("series-2")])
    bars = (
        alt.Chart(alt.Data(values=values))
        .mark_bar(cornerRadiusEnd=2)
        .encode(
            y=_names("layer"),
            yOffset=alt.YOffset("form:N", sort=list(forms.values())),
            x=alt.X("value:Q", title="efficiency: dense operations / peak operations", axis=_SHARES),
            color=alt.Color("form:N", scale=scale, title=None, legend=alt.Legend(orient="top")),
            description="told:N",
        )
    )
    published = alt.Chart(alt.Data(values=[{"value": layers.published["efficiency"]}]))
    rule = published.mark_rule(color=colour("ink"), strokeDash=[5, 4]).encode(x="value:Q")
    return (bars + rule).properties(width=WIDTH, height=alt.Step(11))


def share_bars(sets: Sequence[LayerSet]) -> alt.TopLevelMixin:
    """A network a row: which dataflow its cycles go to."""
    values = []
    for layers in sets:
        whole = sum(row["cycles"] for row in layers.rows)
        for name in dict.fromkeys(row["dataflow"] for row in layers.rows):
            share = sum(row["cycles"] for row in layers.rows if row["dataflow"] == name) / whole
            told = f"{layers.title}: {share:.0%} of the cycles in {name}"
            values.append({"network": layers.title, "dataflow": name, "share": share, "told": told})
    return (
        alt.Chart(alt.Data(values=values))
        .mark_bar(height=16, stroke=colour("surface"), strokeWidth=1)
        .encode(
            y=_names("network"),
            x=alt.X("share:Q", title="share of the cycles", axis=_SHARES, stack="zero"),
            color=dataflow_colours([value["dataflow"] for value in values]),
            order=alt.Order("dataflow:N"),
            description="told:N",
        )
        .properties(width=WIDTH, height=alt.Step(24))
    )


def roofline(sets: Sequence[LayerSet], bandwidth: int) -> alt.TopLevelMixin:
    """Dense multiply-accumulates a cycle over those a byte of the layer's busiest port, under the array's roof.

    Args:
        bandwidth: bytes a cycle of a port.
    """
    dots, peak = [], max(layers.multipliers for layers in sets)
    for layers in sets:
        for row in layers.multiplying:
            moved = row.get("traffic")
            if moved:
                intensity = row["macs"] / max(moved["weights"], moved["input"], moved["output"])
                rate = row["macs"] / row["cycles"]
                told = f"{layers.title}, {row['name']}: {intensity:,.1f} MAC/byte, {rate:,.0f} MAC/cycle"
                dots.append({"intensity": intensity, "rate": rate, "dataflow": row["dataflow"], "told": told})
    low = min(min(dot["intensity"] for dot in dots) / 1.5, peak / bandwidth / 4)
    high = max(max(dot["intensity"] for dot in dots) * 1.5, 4 * peak / bandwidth)
    roof = [
        {"intensity": low, "rate": low * bandwidth},
        {"intensity": peak / bandwidth, "rate": peak},
        {"intensity": high, "rate": peak},
    ]
    sparse = [{"intensity": x, "rate": x * bandwidth} for x in (peak / bandwidth, 8 * peak / bandwidth)]
    scale = alt.Scale(type="log", nice=False)
    x = alt.X("intensity:Q", title="MAC / byte through the busiest port", scale=scale, axis=_COUNTS)
    y = alt.Y("rate:Q", title="dense MAC / cycle", scale=scale, axis=_COUNTS)
    line = alt.Chart(alt.Data(values=roof)).mark_line(color=colour("ink"), strokeWidth=2).encode(x=x, y=y)
    beyond = alt.Chart(alt.Data(values=sparse)).mark_line(color=colour("ink-2"), strokeDash=[5, 4]).encode(x=x, y=y)
    points = (
        alt.Chart(alt.Data(values=dots))
        .mark_point(filled=True, size=70, opacity=0.85)
        .encode(x=x, y=y, color=dataflow_colours([dot["dataflow"] for dot in dots]), description="told:N")
    )
    return (line + beyond + points).properties(width=WIDTH, height=340)


def traffic_bars(layers: LayerSet) -> alt.TopLevelMixin:
    """A layer a row: bytes of its feature maps, dense and compressed."""
    forms = {"maps_dense": "dense", "maps_compressed": "sparsity maps and non-zero lists"}
    values = [
        {
            "layer": row["name"],
            "form": form,
            "bytes": row["traffic"][key],
            "told": f"{row['name']}: {row['traffic'][key]:,} bytes, {form}",
        }
        for row in layers.multiplying
        if row.get("traffic")
        for key, form in forms.items()
    ]
    scale = alt.Scale(domain=list(forms.values()), range=[colour("series-2"), colour("dataflow-nullhop")])
    return (
        alt.Chart(alt.Data(values=values))
        .mark_bar(cornerRadiusEnd=2)
        .encode(
            y=_names("layer"),
            yOffset=alt.YOffset("form:N", sort=list(forms.values())),
            x=alt.X("bytes:Q", title="bytes of the input and output maps", axis=_COUNTS),
            color=alt.Color("form:N", scale=scale, title=None, legend=alt.Legend(orient="top")),
            description="told:N",
        )
        .properties(width=WIDTH, height=alt.Step(11))
    )


def imbalance_bars(layers: LayerSet | Imbalance) -> alt.TopLevelMixin:
    """A layer or a way of dealing a row: the work of its busiest processing unit over that of the mean one."""
    values = [
        {"layer": row["name"], "value": row["imbalance"], "told": f"{row['name']}: {row['imbalance']:.3f}"}
        for row in layers.rows
        if row.get("imbalance") is not None
    ]
    return (
        alt.Chart(alt.Data(values=values))
        .mark_bar(height=14, cornerRadiusEnd=2, color=colour("dataflow-rsnn"))
        .encode(
            y=_names("layer"),
            x=alt.X(
                "value:Q", title="work of the busiest unit / of the mean one", axis=alt.Axis(format=".2f", tickCount=6)
            ),
            description="told:N",
        )
        .properties(width=WIDTH, height=alt.Step(_BAR_STEP))
    )


def board_bars(board: Board) -> alt.TopLevelMixin:
    """A resource a row: the share of it that is used."""
    values = [
        {
            "resource": name,
            "share": found["used"] / found["available"],
            "amount": f"{found['used']:,} of {found['available']:,}",
            "told": f"{name}: {found['used']:,} of {found['available']:,}",
        }
        for name, found in board.resources.items()
        if found["available"]
    ]
    base = alt.Chart(alt.Data(values=values)).encode(
        y=_names("resource"),
        x=alt.X("share:Q", title="used", axis=_SHARES, scale=alt.Scale(domain=[0, 1])),
    )
    bars = base.mark_bar(height=14, cornerRadiusEnd=2, color=colour("dataflow-nullhop")).encode(description="told:N")
    labels = base.mark_text(align="left", dx=6).encode(text="amount:N")
    return (bars + labels).properties(width=WIDTH, height=alt.Step(_BAR_STEP + 4))


def alternative_bars(alternatives: Alternatives) -> alt.TopLevelMixin:
    """A layer a row, a bar a dataflow: dense multiply-accumulates a cycle and lane."""
    values = [
        {
            "layer": row["layer"],
            "dataflow": row["dataflow"],
            "value": row["efficiency"],
            "told": f"{row['layer']} on {row['dataflow']}: {row['efficiency']:.2f} MAC/cycle/lane, "
            f"{row['predicted_cycles']:,} cycles predicted",
        }
        for row in alternatives.rows
    ]
    return (
        alt.Chart(alt.Data(values=values))
        .mark_bar(cornerRadiusEnd=2)
        .encode(
            y=_names("layer"),
            yOffset=alt.YOffset("dataflow:N", sort=list(DATAFLOWS)),
            x=alt.X("value:Q", title="dense MAC / cycle / lane", axis=_RATES),
            color=dataflow_colours([value["dataflow"] for value in values]),
            description="told:N",
        )
        .properties(width=WIDTH, height=alt.Step(11))
    )


def peer_bars(peers: Peers) -> alt.TopLevelMixin:
    """A measurement a row, a block a layer: multiply-accumulates a cycle and multiplier, whose number it names."""
    values = [
        {
            "layer": row["layer"],
            "generator": row["generator"],
            "measurement": row["name"].removesuffix(f", {row['layer']}").replace(" multipliers", ""),
            "value": row["efficiency"],
            "told": f"{row['name']}: {row['efficiency']:.2f} MAC/cycle/multiplier in {row['cycles']:,} cycles",
        }
        for row in peers.rows
    ]
    return (
        alt.Chart(alt.Data(values=values))
        .mark_bar(height=14, cornerRadiusEnd=2)
        .encode(
            y=_names("measurement"),
            x=alt.X("value:Q", title="MAC / cycle / multiplier", axis=_RATES),
            color=_generators(peers),
            row=alt.Row("layer:N", sort=None, title=None, header=_HEADER),
            description="told:N",
        )
        .properties(width=WIDTH - 60, height=alt.Step(_BAR_STEP))
        .resolve_scale(y="independent")
    )


def peer_sizes(peers: Peers) -> alt.TopLevelMixin:
    """A circuit a row: its look-up tables."""
    values = [
        {
            "circuit": row["name"],
            "generator": row["generator"],
            "value": row["lut"],
            "told": f"{row['name']}: {row['lut']:,} look-up tables, {row['dsp']:,} DSPs",
        }
        for row in peers.rows
    ]
    return (
        alt.Chart(alt.Data(values=values))
        .mark_bar(height=14, cornerRadiusEnd=2)
        .encode(
            y=_names("circuit"),
            x=alt.X("value:Q", title="look-up tables", axis=_COUNTS),
            color=_generators(peers),
            description="told:N",
        )
        .properties(width=WIDTH - 60, height=alt.Step(_BAR_STEP))
    )


def _generators(peers: Peers) -> alt.Color:
    """Skipstone in one colour, others in another."""
    generators = list(dict.fromkeys(row["generator"] for row in peers.rows))
    own, other = colour("dataflow-nullhop"), colour("series-2")
    scale = alt.Scale(domain=generators, range=[own if name == "Skipstone" else other for name in generators])
    return alt.Color("generator:N", scale=scale, title=None, legend=alt.Legend(orient="top"))


def rate_bars(rates: BoardRates) -> alt.TopLevelMixin:
    """A network on a board a row: inferences a second."""
    values = [
        {
            "what": row["name"],
            "value": row["inferences_per_second"],
            "amount": f"{row['inferences_per_second']:,.0f}",
            "told": f"{row['name']}: {row['inferences_per_second']:,} inferences/s at {row['clock_mhz']:g} MHz",
        }
        for row in rates.running
    ]
    base = alt.Chart(alt.Data(values=values)).encode(
        y=_names("what"), x=alt.X("value:Q", title="inferences / s", axis=_COUNTS)
    )
    bars = base.mark_bar(height=14, cornerRadiusEnd=2, color=colour("dataflow-nullhop")).encode(description="told:N")
    labels = base.mark_text(align="left", dx=6).encode(text="amount:N")
    return (bars + labels).properties(width=WIDTH - 60, height=alt.Step(_BAR_STEP + 4))
