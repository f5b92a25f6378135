"""`skipstone inspect`: what a network is made of, and how much of it is zeros."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from models import golden
from models.files import write_text
from models.importers import load
from models.inputs import read_input
from models.network import Network
from models.statistics import LayerStatistics, gather, weighted_share

_PIPE_WIDTH = 200


def inspect(
    network: Annotated[str, typer.Argument(help="A network of the zoo, or a .tflite or .onnx file.")],
    input: Annotated[
        Path | None,
        typer.Option(help="A .npy, .png or .jpg file; adds the zero activations of this input."),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the same to this file.")] = None,
) -> None:
    """Show NETWORK: a row a layer, with shapes, multiply-accumulates, parameters and zeros.

    Skippable: multiply-accumulates whose activation is zero or padding. In the totals, zeros are weighted by
    each layer's multiply-accumulates.
    """
    loaded = load(network)
    tensors = None if input is None else golden.run(loaded, read_input(loaded, input, any_batch=True))
    layers = gather(loaded, tensors)
    totals = _totals(layers)
    if json_file is not None:
        document = {"network": loaded.name, "layers": [layer.as_dict() for layer in layers], "total": totals}
        write_text(json_file, json.dumps(document, indent=2) + "\n")
    _show(loaded, layers, totals, with_input=input is not None)


def _totals(layers: Sequence[LayerStatistics]) -> dict[str, float | int | None]:
    return {
        "macs": sum(layer.macs for layer in layers),
        "parameters": sum(layer.parameters for layer in layers),
        "zero_weights": weighted_share((layer.zero_weights, layer.macs) for layer in layers),
        "zero_activations": weighted_share((layer.zero_activations, layer.macs) for layer in layers),
        "skippable_macs": weighted_share((layer.skippable_macs, layer.macs) for layer in layers),
    }


def _show(
    network: Network,
    layers: Sequence[LayerStatistics],
    totals: dict[str, float | int | None],
    *,
    with_input: bool,
) -> None:
    table = Table(title=network.name, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("layer", "op", "input", "output", "kernel", "stride"):
        table.add_column(heading)
    headings = ("MACs", "parameters", "weights\n0, %")
    for heading in (*headings, *(("activations\n0, %", "MACs\nskippable, %") if with_input else ())):
        table.add_column(heading, justify="right")
    for layer in layers:
        activations = (_percent(layer.zero_activations), _percent(layer.skippable_macs))
        table.add_row(
            layer.name,
            layer.op,
            _by(layer.input_shape[1:]),
            _by(layer.output_shape[1:]),
            _by(layer.kernel or ()),
            _by(layer.stride or ()),
            f"{layer.macs:,}",
            f"{layer.parameters:,}",
            _percent(layer.zero_weights),
            *(activations if with_input else ()),
        )
    table.add_section()
    activations = (_percent(totals["zero_activations"]), _percent(totals["skippable_macs"]))
    table.add_row(
        *("total", "", "", "", "", ""),
        f"{totals['macs']:,}",
        f"{totals['parameters']:,}",
        _percent(totals["zero_weights"]),
        *(activations if with_input else ()),
    )
    console = Console()
    # A pipe has no width of its own: nothing is cut or folded there.
    (console if console.is_terminal else Console(width=_PIPE_WIDTH)).print(table)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


def _by(sizes: Sequence[int]) -> str:
    return "x".join(map(str, sizes))
