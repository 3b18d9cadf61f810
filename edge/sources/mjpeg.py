"""Network cameras over HTTP: MJPEG read by ourselves, other video handed to FFmpeg byte by byte."""

from __future__ import annotations

import re
import socket
import threading
import time

import cv2
import numpy as np

from edge.clock import Clock
from edge.data import U8Image
from edge.errors import DataError, SourceError
from edge.picture_size import picture_size_hw_px
from edge.secret import show_url
from edge.sources import ffmpeg
from edge.sources.base import SourceLimits
from edge.sources.http import Feed, Response, get
from edge.sources.live import Shot
from edge.sources.multipart import Multipart
from edge.sources.opencv import OpenCvSource, too_large
from edge.sources.wire import Address, MessageError, Wire, check_trust, with_shutdown

_PLAYLISTS = {
    "application/vnd.apple.mpegurl": "HLS",
    "application/x-mpegurl": "HLS",
    "audio/mpegurl": "HLS",
    "audio/x-mpegurl": "HLS",
    "application/dash+xml": "DASH",
    "application/sdp": "SDP",
    "application/vnd.ms-sstr+xml": "Smooth Streaming",
    "video/x-ms-asf-plugin": "ASX",
    "video/x-ms-asx": "ASX",
}
_BEGINS = ((b"#EXTM3U", "HLS"), (b"<MPD", "DASH"), (b"v=0", "SDP"), (b"ffconcat", "concat"), (b"<", "HTML or XML"))
_BEGINNING_BYTES = 16
_JPEG = b"\xff\xd8\xff"
_TEXT = re.compile(rb"(?:\xef\xbb\xbf)?[\t\r\n\x20-\x7e]*")


class Pump:
    """Carries the body of an answer to FFmpeg, which connects to ``url`` on loopback, in a thread of its own.

    ``failure``: what was wrong with the body, if anything was.

    Raises:
        SourceError: the body begins as text: a playlist, a page.
    """

    def __init__(self, wire: Wire, answer: Response, limits: SourceLimits, shown: str) -> None:
        self._wire, self._read_into, self._limits = wire, answer.read_into, limits
        self._chunk = bytearray(256 * 1024)
        self._first = self._beginning()
        if _TEXT.fullmatch(self._first):
            raise _a_playlist(shown, next((name for begin, name in _BEGINS if self._first.lstrip().startswith(begin)), "text"))
        self.failure: str | None = None
        self._stopped = threading.Event()
        self._listener = ffmpeg.LoopbackListener()
        self.url = f"tcp://127.0.0.1:{self._listener.port}"
        self._guest: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="pump", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it; the connection to the camera is closed too."""
        self._stopped.set()
        self._listener.close()
        self._wire.close()
        if self._guest is not None:
            with_shutdown(self._guest)
        self._thread.join(1.0)

    def _beginning(self) -> bytes:
        """The first bytes, at most 16; more may have come."""
        first, view = b"", memoryview(self._chunk)
        while len(first) < _BEGINNING_BYTES and (count := self._read_into(view[: _BEGINNING_BYTES - len(first)])) > 0:
            first += view[:count]
        return first

    def _run(self) -> None:
        view = memoryview(self._chunk)
        try:
            self._guest = self._listener.accept_own(self._limits.open_timeout_ms / 1000, self._stopped.is_set)
            if self._guest is None:
                return
            self._guest.settimeout(self._limits.read_timeout_ms / 1000)
            self._guest.sendall(self._first)
            while not self._stopped.is_set():
                self._wire.within(self._limits.read_timeout_ms / 1000)
                count = self._read_into(view)
                if count == 0:
                    return
                self._guest.sendall(view[:count])
        except MessageError as error:
            self.failure = str(error)
        except (OSError, ValueError):
            return  # one of the two went away; FFmpeg's side says so
        finally:
            self._wire.close()
            if self._guest is not None:
                with_shutdown(self._guest)


class HttpCamera(OpenCvSource):
    """``http://`` or ``https://``: ``multipart/x-mixed-replace`` of JPEGs, or a stream of a format that holds its pictures itself.

    A connection that is refused, closed or gives no whole picture for ``read_timeout_ms`` is a SourceError; so are redirects, playlists
    (HLS, DASH, SDP …), files and pictures, packed answers, and parts of more than 16 MB. A picture of more than ``max_megapixels`` is not
    decoded. Pictures of another size than the first are scaled to it.

    Args:
        url: with its credentials, which no message shows.
        limits: how long to wait for what, how large a picture may be, and whose certificate to trust.
        clock: stamps the frames.

    Raises:
        ConfigError: the address cannot be read.
    """

    def __init__(self, url: str, *, limits: SourceLimits, clock: Clock | None = None) -> None:
        super().__init__(show_url(url), limits=limits, clock=clock)
        self._address = Address.parse(url)
        check_trust(limits.trust)
        self._wire: Wire | None = None
        self._parts: Multipart | None = None
        self._pump: Pump | None = None
        self._first_hw_px: tuple[int, int] | None = None

    @classmethod
    def from_uri(cls, uri: str, rest: str, *, limits: SourceLimits, clock: Clock) -> HttpCamera:
        """What ``--source`` names: the address as it is, with its scheme in small letters."""
        return cls(uri[: len(uri) - len(rest)].lower() + rest, limits=limits, clock=clock)

    def _open(self) -> None:
        self._wire, answer = get(self._address, self._limits.trust, self.shown, self._limits.open_timeout_ms / 1000)
        try:
            if answer.content_type.startswith("multipart/"):
                self._parts = Multipart(Feed(answer.read_into), answer.head.get("content-type"))
                return
            self._refuse_what_is_no_stream(answer)
            self._pump = Pump(self._wire, answer, self._limits, self.shown)
            super()._open()
        except MessageError as error:
            raise SourceError(f"{self.shown}: no stream comes from there: {error}") from error
        except TimeoutError as error:
            raise SourceError(f"{self.shown}: no stream comes from there: nothing came in time") from error

    def _connect(self) -> cv2.VideoCapture:
        assert self._pump is not None
        assert self._wire is not None
        limits = self._limits
        waits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, self._wire.left_ms(), cv2.CAP_PROP_READ_TIMEOUT_MSEC, limits.read_timeout_ms]
        walls = {"protocol_whitelist": "tcp", "format_whitelist": ffmpeg.STREAM_FORMATS, "fflags": "discardcorrupt"}
        capture = ffmpeg.open_walled(self._pump.url, walls, max_pixels=limits.max_pixels, waits=waits)
        if not capture.isOpened():
            raise SourceError(
                f"{self.shown}: no stream comes from there: it is none of the formats that are read",
                fix="let the camera send MJPEG, MPEG-TS or RTSP",
            )
        length = capture.get(cv2.CAP_PROP_FRAME_COUNT)  # unknown (negative or 0) for what has no end
        if length > 1:
            capture.release()
            raise _a_file(self.shown, f"a video file of {length:.0f} frames")
        ffmpeg.check_announced(capture, self.shown, limits.max_pixels)
        return capture

    def _read(self, wait_s: float) -> Shot | None:
        if self._parts is None or self._wire is None:
            return super()._read(wait_s)
        asked_s = time.monotonic()
        self._wire.within(self._limits.read_timeout_ms / 1000)
        try:
            content = self._parts.next_part()
        except TimeoutError as error:
            raise self._too_slow(self._wire.heard_s > asked_s + self._limits.read_timeout_ms / 2000) from error
        except MessageError as error:
            raise SourceError(f"{self.shown}: {error}", fix="check the camera: no camera means to send that") from error
        except OSError as error:
            raise SourceError(f"{self.shown}: the stream ended: {error.strerror or error}") from error
        if content is None:
            raise SourceError(f"{self.shown}: the stream ended")
        pixels = self._decoded(content)
        self._count_broken(pixels is None)
        return None if pixels is None else Shot(pixels)

    def _decoded(self, content: bytes | bytearray) -> U8Image | None:
        """H×W×3 uint8 RGB; None if it is broken. Raises SourceError: larger than allowed, which is looked at first."""
        try:
            height, width = picture_size_hw_px(bytes(content), self.shown) if content.startswith(_JPEG) else (0, 0)
        except DataError:
            return None
        if height * width > self._limits.max_pixels:
            raise too_large(self.shown, (height, width), self._limits.max_pixels)
        rgb = _decode_rgb(content) if height else None
        if rgb is None or rgb.shape[:2] != (height, width):
            return None
        self._first_hw_px = self._first_hw_px or rgb.shape[:2]
        if rgb.shape[:2] != self._first_hw_px:
            h, w = self._first_hw_px
            rgb = cv2.resize(rgb, (w, h), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        return rgb

    def _silent(self, waited_ms: float) -> SourceError:
        if self._pump is not None and self._pump.failure is not None:
            return SourceError(f"{self.shown}: {self._pump.failure}")
        if waited_ms >= self._limits.read_timeout_ms:
            return self._too_slow(False)
        return SourceError(f"{self.shown}: the stream ended")

    def _too_slow(self, something_came: bool) -> SourceError:
        what = "no whole picture" if something_came else "nothing"
        return SourceError(f"{self.shown}: the stream stalled: {what} came for {self._limits.read_timeout_ms} ms")

    def _refuse_what_is_no_stream(self, answer: Response) -> None:
        kind = answer.content_type
        if kind in _PLAYLISTS:
            raise _a_playlist(self.shown, _PLAYLISTS[kind])
        if kind.startswith("image/") and answer.length is not None:
            raise SourceError(f"{self.shown}: a single picture, not a camera's stream", fix="write the address of its stream")
        if kind.startswith("text/") or kind in ("application/json", "application/xml"):
            raise SourceError(
                f"{self.shown}: no stream comes from there: it answers with a page",
                fix="write the address of the camera's stream",
            )
        if answer.length is not None:
            what = "a video file" if kind.startswith("video/") else "a file"
            raise _a_file(self.shown, f"{what} of {answer.length:,} bytes")

    def _interrupt(self) -> None:
        if self._pump is not None:
            self._pump.close()
        if self._wire is not None:
            self._wire.close()

    def _close(self) -> None:
        super()._close()
        self._interrupt()


def _decode_rgb(content: bytes | bytearray) -> U8Image | None:
    """A JPEG as H×W×3 uint8 RGB, as the sensor saw it (not turned); None if it is broken."""
    at_once = getattr(cv2, "IMREAD_COLOR_RGB", None)  # since OpenCV 4.11
    flags = (cv2.IMREAD_COLOR if at_once is None else at_once) | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
        if picture is not None and at_once is None:
            picture = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    except cv2.error:
        return None
    return None if picture is None else picture.astype(np.uint8, copy=False)


def _a_file(shown: str, what: str) -> SourceError:
    return SourceError(f"{shown}: {what}, not a camera's stream", fix="download it and give its path")


def _a_playlist(shown: str, kind: str) -> SourceError:
    return SourceError(
        f"{shown}: no stream comes from there: it answers with {kind}, which names other addresses or none at all",
        fix="write the address of the camera's own stream: MJPEG, MPEG-TS or RTSP",
    )
