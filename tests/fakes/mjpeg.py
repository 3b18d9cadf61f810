"""A real MJPEG server on loopback, as network cameras have one, that can also stall, hang up and ask for a password."""

from __future__ import annotations

import base64
import itertools
import socket
import threading
from collections.abc import Callable
from types import TracebackType

import cv2
import numpy as np

_BOUNDARY = b"frame"


class MjpegServer:
    """Serves ``picture(index)``, H×W×3 RGB, at ``fps`` to each client from index 0.

    ``stall_at``: half of that picture is sent, then nothing any more, with the connection open. ``end_at``: hangs up before that
    picture. ``login``: ``user:password`` that must come as HTTP basic authentication. ``port``: 0 takes a free one.
    """

    def __init__(
        self,
        picture: Callable[[int], np.ndarray],
        *,
        fps: float = 50,
        stall_at: int | None = None,
        end_at: int | None = None,
        login: str | None = None,
        port: int = 0,
    ) -> None:
        self._picture, self._period_s = picture, 1 / fps
        self._stall_at, self._end_at, self._login = stall_at, end_at, login
        self._closing = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", port))
        self.port = self._socket.getsockname()[1]
        self.stalled = threading.Event()
        self.opened = 0
        """How many times somebody began to watch."""
        self.sent = 0
        """Pictures, to all of them."""
        self.url = f"http://127.0.0.1:{self.port}/video"
        self._acceptor = threading.Thread(target=self._accept, daemon=True)

    def __enter__(self) -> MjpegServer:
        self._acceptor.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Hang up on everybody and serve nobody any more; may be called twice."""
        if not self._closing.is_set():
            self._closing.set()
            self._socket.shutdown(socket.SHUT_RDWR)
            self._socket.close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            request = b""
            while b"\r\n\r\n" not in request:
                more = client.recv(4096)
                if not more:
                    return
                request += more
            try:
                if self._login and b"basic " + base64.b64encode(self._login.encode()) not in request.replace(
                    b"Basic ", b"basic "
                ):
                    client.sendall(
                        b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=camera\r\nContent-Length: 0\r\n\r\n"
                    )
                    return
                self._stream(client)
            except OSError:
                return  # the client went away

    def _stream(self, client: socket.socket) -> None:
        self.opened += 1
        client.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=" + _BOUNDARY + b"\r\n\r\n")
        for index in itertools.count():
            if index == self._end_at:
                return
            encoded = cv2.imencode(".jpg", self._picture(index)[..., ::-1])[1].tobytes()
            part = b"--%s\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % (_BOUNDARY, len(encoded)) + encoded
            if index == self._stall_at:
                client.sendall(part[: len(part) - len(encoded) // 2])
                self.stalled.set()
                self._closing.wait()
                return
            client.sendall(part + b"\r\n")
            self.sent += 1
            if self._closing.wait(self._period_s):
                return
