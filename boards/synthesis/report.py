"""What a circuit takes of a part, and how fast it runs there."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from boards.synthesis.netlist import Memory, Netlist
from boards.synthesis.targets import Target


@dataclass(frozen=True)
class Usage:
    """How many of a resource are used, of how many on the part."""

    name: str
    used: int
    available: int


@dataclass(frozen=True)
class Report:
    """The result of one run of the flow.

    Parameters
    ----------
    target
        The part.
    usage
        What is used of the target's resources.
    harness_flip_flops
        Flip-flops, among those used, of the measuring harness.
    memories
        The memories of the description.
    frequency, achieved
        The clock asked for and the clock reached, in MHz.
    """

    target: Target
    usage: tuple[Usage, ...]
    harness_flip_flops: int
    memories: tuple[Memory, ...]
    frequency: float
    achieved: float

    @property
    def fast_enough(self) -> bool:
        """Whether the clock asked for is reached."""
        return self.achieved >= self.frequency

    def as_dict(self) -> dict[str, Any]:
        """The report for a JSON file."""
        return {
            "part": self.target.part,
            "resources": {u.name: {"used": u.used, "available": u.available} for u in self.usage},
            "harness_flip_flops": self.harness_flip_flops,
            "memories": [asdict(memory) for memory in self.memories],
            "frequency_mhz": self.frequency,
            "achieved_mhz": round(self.achieved, 2),
            "fast_enough": self.fast_enough,
        }


def read_placement(target: Target, report: Path, netlist: Netlist) -> tuple[tuple[Usage, ...], float]:
    """What is used of the target's resources, and the clock reached in MHz, from nextpnr's report.

    Of several clocks the slowest counts. One without a path from register to register is not in the report,
    and a report without any gives 0 MHz.
    """
    contents = json.loads(report.read_text())
    sites = contents["utilization"]
    usage = tuple(
        Usage(
            resource.name,
            netlist.count(*resource.cells) if resource.cells else sites[resource.bel]["used"],
            sites[resource.bel]["available"],
        )
        for resource in target.resources
    )
    return usage, min((clock["achieved"] for clock in contents["fmax"].values()), default=0.0)
