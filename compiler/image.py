"""The image of a program: what the program memory holds, entries first, weights behind them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from compiler.descriptor import descriptor_layout
from compiler.entries import Entry
from compiler.errors import CompilerError
from hw.config import AcceleratorConfig
from hw.machine.program import ENTRY_MARK, ProgramEntry, ProgramImage, entry_words


@cache
def _entry_layout(config: AcceleratorConfig) -> tuple[ProgramEntry, int]:
    """The layout of an entry, and the words that it takes; made once."""
    return ProgramEntry(config.core, config.program_depth), entry_words(config.core, config.program_depth)


def image_words(entries: Sequence[Entry], config: AcceleratorConfig) -> int:
    """Words of program memory that the entries and their weights take."""
    _, words = _entry_layout(config)
    return len(entries) * words + sum(len(entry.weights) for entry in entries)


def room_for_more(entries: Sequence[Entry], config: AcceleratorConfig) -> int:
    """How many entries without weights fit beside these; 0 or less if these do not fit."""
    _, words = _entry_layout(config)
    return min(config.max_entries - len(entries), (config.program_depth - image_words(entries, config)) // words)


def make_image(name: str, entries: Sequence[Entry], config: AcceleratorConfig) -> ProgramImage:
    """Pack a program called `name`.

    Raises:
        CompilerError: it has too many entries, or is longer than the program memory.
    """
    if len(entries) > config.max_entries:
        raise CompilerError(
            f"{name}: its program has {len(entries)} entries, but max_entries of this configuration is "
            f"{config.max_entries}: raise it"
        )
    needed = image_words(entries, config)
    if needed > config.program_depth:
        weights = sum(len(entry.weights) for entry in entries)
        raise CompilerError(
            f"{name}: its program takes {needed:,} words of {config.core.lanes} bytes, {weights:,} of them weights, "
            f"but program_depth of this configuration is {config.program_depth:,}: raise it to {_power_above(needed):,}"
        )
    layout, words = _entry_layout(config)
    start = len(entries) * words
    parts = []
    descriptors = descriptor_layout(config.core)
    for entry in entries:
        length = len(entry.weights)
        fields = {
            "mark": ENTRY_MARK,
            "packet_beats": entry.packet_beats,
            "weights_start": start if length else 0,
            "weights_words": length,
            "layer": descriptors.from_bits(entry.descriptor),
        }
        parts.append(layout.const(fields).as_bits().to_bytes(words * config.core.lanes, "little"))
        start += length
    return ProgramImage(b"".join([*parts, *(entry.weights.tobytes() for entry in entries)]), len(entries))


def _power_above(value: int) -> int:
    return 1 << (value - 1).bit_length()
