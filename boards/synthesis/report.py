"""What a circuit takes of a part, and how fast it runs there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
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
class SlowestPath:
    """The slowest way from a register to a register: its ends, its delays in ns, and the cells it passes."""

    start: str
    end: str
    logic: float
    routing: float
    cells: int

    def __str__(self) -> str:
        return (
            f"from {self.start} to {self.end}: {self.logic:.1f} ns of logic in {self.cells} cells, "
            f"{self.routing:.1f} ns of routing"
        )


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
    slowest
        The path that limits the clock; None if no register feeds another.
    """

    target: Target
    usage: tuple[Usage, ...]
    harness_flip_flops: int
    memories: tuple[Memory, ...]
    frequency: float
    achieved: float
    slowest: SlowestPath | None

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
            "slowest_path": asdict(self.slowest) if self.slowest else None,
        }


def read_usage(target: Target, report: Mapping[str, Any], netlist: Netlist) -> tuple[Usage, ...]:
    """What is used of the target's resources, from nextpnr's report."""
    sites = report["utilization"]
    return tuple(
        Usage(
            resource.name,
            netlist.count(*resource.cells) if resource.cells else sites[resource.bel]["used"],
            sites[resource.bel]["available"],
        )
        for resource in target.resources
    )


def read_clock(report: Mapping[str, Any]) -> tuple[float, SlowestPath | None]:
    """The clock reached in MHz, and the path that limits it, from nextpnr's report.

    Of several clocks the slowest counts. One without a path from register to register is not in the report, and
    a report without any gives 0 MHz.
    """
    clocks = report["fmax"]
    if not clocks:
        return 0.0, None
    name = min(clocks, key=lambda clock: clocks[clock]["achieved"])
    ways = (way for way in report["critical_paths"] if way["from"].split()[-1] == way["to"].split()[-1] == name)
    slowest = max((_slowest(way["path"]) for way in ways), key=lambda way: way.logic + way.routing, default=None)
    return clocks[name]["achieved"], slowest


def _slowest(steps: Sequence[Mapping[str, Any]]) -> SlowestPath:
    routing = sum(step["delay"] for step in steps if step["type"] == "routing")
    return SlowestPath(
        start=steps[0]["from"]["cell"],
        end=steps[-1]["to"]["cell"],
        logic=round(sum(step["delay"] for step in steps) - routing, 2),
        routing=round(routing, 2),
        cells=sum(step["type"] == "logic" for step in steps),
    )
