"""Network cameras through OpenCV's FFmpeg: RTSP over TCP, and MJPEG or any other video over HTTP."""

from __future__ import annotations

import os

import cv2

from edge.clock import Clock
from edge.errors import SourceError
from edge.secret import show_url
from edge.sources.base import Limits
from edge.sources.opencv import OpenCvSource

_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"  # the only way to hand FFmpeg an option through OpenCV
_OVER_TCP = "rtsp_transport;tcp|fflags;discardcorrupt"
"""Over UDP one lost packet smears the picture until the next key frame. Half a picture, which a stream broke off in, would be decoded
and pass for one that is grey below."""


class NetworkStream(OpenCvSource):
    """``rtsp://``, ``rtsps://``, ``http://`` or ``https://``.

    A connection that is refused, closed, or silent for ``read_timeout_ms`` is a SourceError. A video file behind ``http://`` is one
    too: it would be played as fast as it can be loaded, and most of it dropped.

    Args:
        url: with its credentials, which no message shows.
        limits: how long to wait for what.
        clock: stamps the frames.
    """

    def __init__(self, url: str, *, limits: Limits, clock: Clock | None = None) -> None:
        super().__init__(show_url(url), limits=limits, clock=clock)
        self._url = url

    @classmethod
    def from_uri(cls, uri: str, rest: str, *, limits: Limits, clock: Clock) -> NetworkStream:
        """What ``--source`` names: the address as it is, with its scheme in small letters."""
        scheme = uri[: len(uri) - len(rest)].lower()
        return cls(scheme + rest, limits=limits, clock=clock)

    def _connect(self) -> cv2.VideoCapture:
        os.environ.setdefault(_OPTIONS, _OVER_TCP)
        # OpenCV measures both times from inside, so what it gives up is given up before the loop would.
        waits = [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
            self._limits.open_timeout_ms,
            cv2.CAP_PROP_READ_TIMEOUT_MSEC,
            self._limits.read_timeout_ms,
        ]
        capture = cv2.VideoCapture(self._url, cv2.CAP_FFMPEG, waits)
        if not capture.isOpened():
            raise SourceError(
                f"{self.shown}: no stream comes from there",
                fix="check address, user and password; `shelfcam cameras --source URI` tries it, and standard error has FFmpeg's reason",
            )
        length = capture.get(cv2.CAP_PROP_FRAME_COUNT)  # unknown (negative or 0) for what has no end
        if self._url.startswith("http") and length > 1:
            capture.release()
            raise SourceError(
                f"{self.shown}: a video file of {length:.0f} frames, not a camera's stream", fix="download it and give its path"
            )
        return capture

    def _silent(self, waited_ms: float) -> SourceError:
        if waited_ms >= self._limits.read_timeout_ms:
            return SourceError(f"{self.shown}: the stream stalled: nothing came for {self._limits.read_timeout_ms} ms")
        return SourceError(f"{self.shown}: the stream ended")
