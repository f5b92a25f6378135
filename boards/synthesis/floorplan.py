"""Where the hard blocks of a part lie, and which of them each group of the array gets.

An analytic placer spreads a group's multipliers over the whole part, since they hang together only by registers; all
that belongs to the group is then torn apart. So the multipliers of a group are put side by side here, and its weight
memory next to them, before place and route, which finds the places of all else. The activation memory lies apart from
all of them, and so does a program: what hangs on them, which is the front end and the machine, then settles between the
two, and leaves what is around the multipliers to the array and to what collects its results. In their midst all of that
crosses itself, and no router finds a way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

ARRAY = re.compile(r"\barray\.group_(\d+)\.")
WEIGHTS = re.compile(r"\bweights_(\d+)\.")
PARAMETERS = re.compile(r"\bpost\.(memory)\.")
BANKS = re.compile(r"\bactivations\.(bank)_")
PROGRAM = re.compile(r"\bmachine\.(program)\.")
"""Hierarchical names of the cells of a group, and of its weight memory; of the post-processor's parameter memory; of
the activation memory; of the program memory."""


@dataclass(frozen=True)
class Site:
    """A place for one hard block: its name for the placer, and where it is."""

    bel: str
    column: int
    row: int


@dataclass(frozen=True)
class SiteRows:
    """Rows of blocks of sites, as a part has them.

    Parameters
    ----------
    cells
        The types of the cells that belong there.
    rows
        The rows of the part that have such sites.
    columns
        The first column of each block.
    places
        Of each site in a block: its column there, and its name.
    """

    cells: tuple[str, ...]
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    places: tuple[tuple[int, str], ...]

    def sites(self) -> list[list[Site]]:
        """All sites, row by row."""
        return [
            [
                Site(f"X{first + at}/Y{row}/{name}", first + at, row)
                for first in self.columns
                for at, name in self.places
            ]
            for row in self.rows
        ]


@dataclass(frozen=True)
class Floorplan:
    """The sites of a part for multipliers and memories."""

    multipliers: SiteRows
    memories: SiteRows

    def place(self, cells: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
        """The site of each multiplier, and of each block RAM of the parameter, weight and activation memories.

        Groups of multipliers fill the rows of sites one after another; those that belong to no group, which are the
        post-processor's, come in the middle. The parameter memory gets the sites nearest to these, each weight memory
        the free ones nearest to its group, the activation memory those in the middle of the rows furthest from the
        multipliers, and the program memory what is left there.

        Parameters
        ----------
        cells
            The cells of a flat netlist by name, each with its `type`.
        """
        groups = _clusters(cells, self.multipliers.cells, ARRAY)
        post = groups.pop("", [])
        order = [groups[group] for group in sorted(groups, key=int)]
        placed = _fill([*order[: len(order) // 2], post, *order[len(order) // 2 :]], self.multipliers.sites())
        if not order or not placed:
            return {}
        weights, parameters, banks, program = (
            _clusters(cells, self.memories.cells, pattern) for pattern in (WEIGHTS, PARAMETERS, BANKS, PROGRAM)
        )
        near = [(parameters.get("memory", []), post)]
        near += [(weights.get(group, []), groups[group]) for group in sorted(groups, key=int)]
        free = [site for row in self.memories.sites() for site in row]
        sites = dict(placed)
        for memory, multipliers in near:
            others = [placed[cell] for cell in multipliers if cell in placed]
            if others:
                sites |= _take(free, memory, partial(_distance, others=others))
        apart = partial(_apart, others=list(placed.values()))
        sites |= _take(free, [*banks.get("bank", []), *program.get("program", [])], apart)
        return {name: site.bel for name, site in sites.items()}


def _clusters(
    cells: Mapping[str, Mapping[str, Any]], types: tuple[str, ...], pattern: re.Pattern[str]
) -> dict[str, list[str]]:
    """The names of cells of those types by group number, in natural order; "" for those of no group."""
    found: dict[str, list[str]] = {}
    for name, cell in cells.items():
        if cell["type"] in types:
            match = pattern.search(name)
            found.setdefault(match[1] if match else "", []).append(name)
    return {group: sorted(names, key=_natural) for group, names in found.items()}


def _natural(name: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def _fill(clusters: Iterable[list[str]], rows: list[list[Site]]) -> dict[str, Site]:
    """Each cluster side by side in one row; one that fits in no row is left to the placer."""
    placed: dict[str, Site] = {}
    free = [list(row) for row in rows]
    for cluster in clusters:
        row = next((row for row in free if len(row) >= len(cluster)), None)
        if row is not None:
            placed.update(zip(cluster, row, strict=False))
            del row[: len(cluster)]
    return placed


def _take(free: list[Site], names: Iterable[str], cost: Callable[[Site], Any]) -> dict[str, Site]:
    """For each name the free site of least cost, in turn while there are any; what is taken is free no more."""
    found: dict[str, Site] = {}
    for name in names:
        if free:
            found[name] = min(free, key=cost)
            free.remove(found[name])
    return found


def _apart(site: Site, others: list[Site]) -> tuple[float, float]:
    """How near to the rows of others, and then how far from the middle of their columns."""
    column = sum(other.column for other in others) / len(others)
    return -sum(abs(site.row - other.row) for other in others), abs(site.column - column)


def _distance(site: Site, others: list[Site]) -> float:
    """From a site to the middle of others."""
    column = sum(other.column for other in others) / len(others)
    row = sum(other.row for other in others) / len(others)
    return abs(site.column - column) + abs(site.row - row)


def constrain(netlist: Path, top: str, floorplan: Floorplan) -> None:
    """Write the sites into a netlist, a JSON file of yosys, as attributes of module ``top``'s cells."""
    content = json.loads(netlist.read_text())
    cells = content["modules"][top]["cells"]
    for name, bel in floorplan.place(cells).items():
        cells[name]["attributes"]["BEL"] = bel
    netlist.write_text(json.dumps(content))
