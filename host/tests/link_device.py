"""The other end of a link for tests: a memory that answers requests, as scripted or by the protocol."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from host.framing import FrameDecoder, encode_frame
from hw.bus.host_bus import BusError
from hw.bus.protocol import PROTOCOL_VERSION, Command, RequestHeader, ResponseHeader, Status

LINK_WORDS = 4


def response(sequence: int, status: int = Status.OK, detail: int = 0, count: int = 0, words: bytes = b"") -> bytes:
    """A response as it is on the line."""
    fields = {"sequence": sequence, "status": status, "detail": detail, "count": count}
    return encode_frame(ResponseHeader().const(fields).as_bits().to_bytes(4, "little") + words)


class Device:
    """Carries out requests on a memory; knows no sequence numbers. `feed` gives its answer to what it receives.

    Parameters
    ----------
    version
        Of the protocol that it speaks.
    errors
        Bus errors by address.

    Attributes
    ----------
    memory : dict
        Words by address.
    requests : list
        (command, address, count) of all so far.
    """

    def __init__(self, version: int = PROTOCOL_VERSION, errors: dict[int, BusError] | None = None) -> None:
        self._decoder = FrameDecoder()
        self._version = version
        self._errors = errors or {}
        self.memory: dict[int, bytes] = {}
        self.requests: list[tuple[int, int, int]] = []

    def feed(self, received: bytes) -> bytes:
        return b"".join(self._answer(content) for content in self._decoder.feed(received))

    def _answer(self, content: bytes) -> bytes:
        header = RequestHeader().from_bits(int.from_bytes(content[:8], "little"))
        self.requests.append((header.command, header.address, header.count))
        if header.command == Command.SYNC:
            return response(header.sequence, detail=self._version, count=LINK_WORDS)
        words = b""
        for index in range(header.count):
            address = header.address + 4 * index
            if address in self._errors:
                return response(header.sequence, Status.BUS_ERROR, self._errors[address].value, index, words)
            if header.command == Command.WRITE:
                self.memory[address] = content[8 + 4 * index :][:4]
            else:
                words += self.memory.get(address, bytes(4))
        return response(header.sequence, count=header.count, words=words)


Script = Callable[[bytes, bytes], bytes]
"""What comes back, given what was sent and what the device says to it."""


class ScriptedTransport:
    """The way to a device, which changes what comes back: the first answers by the script, the others not at all.

    Attributes
    ----------
    written : list
        Everything that was sent.
    waits : list
        The time-outs of all reads.
    """

    def __init__(self, device: Device, script: Iterable[Script] = ()) -> None:
        self._device = device
        self._script = iter(script)
        self._waiting = b""
        self.written: list[bytes] = []
        self.waits: list[float] = []
        self.closed = False

    def __str__(self) -> str:
        return "test port"

    def write(self, data: bytes) -> None:
        self.written.append(data)
        answer = self._device.feed(data)
        change = next(self._script, None)
        self._waiting += answer if change is None else change(data, answer)

    def read(self, timeout: float) -> bytes:
        self.waits.append(timeout)
        data, self._waiting = self._waiting[:7], self._waiting[7:]
        return data

    def close(self) -> None:
        self.closed = True
