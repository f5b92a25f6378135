"""The driver: loads compiled programs into an accelerator, runs them, and reads what it did.

    with Accelerator.open(open_transport("/dev/ttyUSB0")) as accelerator:
        accelerator.load(program)
        outputs = accelerator.run(image)
        print(accelerator.cycles, accelerator.counters())

What travels, and in what form, `compiler.compiled.CompiledProgram` says.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

import numpy.typing as npt

from compiler.compiled import CompiledProgram, EntryInfo
from compiler.errors import SkipstoneError
from compiler.values import as_taken
from host.device import AcceleratorError, Device, Identity, StoppedError
from host.link import Link
from host.transport import Transport
from hw.machine import registers

RUN_SECONDS = 60.0
"""After that long, what the accelerator has been told to do is taken for hung."""

Arrays = dict[str, npt.NDArray]


@dataclass(frozen=True)
class EntryCounters:
    """What an entry of the last run took.

    Attributes:
        entry: which; cycles: from its start to its end; operations: non-zero activations that entered the array.
        busy: share of the time in which a group of the array, on average, took operands.
        weights: share of the time in which it waited for weights.
        activations, post: shares in which a group, on average, waited for activations, or for its results to be taken.
    """

    entry: EntryInfo
    cycles: int
    operations: int
    busy: float
    weights: float
    activations: float
    post: float


class Accelerator:
    """An accelerator, with a program or without; a context manager that closes the transport.

    When a method raises, the machine has been cleared, as far as it can be reached: what was under way is lost, the
    program stays, and the next run works.

    Parameters
    ----------
    device
        Its registers and windows.

    Attributes
    ----------
    identity
        What it says of itself.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        self._program: CompiledProgram | None = None
        self._ran = range(0)
        self.identity: Identity = device.identify()
        status = device.status()
        if status.busy or status.verifying or status.failed:  # an earlier program has left it so
            device.clear()

    @classmethod
    def open(cls, transport: Transport, *, timeout: float = RUN_SECONDS, link_timeout: float | None = None) -> Self:
        """Talk to the accelerator behind a transport, which is closed if that fails.

        Args:
            transport: the way to it.
            timeout: seconds after which what it has been told to do is taken for hung.
            link_timeout: seconds of silence after which a frame is sent again; None is the link's own.

        Raises:
            LinkError: nothing answers, or no accelerator.
            AcceleratorError: it is of another generation.
            TransportError: the way is gone.
        """
        link = Link(transport) if link_timeout is None else Link(transport, timeout=link_timeout)
        try:
            return cls(Device(link, str(transport), timeout))
        except BaseException:
            link.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the transport."""
        self._device.close()

    @property
    def device(self) -> Device:
        """Its registers and windows, for what the methods here do not do."""
        return self._device

    @property
    def program(self) -> CompiledProgram:
        """The program that is loaded; raises AcceleratorError if none is."""
        if self._program is None:
            raise AcceleratorError(f"{self._device}: no program is loaded: load one first")
        return self._program

    @property
    def cycles(self) -> int:
        """Clock cycles of the last run, from start to done."""
        return self._device.get(registers.CYCLES)

    def clear(self) -> None:
        """End what is under way and forget an error; the program stays."""
        self._device.clear()

    def load(
        self, program: CompiledProgram, on_progress: Callable[[int, int], None] = lambda done, total: None
    ) -> bool:
        """Load a program, unless the accelerator holds the very same already, and its weights if it keeps them.

        Args:
            program: compiled for this accelerator.
            on_progress: called with the bytes that have been written, and all bytes.

        Returns:
            Whether it had to be written.

        Raises:
            AcceleratorError: it was compiled for another configuration, or the memory does not keep it.
        """
        self._check_configuration(program)
        image = program.image
        total = len(image.data)
        summary = (total // program.config.core.lanes, image.checksum, image.entries)
        self._program = None
        with self._recovering():
            held = self._device.holds(*summary)
            if not held:
                self._device.write_program(image.data, lambda done: on_progress(done, total))
                self._device.verify(*summary)
        self._program = program
        if program.holds:
            self.run_entries(program.holds.start, program.holds.stop - 1)
        self._ran = range(0)
        return not held

    def _check_configuration(self, program: CompiledProgram) -> None:
        config, found = program.config, self.identity
        if found.fingerprint == config.fingerprint:
            return
        compared = {
            "groups": (config.core.groups, found.groups),
            "lanes": (config.core.lanes, found.lanes),
            "words of activation memory": (config.core.activation_words, found.activation_words),
            "words of program memory": (config.program_depth, found.program_depth),
            "fingerprint": (f"{config.fingerprint:#010x}", f"{found.fingerprint:#010x}"),
        }
        differences = ", ".join(
            f"{name} {has}, not {wanted}" for name, (wanted, has) in compared.items() if wanted != has
        )
        raise AcceleratorError(
            f"{self._device}: the program of {program.network} is for another accelerator: this one has {differences}: "
            "compile the network for it"
        )

    def run(self, values: npt.NDArray | Mapping[str, npt.NDArray]) -> Arrays:
        """Run the program on one input.

        Args:
            values: quantised (int8) or real values, of the input's shape, with or without the batch of 1; by name if
                the network has several inputs.

        Returns:
            The network's outputs by name, for batch 1, bit for bit those of the golden model.

        Raises:
            InputError: an input of another shape or type.
            StoppedError: the accelerator stopped with an error; names the entry that failed.
        """
        program = self.program
        packets = program.packets(as_taken(program, values))
        with self._running(0, program.last):
            for part in packets:
                self._device.put(part)
            stored = {entry: self._take(entry) for entry in program.run_stores}
        return program.outputs(stored)

    def load_inputs(self, values: npt.NDArray | Mapping[str, npt.NDArray]) -> None:
        """Bring an input into the activation memory and run nothing; otherwise as `run`."""
        program = self.program
        packets = program.packets(as_taken(program, values))
        with self._running(0, len(packets) - 1):
            for part in packets:
                self._device.put(part)

    def run_entries(self, first: int, last: int) -> None:
        """Run entries `first` to `last`, none of which loads or stores, on what is in memory.

        Raises:
            StoppedError: as for `run`.
        """
        with self._running(first, last):
            pass

    def read_tensor(self, name: str) -> npt.NDArray:
        """A tensor that is in memory, for batch 1.

        It is there after its entry (`TensorInfo.written`) until a later one takes its place.

        Raises:
            CompilerError: it does not lie in memory.
            AcceleratorError: the program has no entry that stores it.
            StoppedError: as for `run`.
        """
        entry = self.program.tensor(name).store
        if entry is None:
            raise AcceleratorError(
                f"{self.program.network}: the program has no entry that stores {name!r}: compile it for an accelerator "
                "with more max_entries or program_depth"
            )
        ran = self._ran
        with self._running(entry, entry):
            packets = self._take(entry)
        self._ran = ran  # looking at it changes no counters but its own
        return self.program.values(name, packets)

    def _take(self, entry: int) -> bytes:
        return self._device.take(self.program.stored_bytes(self.program.entries[entry].tensor))

    def counters(self) -> list[EntryCounters]:
        """What each entry of the last run took, in order; empty before the first."""
        if not self._ran:
            return []
        first, last = self._ran[0], self._ran[-1]
        records = self._device.counters(first, last)
        entries = self.program.entries[first : last + 1]
        return [self._counted(entry, record) for entry, record in zip(entries, records, strict=True)]

    def _counted(self, entry: EntryInfo, record: Mapping[str, int]) -> EntryCounters:
        cycles = record["cycles"]
        by_group = max(1, cycles * self.identity.groups)
        return EntryCounters(
            entry,
            cycles=cycles,
            operations=record["operations"],
            busy=record["busy"] / by_group,
            weights=record["weights"] / max(1, cycles),
            activations=record["activations"] / by_group,
            post=record["post"] / by_group,
        )

    @contextlib.contextmanager
    def _running(self, first: int, last: int) -> Iterator[None]:
        """Start entries `first` to `last`; at the end wait until they are done."""
        self._ran = range(0)
        with self._recovering():
            self._device.start(first, last)
            yield
            self._device.wait("finish its run", lambda status: status.done)
        self._ran = range(first, last + 1)

    @contextlib.contextmanager
    def _recovering(self) -> Iterator[None]:
        """Clear the machine if what is within fails, and name the entry if it is its fault."""
        try:
            yield
        except BaseException as error:
            with contextlib.suppress(SkipstoneError):
                self._device.clear()
            if isinstance(error, StoppedError):
                raise self._named(error) from error
            raise

    def _named(self, error: StoppedError) -> StoppedError:
        """The error with the name of the entry that it is of."""
        entries = () if self._program is None else self._program.entries
        if error.entry is None or error.entry >= len(entries):
            return error
        return StoppedError(f"{error} (in entry {error.entry}, {entries[error.entry].name})", error.code, error.entry)
