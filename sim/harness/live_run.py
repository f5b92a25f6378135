"""Run a live bench: a simulation that exchanges bytes with this process for as long as it likes.

    model = build_live_bench(core, name="core")
    with LiveSimulation(model, seed=seed) as simulation:
        simulation.send(b"...")
        answer = simulation.receive(timeout=1.0)

`live_test` is the other end.
"""

from __future__ import annotations

import select
import shutil
import socket
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from models.errors import SkipstoneError
from sim.harness.exchange import Request
from sim.harness.live_bench import BYTES_IN, BYTES_OUT
from sim.harness.live_protocol import Command, message
from sim.harness.model import Build
from sim.harness.runner import execute, new_request
from sim.harness.stalls import Stalls, stall_plusargs


class LiveSimulation:
    """A running simulation of a live bench; a context manager, at whose end the simulation ends.

    Parameters
    ----------
    model
        From `build_live_bench`.
    seed
        Of the stalls.
    stalls
        Of both streams of bytes.
    waves
        Record waves to this FST file; needs a model built with `waves=True`.

    Raises
    ------
    SimulationError
        The simulation failed: a rule of a stream was broken, or the simulator died. Every method raises it, and so does
        the end of the context.
    """

    def __init__(self, model: Build, *, seed: int = 0, stalls: Stalls = "none", waves: Path | None = None) -> None:
        self._model = model
        self._seed = seed
        self._stalls = stalls
        self._waves = waves
        self._pool: ThreadPoolExecutor
        self._connection: socket.socket
        self._request: Request
        self._outcome: Future[dict[str, Any]]

    def __enter__(self) -> Self:
        plusargs = [arg for name in (BYTES_IN, BYTES_OUT) for arg in stall_plusargs(name, self._stalls, self._seed)]
        self._pool = ThreadPoolExecutor(1)
        # A socket's path must be short, and that of the build folder may not be.
        with tempfile.TemporaryDirectory(prefix="skipstone-") as folder, socket.socket(socket.AF_UNIX) as listener:
            path = str(Path(folder) / "bytes")
            listener.bind(path)
            listener.listen(1)
            parameters = {"socket": path}
            self._request = new_request(self._model, "sim.harness.live_test", "live", parameters, self._seed, plusargs)
            self._outcome = self._pool.submit(execute, self._model, self._request, waves=self._waves)
            listener.settimeout(0.1)
            self._connection = self._accept(listener)
        return self

    def _accept(self, listener: socket.socket) -> socket.socket:
        """The simulation's connection, once it has started."""
        while True:
            try:
                return listener.accept()[0]
            except TimeoutError:
                if self._outcome.done():
                    self._pool.shutdown()
                    raise self._ended() from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        self._pool.shutdown()
        failure = self._outcome.exception()
        if failure is None:
            shutil.rmtree(self._request.folder, ignore_errors=True)
        elif kind is None:
            raise failure

    def fileno(self) -> int:
        """For `select`: readable when `receive` has something to give."""
        return self._connection.fileno()

    def send(self, data: bytes) -> None:
        """Bytes for the core, after those sent before."""
        self._put(message(Command.BYTES, data))

    def reset(self) -> None:
        """A pulse on the core's reset."""
        self._put(message(Command.RESET))

    def receive(self, timeout: float | None) -> bytes:
        """The bytes that have come from the core; waits for the first for so many seconds (None: for ever)."""
        if not select.select([self._connection], [], [], timeout)[0]:
            return b""
        try:
            data = self._connection.recv(1 << 16)
        except ConnectionError:
            data = b""
        if not data:
            raise self._ended()
        return data

    def _put(self, data: bytes) -> None:
        try:
            self._connection.sendall(data)
        except ConnectionError:
            raise self._ended() from None

    def _ended(self) -> BaseException:
        """Why the simulation, which has ended, did so."""
        return self._outcome.exception() or SkipstoneError(f"the simulation of {self._model.name} has ended")
