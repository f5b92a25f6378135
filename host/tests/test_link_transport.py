import errno
import os
import select
import socket
import threading
import tty
from contextlib import contextmanager

import pytest
import serial

from host import transport
from host.link import Link
from host.tests.link_device import Device
from host.transport import SerialTransport, SocketTransport, TransportError, open_transport


@contextmanager
def answering(descriptor, device):
    """A thread that answers for a device at a file descriptor, until the context ends."""
    over, end = os.pipe()

    def serve():
        while True:
            ready, _, _ = select.select([descriptor, over], [], [])
            if over in ready:
                return
            data = os.read(descriptor, 1 << 16)
            if not data:
                return
            os.write(descriptor, device.feed(data))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.write(end, b"x")
        thread.join(10)
        for each in (over, end):
            os.close(each)


@pytest.fixture
def terminal():
    """A pseudo-terminal: its master's descriptor and the path of the other end."""
    master, slave = os.openpty()
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    for each in (master, slave):
        os.close(each)


@pytest.fixture
def listener(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("board")
        listening.listen(1)
        yield listening


def check_transfers(way):
    words = list(range(2000))
    with Link(way) as link:
        link.write(0, words)
        assert link.read(0, len(words)).tolist() == words
        assert link.repeats == 0


def test_a_serial_port_by_a_pseudo_terminal(terminal):
    master, path = terminal
    with answering(master, Device()):
        check_transfers(open_transport(path))


def test_a_socket(listener):
    way = open_transport("board")
    connection, _ = listener.accept()
    with connection, answering(connection.fileno(), Device()):
        check_transfers(way)


def test_a_read_without_bytes_waits_as_long_as_told(terminal):
    _, path = terminal
    way = SerialTransport(path)
    here, there = socket.socketpair()
    with there:
        for each in (way, SocketTransport(here, "a socket")):
            assert each.read(0) == b""
            assert each.read(0.01) == b""
            each.close()
            each.close()


def test_a_port_that_is_not_there(tmp_path):
    path = str(tmp_path / "ttyUSB7")
    with pytest.raises(TransportError, match=f"^{path}: no such port: connect the board"):
        open_transport(path)


def test_a_port_that_is_no_terminal(tmp_path):
    path = tmp_path / "a_file"
    path.touch()
    with pytest.raises(TransportError, match=f"^{path}: cannot be opened"):
        open_transport(str(path))


def test_a_port_that_is_in_use(terminal):
    _, path = terminal
    first = SerialTransport(path)
    with pytest.raises(TransportError, match=f"^{path}: the port is in use"):
        SerialTransport(path)
    first.close()
    SerialTransport(path).close()


def test_a_port_without_permission(monkeypatch):
    def refuse(*arguments, **options):
        raise serial.SerialException(errno.EACCES, "could not open port")

    monkeypatch.setattr(transport.serial, "Serial", refuse)
    with pytest.raises(TransportError, match=r"^/dev/ttyUSB0: no permission to open the port: join the group"):
        SerialTransport("/dev/ttyUSB0")


def test_a_rate_that_the_port_does_not_have(terminal):
    with pytest.raises(TransportError, match="cannot be opened"):
        SerialTransport(terminal[1], baud_rate=-1)


def test_nobody_listens(listener):
    listener.close()
    with pytest.raises(TransportError, match=r"^board: nobody listens there: start the simulated accelerator"):
        open_transport("board")


def test_a_socket_that_is_closed_at_the_other_end():
    here, there = socket.socketpair()
    way = SocketTransport(here, "a socket")
    there.close()
    with pytest.raises(TransportError, match=r"^a socket: the connection is lost"):
        way.read(1)
    with pytest.raises(TransportError, match=r"^a socket: the connection is lost"):
        way.write(b"x")
    way.close()


def test_a_terminal_that_is_closed_at_the_other_end():
    master, slave = os.openpty()
    tty.setraw(slave)
    way = SerialTransport(os.ttyname(slave))
    for each in (slave, master):
        os.close(each)
    with pytest.raises(TransportError, match="the connection is lost"):
        way.read(0.1)
    with pytest.raises(TransportError, match="the connection is lost"):
        way.write(b"x")
    way.close()


def test_a_closed_transport_says_so(terminal):
    way = SerialTransport(terminal[1])
    way.close()
    for use in (lambda: way.write(b"x"), lambda: way.read(0.1)):
        with pytest.raises(TransportError, match="the connection is lost"):
            use()


def test_a_socket_that_takes_no_bytes(monkeypatch):
    monkeypatch.setattr(transport, "WRITE_SECONDS", 0.05)
    here, there = socket.socketpair()
    with there:
        way = SocketTransport(here, "a socket")
        with pytest.raises(TransportError, match=r"^a socket: takes no bytes any more"):
            way.write(bytes(1 << 24))
        way.close()
