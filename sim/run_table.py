"""What is said of a run of a network's layers: a row a layer and a total, for tables and JSON."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hw.config import CoreConfig
from models.network import Network
from sim.core_run import Mismatch


@dataclass(frozen=True)
class Row:
    """What a layer did.

    Attributes:
        name, op, dataflow: of the layer.
        cycles, predicted_cycles: from its start to its end, in RTL and by the compiler's model.
        macs: multiply-accumulates of the dense layer.
        multiplies: useful multiplications that were really issued.
        mismatch: the first difference in what it wrote.
        traffic: what moved meanwhile (see `sim.traffic`), of a convolution.
    """

    name: str
    op: str
    dataflow: str
    cycles: int
    predicted_cycles: int
    macs: int
    multiplies: int
    mismatch: Mismatch | None
    traffic: dict[str, Any] | None


class RunTable(ABC):
    """A network that ran on a core; who inherits says what each layer did."""

    network: Network
    config: CoreConfig
    seed: int

    @abstractmethod
    def table(self) -> Sequence[Row]:
        """The layers in the order in which they ran."""

    @property
    def total_cycles(self) -> int:
        """Of the whole run."""
        return sum(row.cycles for row in self.table())

    @property
    def mismatches(self) -> dict[str, Mismatch]:
        """The first difference of each layer that has one, by name."""
        return {row.name: row.mismatch for row in self.table() if row.mismatch is not None}

    @property
    def equal(self) -> bool:
        """Every byte is right."""
        return not self.mismatches

    def utilisation(self, multiplies: int, cycles: int) -> float:
        """Useful multiplications per multiplier and cycle."""
        return multiplies / (cycles * self.config.groups * self.config.lanes)

    def rows(self) -> list[dict[str, Any]]:
        """One record a layer."""
        return [
            {
                "name": row.name,
                "op": row.op,
                "dataflow": row.dataflow,
                "cycles": row.cycles,
                "predicted_cycles": row.predicted_cycles,
                "macs": row.macs,
                "multiplies": row.multiplies,
                "utilisation": self.utilisation(row.multiplies, row.cycles),
                "equal": row.mismatch is None,
                "traffic": row.traffic,
            }
            for row in self.table()
        ]

    def total(self) -> dict[str, Any]:
        """The whole run in one record."""
        table = self.table()
        multiplies = sum(row.multiplies for row in table)
        return {
            "cycles": self.total_cycles,
            "predicted_cycles": sum(row.predicted_cycles for row in table),
            "macs": sum(row.macs for row in table),
            "multiplies": multiplies,
            "utilisation": self.utilisation(multiplies, self.total_cycles),
            "equal": self.equal,
        }

    def as_json(self) -> dict[str, Any]:
        """The whole run, for machines."""
        return {
            "network": self.network.name,
            "seed": self.seed,
            "groups": self.config.groups,
            "lanes": self.config.lanes,
            "layers": self.rows(),
            "total": self.total(),
        }
