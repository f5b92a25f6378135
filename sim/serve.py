"""A simulated board: a live simulation behind a pseudo-terminal, so that a host talks to it as to a serial port."""

from __future__ import annotations

import contextlib
import os
import select
import tty
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from sim.harness.live_run import LiveSimulation


class PseudoTerminal:
    """A serial line without a wire; a context manager. Clients open `path`, one after another, at any bit rate.

    As on a wire, what no client reads is lost in the end.
    """

    def __init__(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        # As long as the slave is open here, the line stays up when a client closes it.
        self.path = os.ttyname(self._slave)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._slave)
        os.close(self._master)

    def fileno(self) -> int:
        """For `select`: readable when a client has written."""
        return self._master

    def read(self) -> bytes:
        """What clients have written; empty if nothing."""
        with contextlib.suppress(BlockingIOError):
            return os.read(self._master, 1 << 16)
        return b""

    def write(self, data: bytes) -> None:
        """Bytes for the client; those that find the line's buffer full are lost."""
        with contextlib.suppress(BlockingIOError):
            while data:
                data = data[os.write(self._master, data) :]


def serve(simulation: LiveSimulation, terminal: PseudoTerminal) -> None:
    """Carry bytes both ways, until interrupted.

    Raises:
        SimulationError: the simulation failed.
    """
    for end in _readable(simulation, terminal):
        if end is simulation:
            terminal.write(simulation.receive(0))
        else:
            simulation.send(terminal.read())


def _readable(*ends: LiveSimulation | PseudoTerminal) -> Iterator[LiveSimulation | PseudoTerminal]:
    """Endless: the next end that has bytes."""
    while True:
        yield from select.select(ends, [], [])[0]
