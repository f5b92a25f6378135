"""The host's side of what travels on a link: frames, requests and responses; see `hw.bus.protocol`."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Self

from hw.bus.host_bus import WORD_BYTES, BusError
from hw.bus.protocol import (
    CHECK_BYTES,
    ESCAPE,
    ESCAPED,
    FLAG,
    LARGEST_COUNT,
    REQUEST_HEADER_BYTES,
    RESPONSE_HEADER_BYTES,
    Command,
    RequestHeader,
    ResponseHeader,
    Status,
)

LONGEST_ON_LINE = 2 * (RESPONSE_HEADER_BYTES + LARGEST_COUNT * WORD_BYTES + CHECK_BYTES)
"""Bytes between the flags of the longest response that a link can give, if all of them are escaped."""

_FLAG, _ESCAPE = bytes([FLAG]), bytes([ESCAPE])


def encode_frame(content: bytes) -> bytes:
    """The bytes on a line of a frame with that content, with its CRC and a flag at each end."""
    checked = content + zlib.crc32(content).to_bytes(CHECK_BYTES, "little")
    for plain in (_ESCAPE, _FLAG):  # in this order: the second replacement brings new escapes
        checked = checked.replace(plain, bytes([ESCAPE, plain[0] ^ ESCAPED]))
    return _FLAG + checked + _FLAG


class FrameDecoder:
    """Finds the frames in the bytes of a line, whatever lies between them.

    Parameters
    ----------
    longest
        Bytes on the line, at most, between two flags; of what is longer, no more is kept.

    Attributes
    ----------
    damaged : int
        Pieces between two flags, so far, that were no whole frame.
    """

    def __init__(self, longest: int = LONGEST_ON_LINE) -> None:
        self._longest = longest
        self._piece = bytearray()
        self._started = False
        self.damaged = 0

    def feed(self, received: bytes) -> list[bytes]:
        """The contents, without CRC, of the frames that those bytes complete."""
        contents = []
        *pieces, rest = received.split(_FLAG)
        for piece in pieces:
            self._keep(piece)
            if self._piece and (content := self._content()) is not None:
                contents.append(content)
            self._piece.clear()
            self._started = True
        self._keep(rest)
        return contents

    def _keep(self, part: bytes) -> None:
        if self._started:
            self._piece += part[: self._longest + 1 - len(self._piece)]

    def _content(self) -> bytes | None:
        """The content of what lies between two flags, None if it is no whole frame."""
        frame = _unescape(self._piece) if len(self._piece) <= self._longest else b""
        content, check = frame[:-CHECK_BYTES], frame[-CHECK_BYTES:]
        if len(check) == CHECK_BYTES and zlib.crc32(content) == int.from_bytes(check, "little"):
            return content
        self.damaged += 1
        return None


def _unescape(piece: bytes | bytearray) -> bytes:
    """The bytes that were escaped so; none if the frame was aborted."""
    first, *others = bytes(piece).split(_ESCAPE)
    if not all(others):
        return b""
    return b"".join([first, *(bytes([part[0] ^ ESCAPED]) + part[1:] for part in others)])


def request_content(sequence: int, command: int, address: int, count: int, payload: bytes) -> bytes:
    """The content of the frame of a request; `payload` are the words of a WRITE."""
    fields = {"sequence": sequence, "command": command, "count": count, "address": address}
    return RequestHeader().const(fields).as_bits().to_bytes(REQUEST_HEADER_BYTES, "little") + payload


@dataclass(frozen=True)
class Response:
    """A response: the fields of `ResponseHeader`, and the words that were read."""

    sequence: int
    status: Status
    detail: int
    count: int
    words: bytes

    @classmethod
    def parse(cls, content: bytes) -> Self | None:
        """The response that is the content of a frame; None if it is none."""
        header = ResponseHeader().from_bits(int.from_bytes(content[:RESPONSE_HEADER_BYTES], "little"))
        words = content[RESPONSE_HEADER_BYTES:]
        try:
            response = cls(header.sequence, Status(header.status), header.detail, header.count, words)
            if response.status == Status.BUS_ERROR:
                BusError(response.detail)
        except ValueError:
            return None
        is_whole = len(content) >= RESPONSE_HEADER_BYTES and len(words) in (0, header.count * WORD_BYTES)
        return response if is_whole else None

    def answers(self, command: Command, count: int) -> bool:
        """Whether this can be the answer to such a request, given that it has its sequence number."""
        if self.status not in (Status.OK, Status.BUS_ERROR):
            return command != Command.SYNC or self.status != Status.OUT_OF_SEQUENCE
        if command == Command.SYNC:
            return self.status == Status.OK and self.detail != 0 and self.count != 0 and not self.words
        words = self.count * WORD_BYTES if command == Command.READ else 0
        is_whole = self.count == count if self.status == Status.OK else self.count < count
        return is_whole and len(self.words) == words and (self.detail != 0) == (self.status == Status.BUS_ERROR)
