"""An accelerator as its bus shows it: registers, program memory, windows, counters.

What a program is, and what its tensors are, is `host.driver`'s business.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from compiler.errors import SkipstoneError
from host.link import BusAccessError, Link
from hw.bus.host_bus import WORD_BYTES, Region
from hw.config import COUNTER_RECORD_BYTES
from hw.machine import registers
from hw.machine.counters import RECORD_WORDS, counter_fields
from hw.machine.register import Register
from hw.machine.registers import RunError

POLL_SECONDS = (0.001, 0.05)
"""Between two looks at the state: to begin with, and at most."""

MEANING = {
    RunError.START_WHILE_BUSY: "it was started while a run was under way: let one program at a time use it",
    RunError.NO_PROGRAM: "it was started without a verified program: load one first",
    RunError.CHECKSUM: "its program memory does not hold what was sent: load the program again",
    RunError.BAD_ENTRY: "the entry is no description of a layer: compile the program again",
    RunError.RANGE: "the entry reaches beyond a memory or the program: compile it for this configuration",
    RunError.PACKET: "a row of the input was too short or too long",
    RunError.INTERNAL: "a word of the activation memory was read while it was written: a fault of the hardware",
}
"""What each error of the machine means to the user."""


class AcceleratorError(SkipstoneError):
    """An accelerator that cannot be used, or that stopped; the message says what to do."""


class StoppedError(AcceleratorError):
    """The machine stopped.

    Parameters
    ----------
    message
        The one line.
    code
        The machine's reason.
    entry
        The entry that failed; None if the reason is no entry's.
    """

    def __init__(self, message: str, code: RunError, entry: int | None) -> None:
        super().__init__(message)
        self.code = code
        self.entry = entry


@dataclass(frozen=True)
class Identity:
    """What an accelerator says of itself: see the registers of these names."""

    version: tuple[int, int]
    fingerprint: int
    groups: int
    lanes: int
    program_depth: int
    activation_words: int
    link_words: int


@dataclass(frozen=True)
class Status:
    """The bits of the register `STATUS`."""

    busy: bool
    done: bool
    failed: bool
    program_valid: bool
    verifying: bool
    waits_for_input: bool
    has_output: bool


class Device:
    """The registers and windows of an accelerator behind a link.

    Parameters
    ----------
    link
        The way to it.
    name
        Of the port, for messages.
    timeout
        Seconds after which something that the device has been told to do is taken for hung.
    """

    def __init__(self, link: Link, name: str, timeout: float) -> None:
        self._link = link
        self._name = name
        self._timeout = timeout

    def __str__(self) -> str:
        return self._name

    def close(self) -> None:
        """Close the way to it."""
        self._link.close()

    def get(self, register: Register) -> int:
        """A register's 32 bits."""
        return int(self._link.read(register.address, 1)[0])

    def set(self, register: Register, **fields: int) -> None:
        """Write a register: these fields, all others 0."""
        self._link.write(register.address, np.array([register.encode(**fields)], np.uint32))

    def identify(self) -> Identity:
        """Look at the registers that do not change.

        Raises
        ------
        AcceleratorError
            The device is no Skipstone accelerator, or one of another generation.
        """
        identity = self.get(registers.IDENTITY)
        if identity != registers.IDENTITY_VALUE:
            raise AcceleratorError(
                f"{self}: the device answers, but is no Skipstone accelerator (identity {identity:#010x}, "
                f"not {registers.IDENTITY_VALUE:#010x}): check the port"
            )
        version, known = self.get(registers.VERSION), registers.VERSION_VALUE
        major, minor = version >> 16, version & 0xFFFF
        if major != known >> 16:
            raise AcceleratorError(
                f"{self}: the accelerator's registers are of version {major}.{minor}, but this driver knows "
                f"{known >> 16}.x: build it and the program with the same release"
            )
        return Identity(
            (major, minor),
            fingerprint=self.get(registers.FINGERPRINT),
            groups=self.get(registers.GROUPS),
            lanes=self.get(registers.LANES),
            program_depth=self.get(registers.PROGRAM_DEPTH),
            activation_words=self.get(registers.ACTIVATION_WORDS),
            link_words=self.get(registers.LINK_WORDS),
        )

    def status(self) -> Status:
        """What the machine does."""
        fields = registers.STATUS.decode(self.get(registers.STATUS))
        return Status(**{name: bool(value) for name, value in fields.items()})

    def clear(self) -> None:
        """End what is under way and forget an error; memories and registers keep what they hold."""
        self.set(registers.CONTROL, clear=1)

    def start(self, first: int, last: int) -> None:
        """Start a run of entries `first` to `last`."""
        self.set(registers.FIRST, entry=first)
        self.set(registers.LAST, entry=last)
        self.set(registers.CONTROL, start=1)

    def write_program(self, image: bytes, on_progress: Callable[[int], None]) -> None:
        """Write the program memory from its start; `on_progress` gets the bytes that have been written."""
        words = _words(image)
        step = self._link.link_words
        for at in range(0, len(words), step):
            part = words[at : at + step]
            self._link.write(Region.PROGRAM.base + WORD_BYTES * at, part)
            on_progress(min(WORD_BYTES * (at + len(part)), len(image)))

    def verify(self, words: int, checksum: int, entries: int) -> None:
        """Let the machine compare the program memory with its checksum, and wait for the result.

        Raises
        ------
        StoppedError
            They do not agree.
        """
        self.set(registers.PROGRAM_WORDS, words=words)
        self.set(registers.PROGRAM_CHECKSUM, value=checksum)
        self.set(registers.ENTRIES, count=entries)
        self.set(registers.CONTROL, verify=1)
        self.wait("verify the program", lambda status: not status.verifying)

    def holds(self, words: int, checksum: int, entries: int) -> bool:
        """Whether the machine has verified a program of this length, checksum and number of entries already."""
        held = (registers.PROGRAM_WORDS, registers.PROGRAM_CHECKSUM, registers.ENTRIES)
        return self.status().program_valid and [self.get(register) for register in held] == [words, checksum, entries]

    def put(self, packets: bytes) -> None:
        """Write input packets to a run that is under way."""
        self.wait("take its input", lambda status: status.waits_for_input)
        self._window(lambda: self._link.write(Region.INPUT.base, _words(packets)))

    def take(self, count: int) -> bytes:
        """Read so many bytes of the output packets of a run that is under way."""
        self.wait("give its output", lambda status: status.has_output)
        words: list[npt.NDArray[np.uint32]] = []
        self._window(lambda: words.append(self._link.read(Region.OUTPUT.base, -(-count // WORD_BYTES))))
        return words[0].astype("<u4").tobytes()[:count]

    def _window(self, transfer: Callable[[], None]) -> None:
        """A transfer through a window; if the run has failed meanwhile, that is the error to tell."""
        try:
            transfer()
        except BusAccessError:
            self._check(self.status())
            raise

    def counters(self, first: int, last: int) -> list[dict[str, int]]:
        """The counters of entries `first` to `last` when they ran last, each by the names of `LayerReport`."""
        words = self._link.read(Region.COUNTERS.base + first * COUNTER_RECORD_BYTES, (last - first + 1) * RECORD_WORDS)
        names = counter_fields()
        return [dict(zip(names, map(int, record), strict=False)) for record in words.reshape(-1, RECORD_WORDS)]

    def wait(self, what: str, happened: Callable[[Status], bool]) -> Status:
        """Wait until something has happened.

        Raises
        ------
        StoppedError
            The machine has stopped.
        AcceleratorError
            It takes too long.
        """
        deadline = time.monotonic() + self._timeout
        pause = POLL_SECONDS[0]
        while True:
            status = self.status()
            self._check(status)
            if happened(status):
                return status
            if time.monotonic() > deadline:
                raise AcceleratorError(f"{self}: the accelerator did not {what} within {self._timeout:g} s: reset it")
            time.sleep(pause)
            pause = min(2 * pause, POLL_SECONDS[1])

    def _check(self, status: Status) -> None:
        """Raise the error that the machine has stopped for, if it has."""
        if not status.failed:
            return
        code = RunError(self.get(registers.ERROR))
        entry = None if code in (RunError.NO_PROGRAM, RunError.CHECKSUM) else self.get(registers.FAILED_ENTRY)
        raise StoppedError(f"{self}: the accelerator stopped with {code.name}: {MEANING[code]}", code, entry)


def _words(data: bytes) -> npt.NDArray[np.uint32]:
    """Bytes as words of the bus, least significant first; the last one is filled up with zeros."""
    return np.frombuffer(data + bytes(-len(data) % WORD_BYTES), "<u4")
