"""What the asker of a live simulation sends to it, over a socket: bytes for the core, or a reset.

A message is a byte that says what it is (`Command`), the length of its data in four bytes, least significant first, and
the data. What comes back is the core's bytes, as they are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum

_HEAD = struct.Struct("<BI")


class Command(IntEnum):
    """`BYTES`: for the core. `RESET`: a pulse on its reset; bytes sent before that it has not taken are dropped."""

    BYTES = 0
    RESET = 1


def message(command: Command, data: bytes = b"") -> bytes:
    """A message as it is sent."""
    return _HEAD.pack(command, len(data)) + data


class Reader:
    """Puts the messages together again."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def read(self, received: bytes) -> Iterator[tuple[Command, bytes]]:
        """The messages that are complete with what has just been received."""
        self._buffer += received
        while len(self._buffer) >= _HEAD.size:
            command, length = _HEAD.unpack_from(self._buffer)
            end = _HEAD.size + length
            if len(self._buffer) < end:
                return
            data = bytes(self._buffer[_HEAD.size : end])
            del self._buffer[:end]
            yield Command(command), data
