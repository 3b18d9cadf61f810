"""HTTP connections of which a whole exchange ends by one moment: connecting, TLS, the request and its answer.

A socket's own time-out counts anew with every byte, so a peer that sends one now and then holds its caller for as long as it likes.
"""

from __future__ import annotations

import http.client
import math
import socket
import ssl
import threading
import time
from typing import Any

_CHUNK = 1 << 16


class _Timed:
    """The part of a socket that http.client uses, each operation with what is left of the time."""

    ends_s = math.inf

    def _arm(self: Any) -> None:
        self.settimeout(_left_s(self.ends_s))

    def recv_into(self: Any, *args: Any, **more: Any) -> Any:
        self._arm()
        return super().recv_into(*args, **more)  # type: ignore[misc]

    def sendall(self: Any, data: Any, flags: int = 0) -> None:
        left = memoryview(data).cast("B")
        while left:
            self._arm()
            left = left[self.send(left[:_CHUNK], flags) :]


class _TcpSocket(_Timed, socket.socket):
    pass


class _TlsSocket(_Timed, ssl.SSLSocket):
    pass


class TimedConnection(http.client.HTTPConnection):
    """``begin`` an exchange, then use it as any connection. An operation after the time raises TimeoutError.

    Args:
        host: of the server, with its port if it is not the usual one.
        timeout_s: of an exchange.
    """

    def __init__(self, host: str, *, timeout_s: float) -> None:
        super().__init__(host)
        self._timeout_s = timeout_s
        self._ends_s = math.inf

    def begin(self) -> None:
        """From now on ``timeout_s`` count."""
        self._ends_s = time.monotonic() + self._timeout_s
        if isinstance(self.sock, _Timed):
            self.sock.ends_s = self._ends_s

    def connect(self) -> None:
        """By the first address that answers. Raises OSError."""
        self.sock = self._open()

    def _open(self) -> _TcpSocket:
        fault: OSError | None = None
        for family, kind, protocol, _, address in _addresses(self.host, self.port, self._ends_s):
            opened = _TcpSocket(family, kind, protocol)
            try:
                opened.ends_s = self._ends_s
                opened.settimeout(_left_s(self._ends_s))
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                opened.connect(address)
            except OSError as error:
                opened.close()
                fault = error
            else:
                return opened
        raise fault or OSError(f"{self.host} has no address")


class TimedTlsConnection(TimedConnection):
    """The same over TLS, with the server's name checked as ``context`` says."""

    default_port = http.client.HTTPS_PORT

    def __init__(self, host: str, *, timeout_s: float, context: ssl.SSLContext) -> None:
        super().__init__(host, timeout_s=timeout_s)
        self._context = context
        context.sslsocket_class = _TlsSocket

    def connect(self) -> None:
        """Also the handshake ends in time. Raises OSError."""
        opened = self._open()
        try:
            opened.settimeout(_left_s(self._ends_s))  # of the whole handshake: ssl counts it once
            secured = self._context.wrap_socket(opened, server_hostname=self.host)
        except BaseException:
            opened.close()
            raise
        assert isinstance(secured, _TlsSocket)
        secured.ends_s = self._ends_s
        self.sock = secured


def _left_s(ends_s: float) -> float | None:
    """None: no end. Raises TimeoutError after it."""
    if ends_s == math.inf:
        return None
    left_s = ends_s - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("timed out")
    return left_s


def _addresses(host: str, port: int, ends_s: float) -> list[Any]:
    """By a thread that is left behind if a name server does not answer in time: nothing ends a look-up. Raises OSError."""
    found: list[list[Any] | OSError] = []

    def look_up() -> None:
        try:
            found.append(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
        except OSError as error:
            found.append(error)
        except UnicodeError as error:  # a label that is too long
            found.append(OSError(str(error)))

    worker = threading.Thread(target=look_up, name="look up", daemon=True)
    worker.start()
    worker.join(_left_s(ends_s))
    if not found:
        raise TimeoutError(f"timed out: {host} could not be looked up")
    answer = found[0]
    if isinstance(answer, OSError):
        raise answer
    return answer
