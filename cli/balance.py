"""`skipstone balance`: how evenly a network's zero weights are spread over the units of a sparse-weight array."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from cli.options import Groups, JsonOption, Lanes
from cli.tables import count, new_table, percent, print_table
from models.files import write_text
from models.importers import load
from models.sparsity.balance import Balance, Dealing, entries, measure, prunable, pruned_masks


def balance(
    network: Annotated[str, typer.Argument(help="A network of the zoo, or a .tflite or .onnx file.")],
    groups: Groups = 8,
    lanes: Lanes = 16,
    slots: Annotated[int, typer.Option(min=1, help="Kernels that share a group, where they are merged.")] = 4,
    channel_tile: Annotated[
        int | None, typer.Option(min=1, help="Input channels after which groups wait for each other; else all.")
    ] = None,
    density: Annotated[
        float | None, typer.Option(min=0, max=1, help="Look at the network as pruned to this share of its weights.")
    ] = None,
    json_file: JsonOption = None,
) -> None:
    """Show how busy zero weights leave the groups of an array that skips them, a row a layer.

    Each group takes one non-zero weight a cycle, and all wait for the slowest. In order: a kernel a group, as they
    come. Sorted: kernels of similar size together. Merged: several kernels a group, largest first to the least loaded.
    """
    loaded = load(network)
    rows: list[tuple[Balance, Balance | None]] = []
    for layer in prunable(loaded):
        versions = [layer.weights]
        if density is not None:
            versions = [layer.weights * mask for mask in pruned_masks(layer, density, lanes, channel_tile)]
        found = [measure(layer.name, entries(layer, w, lanes), groups, slots, channel_tile) for w in versions]
        rows.append((found[0], found[1] if len(found) > 1 else None))
    if json_file is not None:
        layers = [asdict(row) | ({"balanced": asdict(level)} if level else {}) for row, level in rows]
        write_text(json_file, json.dumps({"network": loaded.name, "layers": layers}, indent=2) + "\n")
    _show(f"{loaded.name} on {groups} groups of {slots} slots", rows)


def _show(title: str, rows: list[tuple[Balance, Balance | None]]) -> None:
    pruned = any(level is not None for _, level in rows)
    headings = ["kernels", "density, %", *(f"{dealing}, %" for dealing in Dealing)]
    table = new_table(title, ["layer"], [*headings, *(["balanced pruning, %"] if pruned else [])])
    for row, level in rows:
        level_share = [percent(level.utilisation[Dealing.IN_ORDER])] if level else []
        shares = [percent(row.utilisation[dealing]) for dealing in Dealing]
        table.add_row(row.name, count(row.kernels), percent(row.density), *shares, *level_share)
    print_table(table)
