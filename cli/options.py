"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from hw.config import CoreConfig
from models.errors import SkipstoneError


class Dataflow(StrEnum):
    """The choices of ``--dataflow``: what the core has for convolutions over all channels.

    ``auto``: both, and each layer runs on the one that is predicted to take fewer cycles.
    """

    nullhop = "nullhop"
    rsnn = "rsnn"
    auto = "auto"


class Simulator(StrEnum):
    """The choices of ``--simulator``."""

    verilator = "verilator"
    icarus = "icarus"


class Stalls(StrEnum):
    """The choices of ``--stalls``."""

    none = "none"
    random = "random"


DataflowOption = Annotated[
    Dataflow,
    typer.Option(
        help="What feeds the array: nullhop skips zero activations, rsnn zero weights, auto takes the faster by layer."
    ),
]
Groups = Annotated[int, typer.Option(min=1, help="Groups of the MAC array.")]
Lanes = Annotated[int, typer.Option(min=1, help="Lanes of a group.")]
SimulatorOption = Annotated[Simulator, typer.Option(help="What runs the Verilog.")]
StallsOption = Annotated[Stalls, typer.Option(help="Stall the streams at random.")]
WavesOption = Annotated[Path | None, typer.Option(dir_okay=False, help="Record waves to this .fst file.")]
JsonOption = Annotated[Path | None, typer.Option("--json", dir_okay=False, help="Write the results to this file.")]


Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Another parameter of the core, such as activation_depth=4096."),
]


KeepWeights = Annotated[
    bool,
    typer.Option("--keep-weights", help="Weights stay in the weight memories, brought there when a program is loaded."),
]


def core_config(
    groups: int, lanes: int, settings: Sequence[str] | None = None, dataflow: Dataflow = Dataflow.nullhop
) -> CoreConfig:
    """The default core with an array of that size, what the dataflow needs, and other parameters as the user sets them.

    Raises:
        SkipstoneError: a setting that is none; names it and the parameters that there are.
        ConfigurationError: no hardware can be built for a value.
    """
    dense = ("nullhop", "rsnn") if dataflow is Dataflow.auto else (dataflow.value,)
    config = CoreConfig.sized(groups, lanes, dense)
    names = [name for name in config.as_dict() if name not in ("groups", "lanes")]
    changes: dict[str, int] = {}
    for setting in settings or ():
        name, _, value = setting.partition("=")
        if name not in names or not value.isdecimal():
            raise SkipstoneError(f"--set {setting}: give NAME=NUMBER, where the name is one of {', '.join(names)}")
        # A flag is 0 or 1; any other number is left for the configuration to refuse.
        changes[name] = bool(int(value)) if isinstance(getattr(config, name), bool) and int(value) < 2 else int(value)
    return config.with_changes(**changes)


def check_waves(waves: Path | None) -> None:
    """Raise SkipstoneError if that is no name for a file of waves."""
    if waves is not None and waves.suffix != ".fst":
        raise SkipstoneError(f"{waves}: waves are an .fst file; name it {waves.with_suffix('.fst')}")
