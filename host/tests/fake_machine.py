"""A machine without hardware: what the bus shows of an accelerator, in Python, for tests of the driver.

It follows the contracts of `hw.machine.registers` and `hw.bus.host_bus`, and knows nothing of the driver. What an entry
does to the tensors is the test's to say.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from host.link import BusAccessError
from hw.bus.host_bus import REGION_BITS, WORD_BYTES, BusError, Region
from hw.bus.protocol import Command
from hw.config import AcceleratorConfig
from hw.control.descriptor import Operation
from hw.machine import registers
from hw.machine.counters import RECORD_WORDS
from hw.machine.register import Access
from hw.machine.registers import RunError

Answer = tuple[int, Any]
"""Data and `BusError`."""

_BY_ADDRESS = {register.address: register for register in registers.REGISTERS}


class FakeEntry(NamedTuple):
    """A LOAD takes `size` bytes as tensor `tensor`; a STORE gives that tensor; any other entry computes it."""

    operation: Operation
    tensor: str
    size: int = 0


class FakeMachine:
    """The bus of an accelerator. It works through its entries whenever the host looks, as far as it can.

    Parameters
    ----------
    config
        What it claims to be.
    entries
        What it runs, whatever program is loaded.
    compute
        Gives the bytes of the tensor that an entry computes, from all tensors in memory.

    Attributes
    ----------
    broken
        The entry that fails when it is run, and why; a test sets it.
    hangs
        It never gets further; a test sets it.
    """

    def __init__(
        self,
        config: AcceleratorConfig,
        entries: Sequence[FakeEntry],
        compute: Callable[[FakeEntry, dict[str, bytes]], bytes],
    ) -> None:
        self.config = config
        self.entries = entries
        self.compute = compute
        self.memory: dict[str, bytes] = {}
        self.program = bytearray(config.program_bytes)
        self.broken: tuple[int, Any] | None = None
        self.hangs = False
        self.starts: list[tuple[int, int]] = []
        self.written: list[int] = []
        self.values = {register.address: register.reset or 0 for register in registers.REGISTERS}
        core = config.core
        for register, value in (
            (registers.FINGERPRINT, config.fingerprint),
            (registers.GROUPS, core.groups),
            (registers.LANES, core.lanes),
            (registers.PROGRAM_DEPTH, config.program_depth),
            (registers.ACTIVATION_WORDS, core.activation_words),
            (registers.LINK_WORDS, config.link_words),
        ):
            self.values[register.address] = value
        self.counters = np.zeros((config.max_entries, RECORD_WORDS), np.uint32)
        self._valid = False
        self._clear()

    def _clear(self) -> None:
        self.busy = self.done = self.failed = False
        self._error: Any = RunError.NONE
        self._failed_entry = 0
        self._at = 0
        self._input = bytearray()
        self._output = bytearray()

    def access(self, address: int, write: bool, data: int = 0) -> Answer:
        """A request of the bus and its response."""
        try:
            region = Region(address >> REGION_BITS)
        except ValueError:
            return 0, BusError.ADDRESS
        offset = address - region.base
        served = {
            Region.REGISTERS: self._register,
            Region.PROGRAM: self._program,
            Region.INPUT: self._input_word,
            Region.OUTPUT: self._output_word,
            Region.COUNTERS: self._counter,
        }[region](offset, write, data)
        self._work()
        return served

    def _register(self, offset: int, write: bool, data: int) -> Answer:
        register = _BY_ADDRESS.get(offset)
        if register is None:
            return 0, BusError.ADDRESS
        if register.access in ({Access.RO} if write else {Access.WO}):
            return 0, BusError.DIRECTION
        if not write:
            return self._value(offset), BusError.OK
        if register.locked and self.busy:
            return 0, BusError.STATE
        if register is registers.CONTROL:
            self._control(register.decode(data))
        else:
            self.values[offset] = data
            if register in (registers.PROGRAM_WORDS, registers.PROGRAM_CHECKSUM):
                self._valid = False
        return 0, BusError.OK

    def _value(self, offset: int) -> int:
        if offset == registers.STATUS.address:
            return registers.STATUS.encode(
                busy=self.busy,
                done=self.done,
                failed=self.failed,
                program_valid=self._valid,
                waits_for_input=self._waits,
                has_output=bool(self._output),
            )
        if offset == registers.ERROR.address:
            return self._error.value
        if offset == registers.FAILED_ENTRY.address:
            return self._failed_entry
        return self.values[offset]

    def _control(self, bits: dict[str, int]) -> None:
        if bits["clear"]:
            self._clear()
        elif self.failed:
            return
        elif self.busy:
            self._fail(RunError.START_WHILE_BUSY, self._at)
        elif bits["verify"]:
            image = bytes(self.program[: self.values[registers.PROGRAM_WORDS.address] * self.config.core.lanes])
            self._valid = zlib.crc32(image) == self.values[registers.PROGRAM_CHECKSUM.address]
            if not self._valid:
                self._fail(RunError.CHECKSUM, 0)
        elif bits["start"]:
            self._start()

    def _start(self) -> None:
        first, last, entries = (
            self.values[register.address] for register in (registers.FIRST, registers.LAST, registers.ENTRIES)
        )
        self.starts.append((first, last))
        if not self._valid:
            self._fail(RunError.NO_PROGRAM, 0)
        elif first > last or last >= entries:
            self._fail(RunError.RANGE, first)
        else:
            self.busy, self.done, self._at = True, False, first
            self.values[registers.CYCLES.address] = 0

    def _fail(self, code: Any, entry: int) -> None:
        self._clear()
        self.failed, self._error, self._failed_entry = True, code, entry

    @property
    def _waits(self) -> bool:
        return self.busy and not self.hangs and self.entries[self._at].operation is Operation.LOAD

    def _work(self) -> None:
        """Run entries until one waits for the host."""
        while self.busy and not self.hangs and not self._output:
            entry = self.entries[self._at]
            if self.broken is not None and self.broken[0] == self._at:
                self._fail(self.broken[1], self._at)
                return
            if entry.operation is Operation.LOAD:
                if len(self._input) < entry.size:
                    return
                self.memory[entry.tensor] = bytes(self._input)
                self._input.clear()
            elif entry.operation is not Operation.STORE:
                self.memory[entry.tensor] = self.compute(entry, self.memory)
            self.counters[self._at] = [1000 + self._at, 500, 400, 100, 200, 300, 0, 0]
            self.values[registers.CYCLES.address] += 1000 + self._at
            self._next(self.memory[entry.tensor] if entry.operation is Operation.STORE else b"")

    def _next(self, output: bytes) -> None:
        self._output += output
        if self._at == self.values[registers.LAST.address]:
            self.busy, self.done = bool(output), not output
        else:
            self._at += 1

    def _program(self, offset: int, write: bool, data: int) -> Answer:
        if not write:
            return 0, BusError.DIRECTION
        if offset >= len(self.program):
            return 0, BusError.ADDRESS
        self.program[offset : offset + WORD_BYTES] = data.to_bytes(WORD_BYTES, "little")
        self.written.append(offset)
        self._valid = False
        return 0, BusError.OK

    def _input_word(self, offset: int, write: bool, data: int) -> Answer:
        if not write:
            return 0, BusError.DIRECTION
        if not self._waits:
            return 0, BusError.STATE
        self._input += data.to_bytes(WORD_BYTES, "little")
        return 0, BusError.OK

    def _output_word(self, offset: int, write: bool, data: int) -> Answer:
        if write:
            return 0, BusError.DIRECTION
        if not self._output:
            return 0, BusError.STATE
        word = int.from_bytes(self._output[:WORD_BYTES], "little")
        del self._output[:WORD_BYTES]
        if not self._output and self._at == self.values[registers.LAST.address]:
            self.busy, self.done = False, True
        return word, BusError.OK

    def _counter(self, offset: int, write: bool, data: int) -> Answer:
        if write:
            return 0, BusError.DIRECTION
        flat = self.counters.reshape(-1)
        return (int(flat[offset // WORD_BYTES]), BusError.OK) if offset < flat.nbytes else (0, BusError.ADDRESS)


class FakeLink:
    """A link to a machine that loses nothing, as `host.link.Link` has it."""

    def __init__(self, machine: FakeMachine) -> None:
        self.machine = machine
        self.link_words = machine.config.link_words
        self.closed = False

    def write(self, address: int, words: np.ndarray) -> None:
        for index, word in enumerate(words):
            self._access(Command.WRITE, address + WORD_BYTES * index, int(word))

    def read(self, address: int, count: int) -> np.ndarray:
        return np.array([self._access(Command.READ, address + WORD_BYTES * i) for i in range(count)], np.uint32)

    def _access(self, command: Command, address: int, data: int = 0) -> int:
        value, error = self.machine.access(address, command is Command.WRITE, data)
        if error is not BusError.OK:
            raise BusAccessError("fake", command, address, error)
        return value

    def close(self) -> None:
        self.closed = True
