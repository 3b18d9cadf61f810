"""A relay on loopback between FFmpeg and one RTSP camera: it alone knows the password, speaks TLS and refuses what a camera must not do."""

from __future__ import annotations

import select
import socket
import ssl
import threading

from edge.errors import SourceError
from edge.sources.base import SourceLimits
from edge.sources.ffmpeg import LoopbackListener
from edge.sources.http import warn_plain
from edge.sources.rtsp import Dialogue, RtspMessage, Splitter
from edge.sources.wire import Address, MessageError, Wire, with_shutdown

_READ_BYTES = 256 * 1024
_LOOK_MS = 500  # how soon it notices that it is to end while nothing comes


class RtspRelay:
    """Connects to ``address``, then lets FFmpeg, which connects to ``url``, talk with it, in a thread of its own.

    ``left_ms``: of the time to open, at least 1. ``failure``: what ended it or made the camera refuse, if that can be said; it is there
    before FFmpeg's connection is closed.

    Raises:
        ConfigError: the certificate file of ``limits.trust`` cannot be read.
        SourceError: nobody is there, or its certificate is not trusted.
    """

    def __init__(self, address: Address, limits: SourceLimits, shown: str) -> None:
        self._limits, self._shown = limits, shown
        self._wire = Wire(address, limits.trust, shown)
        self._wire.within(limits.open_timeout_ms / 1000)
        try:
            self._wire.connect()
        except BaseException:
            self._wire.close()
            raise
        self.left_ms = self._wire.left_ms()
        self._listener = LoopbackListener()
        self.url = f"rtsp://127.0.0.1:{self._listener.port}/camera"
        self._dialogue = Dialogue(address, self.url, shown, lambda: warn_plain(shown))
        self._ended: SourceError | None = None
        self._stopped = threading.Event()
        self._guest: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> SourceError | None:
        """Of the stream, or the camera's last refusal."""
        return self._ended or self._dialogue.refused

    def close(self) -> None:
        """Hang up on both."""
        self._stopped.set()
        self._listener.close()
        self._wire.close()
        self._thread.join(1.0)

    def _run(self) -> None:
        try:
            self._guest = self._listener.accept_own(self._limits.open_timeout_ms / 1000, self._stopped.is_set)
            if self._guest is not None:
                self._guest.settimeout(self._limits.read_timeout_ms / 1000)
                self._talk(self._guest)
        except SourceError as error:
            self._ended = error
        except MessageError as error:
            self._ended = SourceError(
                f"{self._shown}: no stream comes from there: {error}", fix="check the address: is it a camera's?"
            )
        except (OSError, ValueError):
            return  # one of the two went away, or waits too long; FFmpeg's side says so
        finally:
            self._wire.close()
            if self._guest is not None:
                with_shutdown(self._guest)

    def _talk(self, guest: socket.socket) -> None:
        """Until one of the two hangs up."""
        camera, chunk = self._wire.socket, bytearray(_READ_BYTES)
        view = memoryview(chunk)
        from_camera, from_guest = Splitter(self._dialogue.granted), Splitter(lambda _: True)
        poll = select.poll()
        poll.register(camera, select.POLLIN)
        poll.register(guest, select.POLLIN)
        while not self._stopped.is_set():
            ready = {handle for handle, _ in poll.poll(0 if _buffered(camera) else _LOOK_MS)}
            self._wire.within(self._limits.read_timeout_ms / 1000)
            if guest.fileno() in ready:
                count = guest.recv_into(view)
                if count == 0:
                    return
                self._to_camera(from_guest.feed(view[:count]))
            if camera.fileno() in ready or _buffered(camera):
                count = self._wire.read_into(view)
                if count == 0:
                    return
                self._to_guest(guest, from_camera.feed(view[:count]))

    def _to_camera(self, pieces: list[RtspMessage | bytes]) -> None:
        for piece in pieces:
            data = piece if isinstance(piece, bytes) else self._dialogue.from_ffmpeg(piece)
            if data:
                self._wire.send(data)

    def _to_guest(self, guest: socket.socket, pieces: list[RtspMessage | bytes]) -> None:
        for piece in pieces:
            if isinstance(piece, bytes):
                guest.sendall(piece)
                continue
            to_guest, to_camera = self._dialogue.from_camera(piece)
            if to_guest:
                guest.sendall(to_guest)
            if to_camera:
                self._wire.send(to_camera)


def _buffered(connection: socket.socket) -> bool:
    """Whether TLS has decrypted more than was read: the socket does not show that."""
    return isinstance(connection, ssl.SSLSocket) and connection.pending() > 0
