"""Network cameras over RTSP: FFmpeg reads the pictures, and a relay of our own speaks with the camera (``edge.sources.relay``)."""

from __future__ import annotations

import cv2

from edge.clock import Clock
from edge.errors import SourceError
from edge.secret import show_url
from edge.sources import ffmpeg
from edge.sources.base import SourceLimits
from edge.sources.opencv import OpenCvSource
from edge.sources.relay import RtspRelay
from edge.sources.wire import Address, check_trust

_WALLS = {
    # Over UDP one lost packet smears the picture until the next key frame.
    "rtsp_transport": "tcp",
    "protocol_whitelist": "tcp",
    "format_whitelist": "rtsp",
    "allowed_media_types": "video",
    # Half a picture, which a stream broke off in, would be decoded and pass for one that is grey below.
    "fflags": "discardcorrupt",
}


class RtspCamera(OpenCvSource):
    """``rtsp://`` or ``rtsps://``: video over RTP, in the same connection.

    A connection that is refused, closed, or gives no picture for ``read_timeout_ms`` is a SourceError; so are redirects, a certificate
    that ``limits.trust`` does not cover, and a stream that would come any other way.

    Args:
        url: with its credentials, which no message shows and FFmpeg never sees.
        limits: how long to wait for what, how large a picture may be, and whose certificate to trust.
        clock: stamps the frames.

    Raises:
        ConfigError: the address or the certificate file cannot be read.
    """

    def __init__(self, url: str, *, limits: SourceLimits, clock: Clock | None = None) -> None:
        super().__init__(show_url(url), limits=limits, clock=clock)
        self._address = Address.parse(url)
        self._relay: RtspRelay | None = None
        check_trust(limits.trust)

    @classmethod
    def from_uri(cls, uri: str, rest: str, *, limits: SourceLimits, clock: Clock) -> RtspCamera:
        """What ``--source`` names: the address as it is, with its scheme in small letters."""
        return cls(uri[: len(uri) - len(rest)].lower() + rest, limits=limits, clock=clock)

    def _connect(self) -> cv2.VideoCapture:
        limits = self._limits
        self._relay = RtspRelay(self._address, limits, self.shown)
        # OpenCV measures both times from inside, so what it gives up is given up before the loop would.
        waits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, self._relay.left_ms, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limits.read_timeout_ms]
        capture = ffmpeg.open_walled(self._relay.url, _WALLS, max_pixels=limits.max_pixels, waits=waits)
        if not capture.isOpened():
            raise self._relay.failure or SourceError(
                f"{self.shown}: no stream comes from there", fix="check the address; standard error has FFmpeg's reason"
            )
        ffmpeg.check_announced(capture, self.shown, limits.max_pixels)
        return capture

    def _silent(self, waited_ms: float) -> SourceError:
        if self._relay is not None and self._relay.failure is not None:
            return self._relay.failure
        if waited_ms >= self._limits.read_timeout_ms:
            return SourceError(f"{self.shown}: the stream stalled: nothing came for {self._limits.read_timeout_ms} ms")
        return SourceError(f"{self.shown}: the stream ended")

    def _interrupt(self) -> None:
        if self._relay is not None:
            self._relay.close()

    def _close(self) -> None:
        super()._close()
        if self._relay is not None:
            self._relay.close()
