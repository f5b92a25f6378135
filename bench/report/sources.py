"""What a report shows, from files of any of the project's commands that write JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import results
from bench.benchmark import LAYER_COLUMNS, Column, Row, rates
from models.errors import SkipstoneError

_RATE_COLUMNS = (
    Column("network", "network"),
    Column("cycles", "cycles", ",d"),
    Column("inferences/s", "inferences_per_second", ",.2f"),
    Column("refused", "refused"),
)

VECTOR = "vector"
"""What runs layers without multiplications; not a dataflow of the array."""


@dataclass(frozen=True)
class LayerSet:
    """Layers that ran on one array.

    Attributes:
        title: of the network or benchmark; multipliers: of the array.
        rows: the layers (see `bench.benchmark.Row`); total: their sum, or the whole run.
        published: figures of others.
        sweep: the rows are one layer with more and more zeros.
    """

    title: str
    multipliers: int
    rows: Sequence[Row]
    total: Row | None = None
    published: Mapping[str, Any] = field(default_factory=dict)
    sweep: bool = False

    @property
    def multiplying(self) -> list[Row]:
        """The layers that multiply."""
        return [row for row in self.rows if row["macs"]]


@dataclass(frozen=True)
class Table:
    """Rows as they were recorded."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Row]
    total: Row | None = None


@dataclass(frozen=True)
class Peers:
    """Several generators: rows with `generator`, and either `efficiency` on a `layer`, or `lut` of what it `runs`."""

    title: str
    rows: Sequence[Row]

    @property
    def sized(self) -> bool:
        """Whether the rows are what circuits take, not how fast they are."""
        return all("lut" in row for row in self.rows)


@dataclass(frozen=True)
class BoardRates:
    """Networks on boards: rows with `board`, and, where the network runs, `inferences_per_second` and `clock_mhz`."""

    title: str
    rows: Sequence[Row]

    @property
    def running(self) -> list[Row]:
        """Those that run."""
        return [row for row in self.rows if "inferences_per_second" in row]


@dataclass(frozen=True)
class Imbalance:
    """Rows with `name` and `imbalance`: the work of the busiest processing unit over that of the mean one."""

    title: str
    rows: Sequence[Row]


@dataclass(frozen=True)
class Alternatives:
    """The same layers on several dataflows: rows with `layer`, `dataflow`, `efficiency`, of predicted cycles."""

    title: str
    rows: Sequence[Row]


@dataclass(frozen=True)
class Board:
    """What a circuit takes of a part: `used` and `available` of each resource, and its clock in MHz."""

    title: str
    resources: Mapping[str, Mapping[str, int]]
    achieved: float
    wanted: float


@dataclass
class Sources:
    """Everything that the files hold.

    Attributes:
        sets: of layers.
        alternatives: layers on several dataflows.
        imbalances: of processing units; peers: comparisons with other generators.
        tables: of everything recorded; boards: parts; rates: of networks on boards.
        origins: a line a file: what made it.
    """

    sets: list[LayerSet] = field(default_factory=list)
    alternatives: list[Alternatives] = field(default_factory=list)
    imbalances: list[Imbalance] = field(default_factory=list)
    peers: list[Peers] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    boards: list[Board] = field(default_factory=list)
    rates: list[BoardRates] = field(default_factory=list)
    origins: list[str] = field(default_factory=list)


def read(paths: Sequence[Path]) -> Sources:
    """What the files hold, in their order.

    Raises:
        SkipstoneError: a file cannot be read, or is of no kind that is known; names it.
    """
    found = Sources()
    for path in paths:
        document = results.read(path)
        try:
            _add(found, document, path)
        except (KeyError, TypeError, AttributeError, ZeroDivisionError) as error:
            raise SkipstoneError(f"{path}: is damaged, or of another version ({error!r}): record it again") from None
    return found


def _add(found: Sources, document: dict[str, Any], path: Path) -> None:
    if "benchmark" in document:
        _add_benchmark(found, document)
    elif "network" in document and "layers" in document:
        found.sets.append(_of_simulation(document))
        found.tables.append(Table(found.sets[-1].title, LAYER_COLUMNS, found.sets[-1].rows, found.sets[-1].total))
        found.origins.append(f"{path.name}: skipstone simulate, seed {document['seed']}")
    elif "targets" in document:
        found.boards += _targets(document["targets"])
        found.origins.append(f"{path.name}: skipstone synth")
    elif "board" in document and "resources" in document:
        title, wanted = f"{document['board']}, {document['part']}", document["clock_mhz"]
        found.boards.append(Board(title, document["resources"], document["achieved_mhz"], wanted))
        rates_at = Table(f"{document['board']}: predicted at {wanted:g} MHz", _RATE_COLUMNS, document["networks"])
        found.tables.append(rates_at)
        found.origins.append(f"{path.name}: a bitstream's report")
    else:
        raise SkipstoneError(
            f"{path}: no results of a known kind: give files of `skipstone bench`, or of `simulate` or `synth --json`"
        )


def _add_benchmark(found: Sources, document: dict[str, Any]) -> None:
    rows = document["rows"]
    columns = [Column(**column) for column in document["columns"]]
    found.tables.append(Table(document["title"], columns, rows, document["total"]))
    found.sets += _sets(document)
    if all("layer" in row and "dataflow" in row and "cycles" not in row for row in rows):
        networks = dict.fromkeys(row.get("network") for row in rows)
        for network in networks:
            title = document["title"] if network is None else f"{network}: {document['title'].lower()}"
            found.alternatives.append(Alternatives(title, [row for row in rows if row.get("network") == network]))
    if all("imbalance" in row and "cycles" not in row for row in rows):
        found.imbalances.append(Imbalance(document["title"], rows))
    if all("generator" in row for row in rows):
        found.peers.append(Peers(document["title"], rows))
    if all("board" in row for row in rows):
        found.rates.append(BoardRates(document["title"], rows))
    versions = ", ".join(f"{name} {number}" for name, number in document["versions"].items())
    commit = (document["commit"] or "no commit")[:12] + (" with changes" if document["modified"] else "")
    found.origins.append(f"{document['benchmark']}: {commit}, seed {document['seed']}; {versions}")


def _sets(document: dict[str, Any]) -> Iterator[LayerSet]:
    """The layers in a benchmark: its rows, or those of each of its rows that is a network."""
    rows = document["rows"]
    if all("layers" in row for row in rows):
        for row in rows:
            total = {key: value for key, value in row.items() if key != "layers"}
            published = document["published"].get("networks", {}).get(row.get("network"), {})
            yield LayerSet(row["name"], row["groups"] * row["lanes"], row["layers"], total, published)
    elif all({"cycles", "macs", "multiplies", "groups"} <= row.keys() for row in rows):
        multipliers = rows[0]["groups"] * rows[0]["lanes"]
        sweep = document["benchmark"] == "zeros"
        yield LayerSet(document["title"], multipliers, rows, document["total"], document["published"], sweep)


def _of_simulation(document: dict[str, Any]) -> LayerSet:
    multipliers = document["groups"] * document["lanes"]

    def rated(row: Row) -> Row:
        return {**row, **(rates(row["cycles"], row["macs"], row["multiplies"], multipliers) if row["macs"] else {})}

    title = f"{document['network']} on {document['groups']} x {document['lanes']} multipliers"
    return LayerSet(title, multipliers, [rated(row) for row in document["layers"]], rated(document["total"]))


def _targets(targets: Sequence[dict[str, Any]]) -> Iterator[Board]:
    for target in targets:
        if "error" not in target:
            config = target["config"]
            title = f"{target['part']}, {config['groups']} x {config['lanes']} multipliers"
            yield Board(title, target["resources"], target["achieved_mhz"], target["frequency_mhz"])
