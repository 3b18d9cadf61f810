"""Network cameras over HTTP: MJPEG read by ourselves, other video handed to FFmpeg byte by byte."""

from __future__ import annotations

import re
import threading
import time

import cv2
import numpy as np

from edge.clock import Clock
from edge.data import U8Image
from edge.errors import SourceError
from edge.sources import ffmpeg
from edge.sources.base import Limits
from edge.sources.credentials import redact
from edge.sources.http import Answer, Feed, get
from edge.sources.live import Shot
from edge.sources.opencv import OpenCvSource
from edge.sources.wire import Address, Head, MessageError, Wire, parse_head, with_shutdown

MAX_PART_BYTES = 16_000_000
_MAX_BOUNDARY_BYTES = 200  # RFC 2046 5.1.1 allows 70
_MAX_BETWEEN_BYTES = 64 * 1024  # before the first part, and from a part to the next
_MAX_SCANS = 64  # of a progressive JPEG; encoders make about ten, and each costs a pass over the whole picture

_PLAYLISTS = {
    "application/vnd.apple.mpegurl": "HLS",
    "application/x-mpegurl": "HLS",
    "audio/mpegurl": "HLS",
    "audio/x-mpegurl": "HLS",
    "application/dash+xml": "DASH",
    "application/sdp": "SDP",
    "application/vnd.ms-sstr+xml": "Smooth Streaming",
    "video/x-ms-asx": "ASX",
}
_PLAYLIST_BEGINS = {b"#EXTM3U": "HLS", b"<?xml": "XML", b"<MPD": "DASH", b"v=0": "SDP", b"ffconcat": "concat", b"[": "a list", b"<": "HTML or XML"}


class Multipart:
    """The parts of a ``multipart/x-mixed-replace`` body (RFC 2046 5.1), as cameras send them: with or without Content-Length.

    Args:
        feed: the body.
        content_type: the header, which names the boundary.
        max_part_bytes: of one part.

    Raises:
        MessageError: the boundary is none.
    """

    def __init__(self, feed: Feed, content_type: str, max_part_bytes: int = MAX_PART_BYTES) -> None:
        self._feed, self._max = feed, max_part_bytes
        named = re.search(r";\s*boundary\s*=\s*(?:\"([^\"]*)\"|([^\s;]*))", content_type, re.IGNORECASE)
        boundary = (named[1] or named[2] or "") if named is not None else ""
        if len(boundary) > _MAX_BOUNDARY_BYTES:
            raise MessageError(f"its boundary is longer than {_MAX_BOUNDARY_BYTES} bytes")
        # Some name it with the two dashes that stand before it, some do not.
        self._mark = b"--" + boundary.encode(errors="surrogateescape").lstrip(b"-")
        self._to_mark = True

    def next_part(self) -> bytes | bytearray | None:
        """The content of the next part; None at the end. Raises MessageError: larger than allowed, or no part."""
        if self._to_mark and not self._skip_to_mark():
            return None
        head = self._part_head()
        if head is None:
            return None
        length = head.length(self._max)
        if length is not None:
            self._to_mark = True
            return self._feed.exactly(length)
        return self._up_to_mark()

    def _skip_to_mark(self) -> bool:
        """Past the line with the boundary. False at the end."""
        skipped = 0
        while (line := self._feed.line(_MAX_BETWEEN_BYTES)) is not None:
            if line.lstrip(b"-").startswith(self._mark.lstrip(b"-")) and line.startswith(b"--"):
                return not (line.rstrip().endswith(b"--") and len(self._mark) > 2 and line.rstrip() == self._mark + b"--")
            skipped += len(line) + 1
            if skipped > _MAX_BETWEEN_BYTES:
                raise MessageError(f"no part begins within {_MAX_BETWEEN_BYTES:,} bytes")
        return False

    def _part_head(self) -> Head | None:
        """Of lines up to an empty one, which there may be none before. Raises MessageError."""
        lines: list[bytes] = []
        while (line := self._feed.line(_MAX_HEAD)) is not None:
            if not line:
                return parse_head(b"\n".join(lines), first_line=False)
            lines.append(line)
            if sum(map(len, lines)) > _MAX_HEAD:
                raise MessageError(f"the headers of a part are longer than {_MAX_HEAD:,} bytes")
        return None

    def _up_to_mark(self) -> bytes | None:
        """Content without a length ends where the next boundary stands at the beginning of a line."""
        buffer, end, looked = self._feed.buffer, b"\n" + self._mark, 0
        while (found := buffer.find(end, looked)) < 0:
            looked = max(0, len(buffer) - len(end))
            if len(buffer) > self._max:
                raise MessageError(f"a part is longer than {self._max:,} bytes")
            if not self._feed.more():
                return None
        content = bytes(buffer[:found]).removesuffix(b"\r")
        del buffer[: found + 1]
        self._to_mark = True
        return content


_MAX_HEAD = 8 * 1024


def jpeg_size_hw_px(content: bytes | bytearray) -> tuple[int, int]:
    """Height and width that a JPEG announces (ITU-T T.81, B.2.2), found as its decoder looks for them.

    Raises:
        ValueError: no JPEG, one that announces no size before its pixels, or one of too many scans.
    """
    if content[:2] != b"\xff\xd8" or content.count(b"\xff\xda") > _MAX_SCANS:
        raise ValueError("no JPEG that a camera makes")
    position = 2
    while (position := content.find(b"\xff", position)) >= 0 and position + 9 < len(content):
        marker = content[position + 1]
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD7:  # stuffing, TEM, fill, RST: nothing follows them
            position += 1 if marker == 0xFF else 2
            continue
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            height, width = (int.from_bytes(content[position + at : position + at + 2], "big") for at in (5, 7))
            if height == 0 or width == 0:
                raise ValueError("a JPEG without a size")
            return height, width
        if marker in (0xD8, 0xD9, 0xDA):
            break
        position += 2 + int.from_bytes(content[position + 2 : position + 4], "big")
    raise ValueError("a JPEG without a size")


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

    def __init__(self, url: str, *, limits: Limits, clock: Clock | None = None) -> None:
        super().__init__(redact(url), limits=limits, clock=clock)
        self._address = Address.parse(url)
        self._wire: Wire | None = None
        self._parts: Multipart | None = None
        self._pump: Pump | None = None
        self._first_hw_px: tuple[int, int] | None = None

    @classmethod
    def from_uri(cls, uri: str, rest: str, *, limits: Limits, clock: Clock) -> HttpCamera:
        """What ``--source`` names: the address as it is, with its scheme in small letters."""
        return cls(uri[: len(uri) - len(rest)].lower() + rest, limits=limits, clock=clock)

    def _open(self) -> None:
        self._wire, answer = get(self._address, self._limits.trust, self.shown, self._limits.open_timeout_ms / 1000)
        try:
            if answer.content_type.startswith("multipart/"):
                self._parts = Multipart(Feed(answer.read_into), answer.head.get("content-type"))
                return
            self._refuse_what_is_no_stream(answer)
            self._pump = Pump(self._wire, answer, self._limits.open_timeout_ms / 1000)
            super()._open()
        except MessageError as error:
            raise SourceError(f"{self.shown}: no stream comes from there: {error}") from error
        except TimeoutError as error:
            raise SourceError(f"{self.shown}: no stream comes from there: nothing came in time") from error

    def _connect(self) -> cv2.VideoCapture:
        assert self._pump is not None
        limits = self._limits
        waits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limits.open_timeout_ms, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limits.read_timeout_ms]
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
        return Shot(pixels) if self._is_whole(pixels is not None) and pixels is not None else None

    def _decoded(self, content: bytes | bytearray) -> U8Image | None:
        """H×W×3 uint8 RGB; None if it is broken. Raises SourceError: larger than allowed, which is looked at first."""
        try:
            height, width = jpeg_size_hw_px(content)
        except ValueError:
            return None
        if height * width > self._limits.max_pixels:
            raise ffmpeg.too_large(self.shown, width, height, self._limits.max_pixels)
        rgb = decode_rgb(content)
        if rgb is None:
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

    def _refuse_what_is_no_stream(self, answer: Answer) -> None:
        kind = answer.content_type
        if kind in _PLAYLISTS:
            raise _a_playlist(self.shown, _PLAYLISTS[kind])
        if kind.startswith("image/") and answer.length is not None:
            raise SourceError(f"{self.shown}: a single picture, not a camera's stream", fix="write the address of its stream")
        if kind.startswith("text/") or kind in ("application/json", "application/xml"):
            raise SourceError(
                f"{self.shown}: no stream comes from there: it answers with a page", fix="write the address of the camera's stream"
            )
        if answer.length is not None:
            raise _a_file(self.shown, f"a file of {answer.length:,} bytes")

    def _close(self) -> None:
        super()._close()
        if self._pump is not None:
            self._pump.close()
        if self._wire is not None:
            self._wire.close()


def decode_rgb(content: bytes | bytearray) -> U8Image | None:
    """A JPEG as H×W×3 uint8 RGB, as the sensor saw it (not turned); None if it is broken."""
    encoded = np.frombuffer(content, np.uint8)
    try:
        bgr = cv2.imdecode(encoded, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return None
    return None if bgr is None else cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=bgr).astype(np.uint8, copy=False)
