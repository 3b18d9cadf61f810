"""Cameras that OpenCV reads: one place that knows how its captures fail, and that its pictures are BGR."""

from __future__ import annotations

from abc import abstractmethod

import cv2
import numpy as np

from edge.data import U8Image
from edge.errors import SourceError
from edge.sources.live import LiveSource, Shot, check_picture

_MAX_BROKEN = 50  # in a row; cheap USB cameras break a JPEG now and then, and a lost packet breaks some frames of a stream


class OpenCvSource(LiveSource):
    """A LiveSource over a ``cv2.VideoCapture``. A picture that cannot be decoded is passed over; 50 in a row are a SourceError."""

    _device: cv2.VideoCapture | None = None
    _broken = 0

    @abstractmethod
    def _connect(self) -> cv2.VideoCapture:
        """An opened capture. Raises SourceError."""

    @abstractmethod
    def _silent(self, waited_ms: float) -> SourceError:
        """What to raise when the capture delivered nothing more after ``waited_ms``."""

    def _open(self) -> None:
        self._device = self._connect()

    def _read(self, wait_s: float) -> Shot | None:
        assert self._device is not None
        asked_ns = self._clock.mono_ns()
        try:
            grabbed = self._device.grab()
            decoded, bgr = self._device.retrieve() if grabbed else (False, None)
        except cv2.error as error:
            raise SourceError(f"{self.shown}: {error.err}") from error
        if not grabbed:
            raise self._silent((self._clock.mono_ns() - asked_ns) / 1e6)
        if not decoded or bgr is None or bgr.size == 0:
            self._broken += 1
            if self._broken >= _MAX_BROKEN:
                raise SourceError(f"{self.shown}: {_MAX_BROKEN} pictures in a row cannot be decoded")
            return None
        self._broken = 0
        return Shot(bgr_to_rgb(bgr, self.shown))

    def _close(self) -> None:
        if self._device is not None:
            self._device.release()
            self._device = None


def bgr_to_rgb(bgr: object, shown: str) -> U8Image:
    """A new H×W×3 uint8 RGB array. Raises SourceError if ``bgr`` is no H×W×3 uint8."""
    return cv2.cvtColor(check_picture(bgr, shown), cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
