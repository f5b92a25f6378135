"""Charts as SVG elements for a page: colours from CSS variables, marks that say what they stand for.

SVG and not Vega's own viewer: the page needs no script and no network, prints, and takes its colours from CSS
variables, so that it follows the reader's light or dark setting. What a mark stands for is its `<title>`, which
browsers show.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

import altair as alt
import vl_convert

from bench.report.sources import VECTOR

DATAFLOWS = ("nullhop", "rsnn", "csc", VECTOR)
"""In the order of their colours."""

_SVG = "http://www.w3.org/2000/svg"


def colour(name: str) -> str:
    """The CSS variable of that name."""
    return f"var(--{name})"


def dataflow_colours(names: Sequence[str]) -> alt.Color:
    """The colour of each dataflow that is there, the same in every picture."""
    shown = [name for name in DATAFLOWS if name in names] + sorted(set(names) - set(DATAFLOWS))
    scale = alt.Scale(domain=shown, range=[colour(f"dataflow-{name}") for name in shown])
    return alt.Color("dataflow:N", scale=scale, title=None, legend=alt.Legend(orient="top"))


def to_svg(chart: alt.TopLevelMixin, label: str) -> str:
    """The chart as an SVG element that is as wide as its place, and says `label` to who cannot see it."""
    configured: Any = chart.configure(
        background="transparent",
        # Browsers have other fonts than those that the labels are measured with.
        padding={"left": 24, "right": 8, "top": 4, "bottom": 4},
        font="system-ui, sans-serif",
        axis=alt.AxisConfig(
            labelColor=colour("ink-2"),
            titleColor=colour("ink-2"),
            titleFontWeight="normal",
            gridColor=colour("grid"),
            domainColor=colour("axis"),
            tickColor=colour("axis"),
            labelFontSize=12,
            titleFontSize=12,
            labelLimit=260,
            labelOverlap="greedy",
        ),
        legend=alt.LegendConfig(
            labelColor=colour("ink-2"), labelFontSize=12, symbolSize=90, labelLimit=400, columnPadding=48
        ),
        view=alt.ViewConfig(stroke=None),
        text=alt.MarkConfig(color=colour("ink-2"), fontSize=12),
    )
    return _finish(vl_convert.vegalite_to_svg(configured.to_dict()), label)


def _finish(svg: str, label: str) -> str:
    """Without a size of its own, with a label, and each mark's description as its title."""
    ElementTree.register_namespace("", _SVG)
    root = ElementTree.fromstring(svg)
    root.set("style", f"max-width: {root.attrib.pop('width')}px")
    root.attrib.pop("height")
    root.set("role", "img")
    root.set("aria-label", label)
    # Vega writes each clip path under an identifier that another chart of the page may have, too.
    for mark in root.iter():
        described = mark.get("aria-label")
        if described and mark.get("aria-roledescription") in ("bar", "point", "tick"):
            title = ElementTree.SubElement(mark, f"{{{_SVG}}}title")
            title.text = described
    text = ElementTree.tostring(root, encoding="unicode")
    unique = re.sub(r"[^a-z0-9]+", "-", label.lower())
    return re.sub(r'(id="|url\(#)(clip\d+)', rf"\1{unique}-\2", text)
