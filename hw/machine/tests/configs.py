"""Small accelerators for the tests of the machine."""

from __future__ import annotations

import random
from typing import Any

from hw.config import AcceleratorConfig, CoreConfig
from hw.machine.program import ENTRY_MARK, ProgramEntry, ProgramImage, entry_words
from sim.harness.payload import pack


def small_config(lanes: int = 4, *, program_depth: int = 256, max_entries: int = 6, **core: Any) -> AcceleratorConfig:
    """An accelerator with little memory."""
    parameters = {"activation_depth": 16, "weight_depth": 64, "max_size": 15, "max_channels": 40, "stream_units": 8}
    return AcceleratorConfig(
        CoreConfig.sized(2, lanes).with_changes(**(parameters | core)),
        program_depth=program_depth,
        max_entries=max_entries,
        link_words=8,
    )


def entry(operation: Any, *, weights: tuple[int, int] = (0, 0), packet_beats: int = 0, **layer: Any) -> dict:
    """An entry with `weights` (start, words) and fields of its layer."""
    return {
        "mark": ENTRY_MARK,
        "packet_beats": packet_beats,
        "weights_start": weights[0],
        "weights_words": weights[1],
        "layer": {"operation": operation, **layer},
    }


def image(config: AcceleratorConfig, entries: list[dict], weights: list[int]) -> ProgramImage:
    """A program of entries with those weight words behind them."""
    layout, lanes = ProgramEntry(config.core, config.program_depth), config.core.lanes
    size = entry_words(config.core, config.program_depth) * lanes
    parts = [pack(layout, fields).to_bytes(size, "little") for fields in entries]
    parts += [word.to_bytes(lanes, "little") for word in weights]
    return ProgramImage(b"".join(parts), len(entries))


def random_words(rng: random.Random, config: AcceleratorConfig, count: int) -> list[int]:
    """Words of the program memory."""
    return [rng.getrandbits(8 * config.core.lanes) for _ in range(count)]
