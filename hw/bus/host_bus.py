"""The host bus: 32-bit words, one request at a time answered by one response, in order."""

from __future__ import annotations

from enum import IntEnum

from amaranth import unsigned
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import REGION_BYTES

WORD_BYTES = 4
"""Bytes of a word of the bus; addresses count bytes and are multiples of it."""

DATA_BITS = 8 * WORD_BYTES
ADDRESS_BITS = 24

REGION_BITS = (REGION_BYTES - 1).bit_length()
"""Each region of the address map takes 2**REGION_BITS bytes."""


class Region(IntEnum):
    """What lies behind an address: the bits of the address from `REGION_BITS` up.

    `REGISTERS`: see `hw.machine.registers`. `PROGRAM`: the program memory, write-only. `INPUT`: write-only; each word
    written, at any address, is the next of the input packets. `OUTPUT`: read-only; each word read, at any address, is
    the next of the output packets. `COUNTERS`: read-only, `COUNTER_RECORD_BYTES` for each program entry, of which each
    field of `LayerReport` takes a word (see `hw.machine.counters`).
    """

    REGISTERS = 0
    PROGRAM = 1
    INPUT = 2
    OUTPUT = 3
    COUNTERS = 4

    @property
    def base(self) -> int:
        """Byte address of its first word."""
        return self.value << REGION_BITS


class BusError(enum.Enum, shape=unsigned(3)):  # type: ignore[call-arg]  # Amaranth's own
    """Whether a request was served, and if not, why; what is not served changes nothing.

    `ADDRESS`: nothing is there. `DIRECTION`: a write to what is read-only, or a read of what is write-only.
    `TIMEOUT`: an input window had no room, or an output window no word, for `WINDOW_TIMEOUT` cycles. `STATE`: no run
    is under way that could serve it, or a register must not be written now.
    """

    OK = 0
    ADDRESS = 1
    DIRECTION = 2
    TIMEOUT = 3
    STATE = 4


WINDOW_TIMEOUT = 2**16
"""Cycles for which a window waits before it gives up."""


class BusRequest(data.StructLayout):
    """`address`: of a byte, the first of a word; `write`: or else a read, for which `data` means nothing."""

    def __init__(self) -> None:
        super().__init__({"address": ADDRESS_BITS, "write": 1, "data": DATA_BITS})


class BusResponse(data.StructLayout):
    """`data`: what was read, without meaning after a write or an error; `error`: `BusError`."""

    def __init__(self) -> None:
        super().__init__({"data": DATA_BITS, "error": BusError})


class HostBus(wiring.Signature):
    """The bus as its master sees it; a target has `In(HostBus())`.

    The master may offer a request before the response to the one before has come; the target need not take it. The
    target takes as long as it needs, but always answers.

    Members
    -------
    request
        Out stream of `BusRequest`.
    response
        In stream of `BusResponse`, one for each request, in order.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "request": Out(stream.Signature(BusRequest())),
                "response": In(stream.Signature(BusResponse())),
            }
        )
