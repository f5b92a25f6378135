"""A program: its entries, as the compiler packs and the machine reads them, and its image."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from amaranth.lib import data

from hw.config import AcceleratorConfig, ConfigurationError, CoreConfig
from hw.control.descriptor import LayerDescriptor

ENTRY_MARK = 0xA5
"""Begins every entry, so that weights or an erased memory are not taken for one."""


def most_packet_beats(config: CoreConfig) -> int:
    """Beats of the longest dense row of a map that fits in the activation memory."""
    return -(-config.activation_words * config.word_elements // config.stream_units)


class ProgramEntry(data.StructLayout):
    """An entry of a program: a layer, and where its weights are.

    `mark`: `ENTRY_MARK`. `packet_beats`: for a LOAD, the beats of each of its packets, which are dense, one a row;
    otherwise 0. `weights_start`, `weights_words`: where in the program memory the layer's stream of weights is, and its
    length, in words; a LOAD or STORE has none.
    """

    def __init__(self, config: CoreConfig, program_depth: int) -> None:
        super().__init__(
            {
                "mark": 8,
                "packet_beats": range(most_packet_beats(config) + 1),
                "weights_start": range(program_depth),
                "weights_words": range(program_depth + 1),
                "layer": LayerDescriptor(config),
            }
        )


def entry_words(config: CoreConfig, program_depth: int) -> int:
    """Words of the program memory that an entry takes, least significant first. Entry i begins at word i times that."""
    return -(-ProgramEntry(config, program_depth).size // (8 * config.lanes))


@dataclass(frozen=True)
class ProgramImage:
    """What the program memory holds: `entries` entries from word 0 on, and their weights behind them."""

    data: bytes
    entries: int

    @property
    def checksum(self) -> int:
        """CRC-32 of all of it."""
        return zlib.crc32(self.data)

    def words(self, config: AcceleratorConfig) -> list[int]:
        """Its words of `lanes` bytes.

        Raises
        ------
        ConfigurationError
            It is not a whole number of words, or longer than the program memory.
        """
        lanes = config.core.lanes
        if len(self.data) % lanes or not 0 < len(self.data) <= config.program_bytes:
            raise ConfigurationError(
                f"the program image has {len(self.data)} bytes: give whole words of {lanes} bytes, "
                f"at most {config.program_bytes} bytes, or a larger program_depth"
            )
        return [int.from_bytes(self.data[start : start + lanes], "little") for start in range(0, len(self.data), lanes)]
