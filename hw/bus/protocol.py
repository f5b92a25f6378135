"""What travels on a link: frames, requests and responses. The driver packs with these very layouts.

A frame is framed as RFC 1662 does for octet-stuffed links: flags around it, flags and escapes within it escaped, its
CRC-32 at the end, least significant byte first::

    FLAG  request or response  CRC (4)  FLAG

A request is `RequestHeader`, followed by `count` words if it is a WRITE; a response is `ResponseHeader`, followed by
`count` words if it answers a READ. Words are 32 bits, least significant byte first. Links are stop and wait: the host
sends the next request when it has the response to the one before.
"""

from __future__ import annotations

from enum import IntEnum

from amaranth.hdl import Shape
from amaranth.lib import crc, data

FLAG = 0x7E
"""Begins and ends a frame; one flag may do both."""

ESCAPE = 0x7D
"""The next byte is XORed with `ESCAPED`. Followed by a flag, it aborts the frame."""

ESCAPED = 0x20

FRAME_CHECK = crc.catalog.CRC32_ISO_HDLC
"""The CRC of a frame, over all that comes before it, unescaped: that of zlib."""

CHECK_BYTES = FRAME_CHECK.crc_width // 8

PROTOCOL_VERSION = 1
"""Told in the response to SYNC; 1 to 15."""


class Command(IntEnum):
    """What a request asks for.

    `SYNC`: expect the sequence number after this one's from now on. `WRITE`, `READ`: `count` words of the host bus, at
    ascending addresses from `address` on.
    """

    SYNC = 1
    WRITE = 2
    READ = 3


class Status(IntEnum):
    """How a request went. No command has such a number, so that an echo is never taken for an answer.

    `OK`: all of it is done. `BUS_ERROR`: so far, and then the bus gave an error. After all others nothing is done, and
    nothing is kept. `BAD_COMMAND`: no such command, or the length of the frame is not what its header says.
    `TOO_LONG`: more words than the link can hold. `DAMAGED`: the CRC is wrong, or the frame was aborted or has no whole
    header. `OUT_OF_SEQUENCE`: the sequence number is neither the one expected nor the one before, or no SYNC has come
    since reset.
    """

    OK = 8
    BUS_ERROR = 9
    BAD_COMMAND = 10
    TOO_LONG = 11
    DAMAGED = 12
    OUT_OF_SEQUENCE = 13


class RequestHeader(data.StructLayout):
    """What is asked for, how much, and where.

    `sequence`: number of the request, modulo 256; `command`: `Command`; `count`: words; `address`: of the first word,
    in bytes. For SYNC, `count` is 0 and `address` means nothing.
    """

    def __init__(self) -> None:
        super().__init__({"sequence": 8, "command": 8, "count": 16, "address": 32})


class ResponseHeader(data.StructLayout):
    """`sequence`: that of the request, as it was received; `status`: `Status`; `detail`, `count`: see below.

    | response | `detail` | `count` |
    |---|---|---|
    | OK, to SYNC | `PROTOCOL_VERSION` | words that a frame can carry |
    | OK, to WRITE and READ | 0 | words written or read: all |
    | BUS_ERROR | the bus's `BusError` | words written or read before the one with the error: its index |
    | others | 0 | 0 |

    The words that were read follow a READ's BUS_ERROR, too.
    """

    def __init__(self) -> None:
        super().__init__({"sequence": 8, "status": Status, "detail": 4, "count": 16})


LARGEST_COUNT = (1 << Shape.cast(RequestHeader()["count"].shape).width) - 1
"""Words that a header can count."""

REQUEST_HEADER_BYTES = RequestHeader().size // 8
RESPONSE_HEADER_BYTES = ResponseHeader().size // 8
