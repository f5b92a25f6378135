"""A simulation behind a pseudo-terminal; the whole way, with the commands, is tested in `cli.tests.test_serve_sim`."""

import threading

import pytest
import serial

from sim.harness import toolchain
from sim.harness.live_bench import build_live_bench
from sim.harness.live_run import LiveSimulation
from sim.serve import PseudoTerminal, serve
from sim.tests.harness.test_live import Echo


class InterruptError(Exception):
    pass


class Interruptible(PseudoTerminal):
    """One that a test can interrupt; a client's byte does it, since a thread gets no signals."""

    def read(self):
        data = super().read()
        if b"\x7f" in data:
            raise InterruptError
        return data


@pytest.fixture
def path():
    """Of the terminal with the echo behind it."""
    if reason := toolchain.missing("verilator"):
        pytest.skip(reason)
    model = build_live_bench(Echo(), name="echo")
    with LiveSimulation(model) as simulation, Interruptible() as terminal:

        def run():
            with pytest.raises(InterruptError):
                serve(simulation, terminal)

        thread = threading.Thread(target=run)
        thread.start()
        yield terminal.path
        with serial.Serial(terminal.path, timeout=30) as port:
            port.write(b"\x7f")
            thread.join(30)
        assert not thread.is_alive()


def test_clients_one_after_another(path):
    for data in (b"\x01\x02\x03", bytes(range(1, 100)), b"\x11\x13\x0a\x0d\x04"):
        with serial.Serial(path, 9600, timeout=30) as port:
            port.write(data)
            assert port.read(len(data)) == data


def test_what_a_client_leaves_unread_does_not_stop_the_line(path):
    with serial.Serial(path, timeout=30) as port:
        for _ in range(40):
            port.write(b"\x21" * 1000)
    with serial.Serial(path, timeout=1) as port:
        while port.read(1000):  # what is still on its way
            pass
        port.write(b"\x22\x23")
        port.timeout = 30
        assert port.read(2) == b"\x22\x23"
