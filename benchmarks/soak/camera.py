"""A network camera on loopback that looks at a scripted shelf: MJPEG over HTTP, which can stall and change its size."""

from __future__ import annotations

import math
import socket
import threading
import time
from functools import partial
from typing import Literal

import cv2
import numpy as np

from edge.data import U8Image
from edge.scene.scripted import ScriptedShelf

_BOUNDARY = b"frame"
Mode = Literal["well", "stalls", "wrong_size"]


class SoakCamera:
    """Every client sees the same picture at the same time: frame k of the scene from k ÷ fps seconds after the start.

    ``mode``: "stalls" sends half of a picture and then nothing, with the connection open; "wrong_size" hangs up, and then serves pictures
    of half the size. Going back to "well" hangs up as well.
    """

    def __init__(self, scene: ScriptedShelf, fps: float) -> None:
        self._scene, self._fps = scene, fps
        self._mode: Mode = "well"
        self._closing = threading.Event()
        self._changed = threading.Condition()
        self._picture, self._index = b"", -1
        self._clients: set[socket.socket] = set()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/video"
        self._start_s = 0.0
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._draw, self._accept)]

    def __enter__(self) -> SoakCamera:
        self._start_s = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._hang_up()
        for thread in self._threads:
            thread.join()

    def now_s(self) -> float:
        """Seconds of the script."""
        return time.monotonic() - self._start_s

    def turn(self, mode: Mode) -> None:
        """Behave so from now on."""
        with self._changed:
            before, self._mode = self._mode, mode
        if "wrong_size" in (before, mode) or before == "stalls":
            self._hang_up()

    def _hang_up(self) -> None:
        for client in list(self._clients):
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it went by itself

    def _draw(self) -> None:
        while not self._closing.is_set():
            index = math.floor(self.now_s() * self._fps)
            pixels: U8Image = self._scene.render(index, self._fps)
            if self._mode == "wrong_size":
                pixels = np.ascontiguousarray(pixels[::2, ::2])
            encoded = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()
            with self._changed:
                self._picture, self._index = encoded, index
                self._changed.notify_all()
            self._closing.wait(max(0.0, (index + 1) / self._fps - self.now_s()))

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            self._clients.add(client)
            try:
                if client.recv(65_536):
                    self._stream(client)
            except OSError:
                return  # the client went away
            finally:
                self._clients.discard(client)

    def _stream(self, client: socket.socket) -> None:
        client.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=" + _BOUNDARY + b"\r\n\r\n")
        last = -1
        while not self._closing.is_set():
            with self._changed:
                if not self._changed.wait_for(partial(self._has_newer, last), 1.0):
                    continue
                picture, last, mode = self._picture, self._index, self._mode
            part = b"--%s\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % (_BOUNDARY, len(picture)) + picture
            if mode == "stalls":
                client.sendall(part[: -len(picture) // 2])
                client.recv(1)  # until somebody hangs up
                return
            client.sendall(part + b"\r\n")

    def _has_newer(self, last: int) -> bool:
        return self._index > last or self._closing.is_set()
