"""Ways to an accelerator that carry bytes: a serial port, or a socket of this machine.

    transport = open_transport("/dev/ttyUSB0", baud_rate=3_000_000)

A transport may lose, damage or repeat bytes: `host.link` sees to that. What it raises means that the way is gone.
"""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from typing import Protocol

import serial

from compiler.errors import SkipstoneError

DEFAULT_BAUD_RATE = 3_000_000
WRITE_SECONDS = 10.0
"""For how long a transport may refuse to take bytes."""

_CHUNK = 1 << 16


class TransportError(SkipstoneError):
    """The way to the device cannot be opened, or is gone. The message names the port."""


class Transport(Protocol):
    """A way to a device. `str()` of it names it in messages."""

    def write(self, data: bytes) -> None:
        """Send all of the bytes, in order. Raises `TransportError`."""

    def read(self, timeout: float) -> bytes:
        """What has arrived: at least a byte, for which it waits up to `timeout` seconds, or nothing.

        With `timeout` 0 it does not wait. Raises `TransportError`.
        """

    def close(self) -> None:
        """Give the way back. A second time it does nothing."""


def open_transport(port: str, *, baud_rate: int = DEFAULT_BAUD_RATE) -> Transport:
    """The transport to that port: the path of a socket, or else the name of a serial port.

    Raises
    ------
    TransportError
        It is not there, is in use, or may not be opened.
    """
    return SocketTransport.connect(port) if Path(port).is_socket() else SerialTransport(port, baud_rate=baud_rate)


class SerialTransport:
    """A serial port, 8N1 and without flow control, or a pseudo-terminal.

    Parameters
    ----------
    port
        `/dev/ttyUSB0`, `COM3`, or the path of a pseudo-terminal's end.
    baud_rate
        Bits a second; means nothing to a pseudo-terminal.

    Raises
    ------
    TransportError
        The port is not there, is in use, or may not be opened, or cannot be set to that rate.
    """

    def __init__(self, port: str, *, baud_rate: int = DEFAULT_BAUD_RATE) -> None:
        self._name = port
        try:
            self._port = serial.Serial(port, baud_rate, exclusive=True, timeout=0, write_timeout=WRITE_SECONDS)
        except (OSError, ValueError) as error:  # SerialException is an OSError
            raise TransportError(f"{port}: {_why_not_open(error, baud_rate)}") from error

    def __str__(self) -> str:
        return self._name

    def write(self, data: bytes) -> None:
        """As `Transport.write`."""
        try:
            self._port.write(data)
        except serial.SerialTimeoutException as error:
            raise _is_stuck(self) from error
        except OSError as error:
            raise _is_gone(self) from error

    def read(self, timeout: float) -> bytes:
        """As `Transport.read`."""
        try:
            self._port.timeout = timeout
            first = self._port.read(1)
            return first + self._port.read(self._port.in_waiting) if first else b""
        except (OSError, TypeError) as error:  # pyserial gives a TypeError when the port is closed meanwhile
            raise _is_gone(self) from error

    def close(self) -> None:
        """As `Transport.close`."""
        self._port.close()


class SocketTransport:
    """A connected stream socket, such as that of a simulated accelerator.

    Parameters
    ----------
    connection
        The socket, which the transport closes.
    name
        Of the other end, for messages.
    """

    def __init__(self, connection: socket.socket, name: str) -> None:
        self._connection = connection
        self._name = name

    @classmethod
    def connect(cls, path: str) -> SocketTransport:
        """Connect to the socket (`AF_UNIX`) at that path.

        Raises
        ------
        TransportError
            Nobody listens there, or it may not be opened.
        """
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(path)
        except OSError as error:
            connection.close()
            raise TransportError(f"{path}: {_why_not_open(error)}") from error
        return cls(connection, path)

    def __str__(self) -> str:
        return self._name

    def write(self, data: bytes) -> None:
        """As `Transport.write`."""
        try:
            self._connection.settimeout(WRITE_SECONDS)
            self._connection.sendall(data)
        except TimeoutError as error:
            raise _is_stuck(self) from error
        except OSError as error:
            raise _is_gone(self) from error

    def read(self, timeout: float) -> bytes:
        """As `Transport.read`."""
        try:
            self._connection.settimeout(timeout)
            data = self._connection.recv(_CHUNK)
        except (TimeoutError, BlockingIOError):
            return b""
        except OSError as error:
            raise _is_gone(self) from error
        if not data:
            raise _is_gone(self)
        return data

    def close(self) -> None:
        """As `Transport.close`."""
        self._connection.close()


def _why_not_open(error: Exception, baud_rate: int | None = None) -> str:
    number = getattr(error, "errno", None)
    reasons: dict[int | None, str] = {
        errno.ENOENT: "no such port: connect the board, or give another with --port",
        errno.EACCES: "no permission to open the port: join the group that owns it (often dialout or uucp)",
        errno.EBUSY: "the port is in use: end the program that has it open",
        errno.EAGAIN: "the port is in use: end the program that has it open",
        errno.ECONNREFUSED: "nobody listens there: start the simulated accelerator",
    }
    return reasons.get(number, f"cannot be opened ({error})")


def _is_gone(transport: Transport) -> TransportError:
    return TransportError(f"{transport}: the connection is lost: connect the device again and start anew")


def _is_stuck(transport: Transport) -> TransportError:
    return TransportError(f"{transport}: takes no bytes any more: check the device and start anew")
