"""What a benchmark is: named cases, each of which measures one row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = dict[str, Any]
"""What a case measured, ready for JSON.

Rows of layers and of networks share these keys, which are also those of `skipstone simulate --json`: `name`,
`dataflow`, `cycles` (from start to done), `predicted_cycles`, `macs` (of the dense layer), `multiplies` (useful ones
that were really issued), `utilisation` (multiplies per multiplier and cycle), `traffic` (see `sim.traffic`), `equal`
(every output byte is the golden model's). `groups` and `lanes` say what it ran on. Any benchmark may add others.
"""

EXACT = ("cycles", "predicted_cycles", "macs", "multiplies")
"""Keys that depend on nothing but the seed and the code: measured again, they must be equal."""

WITHIN = {"lut": 0.03, "carry": 0.03, "dsp": 0.0, "block_ram": 0.03}
"""Keys of what synthesis takes, and by which share they may differ when they are measured again."""


@dataclass(frozen=True)
class Column:
    """A column of a benchmark's table: its heading, the key of the rows, and how a value is written.

    `form` is a format specification such as `,d` or `.1%`; empty for text.
    """

    heading: str
    key: str
    form: str = ""

    def text(self, row: Mapping[str, Any]) -> str:
        """The cell of a row; empty if the row has no such value."""
        value = row.get(self.key)
        if value is None:
            return ""
        if isinstance(value, bool):
            return "yes" if value else "NO"
        return format(value, self.form)


LAYER_COLUMNS = (
    Column("layer", "name"),
    Column("dataflow", "dataflow"),
    Column("cycles", "cycles", ",d"),
    Column("predicted", "predicted_cycles", ",d"),
    Column("MACs", "macs", ",d"),
    Column("multiplies", "multiplies", ",d"),
    Column("utilisation", "utilisation", ".1%"),
    Column("MAC/cycle/lane", "efficiency", ".2f"),
    Column("equal", "equal"),
)
"""Of rows that are layers or networks."""


def layer_columns(*keys: str) -> tuple[Column, ...]:
    """Those of `LAYER_COLUMNS` with these keys, in this order."""
    found = {column.key: column for column in LAYER_COLUMNS}
    return tuple(found[key] for key in keys)


@dataclass(frozen=True)
class Case:
    """A row to measure.

    Attributes:
        name: of the row, unique in its benchmark.
        measure: runs it; its row needs no `name`.
        parameters: what it runs on, for the row and for telling whether a kept row is still that of this case.
        cheap: it takes seconds, on a model that the test suite compiles anyway: the suite measures it again.
        held: its cycles are the project's own, and tests hold them against the recorded ones.
    """

    name: str
    measure: Callable[[], Row]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    cheap: bool = False
    held: bool = True


@dataclass(frozen=True)
class Benchmark:
    """A named list of cases.

    Attributes:
        name: on the command line and of the results' file.
        title: one line that says what is measured.
        cases: the cases, for a quick run (minutes) or a full one.
        columns: of its table.
        summarise: sums up the rows of a whole run; None if there is nothing to sum up.
        published: figures of others that the rows are held against, with their sources.
        seed: of everything random.
    """

    name: str
    title: str
    cases: Callable[[bool], Sequence[Case]]
    columns: Sequence[Column] = LAYER_COLUMNS
    summarise: Callable[[Sequence[Row]], Row] | None = None
    published: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0


def rates(cycles: int, macs: int, multiplies: int, multipliers: int) -> Row:
    """`utilisation` and `efficiency`: useful, and dense, multiplications per multiplier and cycle.

    The efficiency is that of the papers: dense-equivalent operations over the operations of the array at its peak.
    """
    capacity = cycles * multipliers
    return {"utilisation": round(multiplies / capacity, 4), "efficiency": round(macs / capacity, 4)}


def totals(rows: Sequence[Row]) -> Row:
    """The sums of rows that ran one after another on the same array."""
    sums = {key: sum(row[key] for row in rows) for key in EXACT}
    multipliers = rows[0]["groups"] * rows[0]["lanes"]
    return {
        **sums,
        **rates(sums["cycles"], sums["macs"], sums["multiplies"], multipliers),
        "equal": all(row["equal"] for row in rows),
    }
