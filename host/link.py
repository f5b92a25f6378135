"""The link to an accelerator: words of its bus written and read, over a transport that may fail now and then.

    with Link(open_transport("/dev/ttyUSB0")) as link:
        link.write(Region.PROGRAM.base, image)
        (status,) = link.read(address, 1)

The other end is `hw.bus.link.HostLink`. Stop and wait: a request that is not answered, or whose answer is damaged, is
sent again with the same sequence number, and so carried out once.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from compiler.errors import SkipstoneError
from host.framing import LONGEST_ON_LINE, FrameDecoder, Response, encode_frame, request_content
from host.transport import Transport
from hw.bus.host_bus import WORD_BYTES, BusError
from hw.bus.protocol import PROTOCOL_VERSION, Command, Status

Words = bytes | bytearray | Sequence[int] | np.ndarray
"""Words of 32 bits: as integers, in an array with at least 32 bits an element or in any other sequence; or as their
bytes, least significant first."""

SETTLE_SECONDS = 0.05
"""How long the line must be silent until nothing more is under way. USB serial adapters keep bytes back for less."""

_NOISE_BYTES = 2 * LONGEST_ON_LINE
"""After so many bytes without the answer that it waits for, the link no longer waits for their end."""

_SEQUENCES = 256

_BUS_REASONS = {
    BusError.ADDRESS: "nothing is there",
    BusError.DIRECTION: "what is there cannot be {done}",
    BusError.TIMEOUT: "the accelerator was not ready for it in time",
    BusError.STATE: "not possible in the state that the accelerator is in",
}


class LinkError(SkipstoneError):
    """The device cannot be talked to. The message names the port."""


class SilentDeviceError(LinkError):
    """Nothing answers."""


class WrongDeviceError(LinkError):
    """What answers is no accelerator, or not one for this driver."""


class BusAccessError(LinkError):
    """The accelerator refused a word. The words before it have been written or read, those after it have not.

    Attributes
    ----------
    address : int
        Byte address of the word.
    code : BusError
        Why.
    """

    def __init__(self, port: str, command: Command, address: int, code: BusError) -> None:
        done = "written" if command == Command.WRITE else "read"
        reason = _BUS_REASONS[code].format(done=done)
        super().__init__(f"{port}: address {address:#08x} could not be {done}: {reason} (bus error {code.name})")
        self.address = address
        self.code = code


class Link:
    """Writes and reads words of an accelerator's bus.

    The first transfer brings both sides to one sequence number (`sync`), and so does the first one after a failure. An
    error other than `BusAccessError` leaves open whether the last frame has been carried out.

    Parameters
    ----------
    transport
        The way to the device. `close` closes it.
    timeout
        Seconds of silence after which a request is sent again: more than a frame takes on the line, and the device for
        it. If it was too short, nothing is lost but time.
    attempts
        How often a request is sent at most.

    Attributes
    ----------
    repeats : int
        Requests sent again so far.
    """

    def __init__(self, transport: Transport, *, timeout: float = 1.0, attempts: int = 5) -> None:
        self._transport = transport
        self._timeout = timeout
        self._attempts = attempts
        self._decoder = FrameDecoder()
        self._sequence = 0
        self._link_words = 0
        self.repeats = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the transport."""
        self._transport.close()

    def sync(self) -> None:
        """Agree with the device on a sequence number, whatever either has seen before.

        Raises
        ------
        SilentDeviceError
            Nothing answers.
        WrongDeviceError
            What answers is no accelerator, or not one for this driver.
        LinkError
            The line damages too much.
        TransportError
            The way is gone.
        """
        # No answer to an earlier program must be taken for one to this: wait until they are over, count from anywhere.
        self._link_words = 0
        self._wait_for_silence()
        self._sequence = secrets.randbelow(_SEQUENCES)
        response = self._request(Command.SYNC)
        if response.detail != PROTOCOL_VERSION:
            raise WrongDeviceError(
                f"{self._transport}: the accelerator speaks version {response.detail} of the link's protocol, this "
                f"driver version {PROTOCOL_VERSION}: take both from one release"
            )
        self._link_words = response.count

    @property
    def link_words(self) -> int:
        """Words that a frame can carry, as the device says. May `sync`, and raise what that raises."""
        if not self._link_words:
            self.sync()
        return self._link_words

    def write(self, address: int, words: Words) -> None:
        """Write words, at ascending byte addresses from `address` on.

        Raises
        ------
        BusAccessError
            The accelerator refused a word.
        ValueError
            The address is not that of a word, or the words are none of 32 bits.
        SilentDeviceError, WrongDeviceError, LinkError, TransportError
            As for `sync`.
        """
        content = _to_bytes(words)
        for start, count in self._frames(address, len(content) // WORD_BYTES):
            offset = start - address
            self._transfer(Command.WRITE, start, count, content[offset : offset + count * WORD_BYTES])

    def read(self, address: int, count: int) -> np.ndarray:
        """Read `count` words, at ascending byte addresses from `address` on: uint32, shape (count,).

        Raises what `write` raises. What was read before a word that was refused is lost.
        """
        frames = self._frames(address, count)
        content = b"".join(self._transfer(Command.READ, start, part) for start, part in frames)
        return np.frombuffer(content, "<u4").astype(np.uint32)

    def _frames(self, address: int, words: int) -> Iterator[tuple[int, int]]:
        """The byte address and the number of words of each frame of a transfer."""
        if address % WORD_BYTES or not 0 <= address < 1 << 32:
            raise ValueError(f"address {address:#x}: give a multiple of {WORD_BYTES} that has 32 bits")
        most = self.link_words
        for done in range(0, words, most):
            yield address + done * WORD_BYTES, min(most, words - done)

    def _transfer(self, command: Command, address: int, count: int, payload: bytes = b"") -> bytes:
        """Carry out one frame; returns the words read."""
        response = self._request(command, address, count, payload)
        if response.status == Status.BUS_ERROR:
            failed = address + response.count * WORD_BYTES
            raise BusAccessError(str(self._transport), command, failed, BusError(response.detail))
        return response.words

    def _request(self, command: Command, address: int = 0, count: int = 0, payload: bytes = b"") -> Response:
        """Send a request until it is answered."""
        self._sequence = (self._sequence + 1) % _SEQUENCES
        content = request_content(self._sequence, command, address, count, payload)
        heard = _Heard()
        for attempt in range(self._attempts):
            self.repeats += attempt > 0
            self._transport.write(encode_frame(content))
            for received in self._listen(heard, content):
                if received.sequence == self._sequence and received.answers(command, count):
                    return self._checked(received)
        self._link_words = 0
        raise self._failure(heard)

    def _listen(self, heard: _Heard, request: bytes) -> Iterator[Response]:
        """The responses that arrive until the line is silent, but those that say that something was damaged."""
        wait, noise = self._timeout, 0
        while noise < _NOISE_BYTES and (received := self._transport.read(wait)):
            noise += len(received)
            heard.something = True
            for content in self._decoder.feed(received):
                response = Response.parse(content)
                heard.itself |= content == request
                heard.responses |= response is not None
                if response is not None and response.status == Status.DAMAGED:
                    # That need not have been the request: its answer may still follow, but is not waited for as long.
                    wait = min(wait, SETTLE_SECONDS)
                elif response is not None:
                    yield response

    def _wait_for_silence(self) -> None:
        noise = 0
        while noise < _NOISE_BYTES and (received := self._transport.read(SETTLE_SECONDS)):
            noise += len(received)

    def _checked(self, response: Response) -> Response:
        """The response to a request that has been carried out; raises if it was refused whole."""
        if response.status in (Status.OK, Status.BUS_ERROR):
            return response
        self._link_words = 0
        if response.status == Status.OUT_OF_SEQUENCE:
            raise LinkError(
                f"{self._transport}: the accelerator has lost count of the requests: it was reset, or another program "
                "uses it: end that, and start again"
            )
        raise WrongDeviceError(
            f"{self._transport}: the accelerator refuses a request ({response.status.name}): take it and this driver "
            "from one release"
        )

    def _failure(self, heard: _Heard) -> LinkError:
        """Why a request was not answered."""
        port = self._transport
        if not heard.something:
            return SilentDeviceError(f"{port}: no answer: connect the accelerator, and check its power and bitstream")
        if heard.itself:
            return WrongDeviceError(
                f"{port}: what is sent comes back: connect the accelerator's rx and tx, not each other"
            )
        if not heard.responses:
            return WrongDeviceError(f"{port}: what answers is no accelerator, or not at this baud rate: check both")
        return LinkError(
            f"{port}: no whole answer in {self._attempts} attempts: the line damages too much; try a lower baud rate"
        )


@dataclass
class _Heard:
    """What came in answer to a request: anything; the request itself; a response of any kind."""

    something: bool = False
    itself: bool = False
    responses: bool = False


def _to_bytes(words: Words) -> bytes:
    """Words as bytes, least significant first."""
    if isinstance(words, bytes | bytearray):
        if len(words) % WORD_BYTES:
            raise ValueError(f"{len(words)} bytes to write: give a multiple of {WORD_BYTES}")
        return bytes(words)
    array = np.asarray(words)
    if isinstance(words, np.ndarray) and array.itemsize < WORD_BYTES:
        raise ValueError(f"an array of {array.dtype} to write: give words of 32 bits, or bytes")
    if array.size and (array.dtype.kind not in "iu" or array.min() < 0 or array.max() >= 1 << 32):
        raise ValueError("words to write: give integers from 0 to 2**32 - 1")
    return array.astype("<u4").tobytes()
