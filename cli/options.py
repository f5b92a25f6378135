"""Options that several commands have."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class Dataflow(StrEnum):
    """The choices of ``--dataflow``."""

    nullhop = "nullhop"


DataflowOption = Annotated[Dataflow, typer.Option(help="The dataflow that feeds the array.")]
Groups = Annotated[int, typer.Option(min=1, help="Groups of the MAC array.")]
Lanes = Annotated[int, typer.Option(min=1, help="Lanes of a group.")]
