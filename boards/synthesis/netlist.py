"""What yosys made of a description: its cells and memories, held against what the core needs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from boards.synthesis.targets import Target
from boards.synthesis.tools import CircuitError
from hw.config import CoreConfig

FLIP_FLOP_MEMORY_BITS = 512
"""The largest memory that may be built of flip-flops."""

CELLS, MEMORIES, LEFT_MEMORIES = "cells.json", "memories.il", "memories_left.txt"
"""What the yosys script writes: `stat -json` at the end; `dump t:$mem_v2` before memories are mapped to RAM;
and
`select -list t:$mem_v2` after that, which lists those that flip-flops will hold."""


@dataclass(frozen=True)
class Demand:
    """What a core must find on the part: the least number of hard multipliers, and of bits of block RAM."""

    multipliers: int = 0
    memory_bits: int = 0

    @classmethod
    def of(cls, config: CoreConfig) -> Demand:
        """The multipliers of the array and of the post-processor; the activation and the weight memories."""
        multipliers = config.groups * config.lanes + config.post_lanes * config.post_dsps
        weights = config.groups * config.weight_depth * config.lanes * config.weight_bits
        return cls(multipliers, config.activation_words * config.word_bits + weights)


@dataclass(frozen=True)
class Memory:
    """A memory of the description: its path, its size, and whether flip-flops had to hold it."""

    name: str
    depth: int
    width: int
    in_flip_flops: bool

    @property
    def bits(self) -> int:
        """Bits that it holds."""
        return self.depth * self.width


@dataclass(frozen=True)
class Netlist:
    """A synthesised circuit: cells by type, and the memories it was described with."""

    cells: Mapping[str, int]
    memories: tuple[Memory, ...]

    def count(self, *prefixes: str) -> int:
        """Cells whose type begins with one of ``prefixes``."""
        return sum(count for kind, count in self.cells.items() if kind.startswith(prefixes))

    def check(self, target: Target, demand: Demand) -> None:
        """Raise `CircuitError` with all that shows that logic was used where a hard block was meant."""
        faults = list(self._faults(target, demand))
        if faults:
            raise CircuitError(f"{target.name}: {'; '.join(faults)}")

    def _faults(self, target: Target, demand: Demand) -> Iterator[str]:
        multipliers = self.count(target.multiplier)
        if multipliers < demand.multipliers:
            yield f"{multipliers} of {demand.multipliers} multipliers are hard ones: the rest is logic"
        bits = sum(size * self.count(kind) for kind, size in target.memory_bits.items())
        if bits < demand.memory_bits:
            yield f"{bits} bits of block RAM for {demand.memory_bits} bits of activations and weights"
        for memory in self.memories:
            if memory.in_flip_flops and memory.bits > FLIP_FLOP_MEMORY_BITS:
                yield f"memory {memory.name} ({memory.depth} x {memory.width} bits) is built of flip-flops"


def read_netlist(folder: Path) -> Netlist:
    """The netlist that the yosys script left in ``folder``."""
    statistics = json.loads((folder / CELLS).read_text())
    in_flip_flops = {line.partition("/")[2] for line in (folder / LEFT_MEMORIES).read_text().split()}
    pattern = re.compile(r"^\s*cell \$mem_v2 \\?(\S+)$(.*?)^\s*end$", re.MULTILINE | re.DOTALL)
    memories = (
        Memory(name, _parameter("SIZE", body), _parameter("WIDTH", body), name in in_flip_flops)
        for name, body in pattern.findall((folder / MEMORIES).read_text())
    )
    return Netlist(statistics["design"]["num_cells_by_type"], tuple(memories))


def _parameter(name: str, cell: str) -> int:
    found = re.search(rf"^\s*parameter (?:signed )?\\{name} (\d+)$", cell, re.MULTILINE)
    if found is None:
        raise ValueError(f"a memory without a parameter {name}: {cell[:200]}")
    return int(found[1])
