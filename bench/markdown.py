"""Recorded results as Markdown, for the manual and the README: no number is written by hand.

`python -m bench.markdown FILE...` brings up to date what stands in them between `<!-- results: NAME -->` and
`<!-- end -->`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import results
from bench.benchmark import LAYER_COLUMNS, Column, Row
from bench.networks import MLPERF_TINY, NETWORKS
from bench.nngen import ANY_WORK, NNGEN, NNGEN_SIZE, OWN, PEER
from bench.papers import RSNN_VGG16
from bench.suite import BENCHMARKS
from models.errors import SkipstoneError

_BLOCK = re.compile(r"(<!-- results: ([a-z0-9_-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

_RSNN = (
    Column("RSNN, published, MAC/cycle/lane", "published", ".2f"),
    Column("predicted, MAC/cycle/lane", "efficiency", ".2f"),
    Column("utilisation", "utilisation", ".1%"),
)
_PEER = (
    Column("work", "layer"),
    Column("NNgen, multipliers", "peer_multipliers", "d"),
    Column("MAC/cycle/multiplier", "peer", ".2f"),
    Column("LUTs", "peer_lut", ",d"),
    Column("Skipstone, multipliers", "own_multipliers", "d"),
    Column("MAC/cycle/multiplier", "own", ".2f"),
    Column("with 50 % zeros", "own_50", ".2f"),
    Column("with 70 %", "own_70", ".2f"),
    Column("LUTs", "own_lut", ",d"),
)
_NULLHOP = (
    Column("convolutions of", "network"),
    Column("zero activations", "zero_share", ".1%"),
    Column("NullHop, published", "published", ".1%"),
    Column("weights counted", "efficiency", ".1%"),
    Column("weights hidden", "hidden_efficiency", ".1%"),
    Column("utilisation, weights hidden", "hidden_utilisation", ".1%"),
)


def table(columns: Sequence[Column], rows: Sequence[Row], total: Row | None = None) -> str:
    """A Markdown table: numbers to the right, the total in bold."""
    lines = [[column.heading for column in columns], ["---:" if column.form else "---" for column in columns]]
    lines += [[column.text(row) for column in columns] for row in rows]
    if total is not None:
        cells = [column.text({"name": "total", **total}) for column in columns]
        lines.append([f"**{cell}**" if cell else "" for cell in cells])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def of_document(document: Mapping[str, Any]) -> str:
    """The table of a benchmark's results."""
    return table([Column(**column) for column in document["columns"]], document["rows"], document["total"])


def networks(document: Mapping[str, Any]) -> dict[str, str]:
    """The layers of each network in the results, by the network's name."""
    found = {}
    for row in document["rows"]:
        layers = [{**layer, "macs": layer["macs"] or None} for layer in row["layers"]]
        columns = [column for column in LAYER_COLUMNS if column.key != "multiplies"]
        found[row["name"]] = table(columns, layers, {**row, "name": "total"})
    return found


def nullhop(documents: Mapping[str, Mapping[str, Any]]) -> str:
    """The sums of NullHop's benchmarks beside the published figures."""
    rows = [
        {
            "network": document["published"]["network"],
            "zero_share": document["published"]["zero_share"],
            "published": document["published"]["efficiency"],
            **document["total"],
        }
        for name, document in documents.items()
        if name.startswith("nullhop-")
    ]
    return table(_NULLHOP, rows)


def rsnn(documents: Mapping[str, Mapping[str, Any]]) -> str:
    """The sum of RSNN's benchmark beside the published figure."""
    rows = [
        {**document["total"], "published": document["published"]["mac_per_cycle_per_lane"]}
        for name, document in documents.items()
        if name == RSNN_VGG16.name
    ]
    return table(_RSNN, rows)


def peer(documents: Mapping[str, Mapping[str, Any]]) -> str:
    """The peer's rows beside Skipstone's with as many multipliers, and what both take if that is recorded."""
    if NNGEN.name not in documents:
        return table(_PEER, [])
    sizes = documents.get(NNGEN_SIZE.name, {"rows": []})["rows"]
    luts = {(row["generator"], row["multipliers"], row["runs"]): row["lut"] for row in sizes}
    rows: list[Row] = []
    for row in documents[NNGEN.name]["rows"]:
        if row["generator"] == PEER:
            lut = luts.get((PEER, row["multipliers"], row["layer"]))
            found = {"peer_multipliers": row["multipliers"], "peer": row["efficiency"], "peer_lut": lut}
            rows.append({"layer": row["layer"], **found})
        else:
            key = f"own_{row['zero_share']:.0%}".rstrip("%") if row.get("zero_share") else "own"
            lut = luts.get((OWN, row["multipliers"], ANY_WORK))
            rows[-1] |= {key: row["efficiency"], "own_multipliers": row["multipliers"], "own_lut": lut}
    return table(_PEER, rows)


def tables(folder: Path = results.FOLDER) -> dict[str, str]:
    """Every table by name: of each benchmark, each network, and sums of several; a line for what is not recorded."""
    order = {name: place for place, name in enumerate(BENCHMARKS)}
    paths = sorted(folder.glob("*.json"), key=lambda path: (order.get(path.stem, len(order)), path.stem))
    documents = {path.stem: results.read(path) for path in paths}
    missing = {name: f"Not recorded yet: `skipstone bench {name}`.\n" for name in BENCHMARKS}
    missing |= dict.fromkeys(NETWORKS, missing[MLPERF_TINY.name])
    recorded = {name: of_document(document) for name, document in documents.items()}
    if MLPERF_TINY.name in documents:
        recorded |= networks(documents[MLPERF_TINY.name])
    sums = {"nullhop": nullhop(documents), "rsnn": rsnn(documents), "peer": peer(documents)}
    return missing | recorded | sums


def update(text: str, known: Mapping[str, str]) -> str:
    """The text with its blocks up to date; raises SkipstoneError for one that is not known."""

    def block(match: re.Match[str]) -> str:
        begin, name, end = match.groups()
        if name not in known:
            raise SkipstoneError(f"there are no results {name!r}: give one of {', '.join(known)}")
        return f"{begin}\n{known[name]}\n{end}"

    return _BLOCK.sub(block, text)


if __name__ == "__main__":
    for file in map(Path, sys.argv[1:]):
        file.write_text(update(file.read_text(encoding="utf-8"), tables()), encoding="utf-8")
