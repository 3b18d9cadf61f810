"""Cameras that OpenCV reads: one place that knows how its captures fail, and that its pictures are BGR."""

from __future__ import annotations

from abc import abstractmethod

import cv2
import numpy as np

from edge.data import U8Image
from edge.errors import SourceError
from edge.picture_size import MAX_PIXELS
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
        except cv2.error as error:  # also: not enough memory for the picture
            raise SourceError(f"{self.shown}: {error.err}") from error
        if not grabbed:
            raise self._silent((self._clock.mono_ns() - asked_ns) / 1e6)
        broken = not decoded or bgr is None or bgr.size == 0
        self._count_broken(broken)
        return None if broken else Shot(bgr_to_rgb(bgr, self.shown, self._limits.max_pixels))

    def _count_broken(self, broken: bool) -> None:
        """Raises SourceError at the 50th in a row."""
        self._broken = self._broken + 1 if broken else 0
        if self._broken >= _MAX_BROKEN:
            raise SourceError(f"{self.shown}: {_MAX_BROKEN} pictures in a row cannot be decoded")

    def _close(self) -> None:
        if self._device is not None:
            self._device.release()
            self._device = None


def bgr_to_rgb(bgr: object, shown: str, max_pixels: int = MAX_PIXELS) -> U8Image:
    """A new H×W×3 uint8 RGB array. Raises SourceError if ``bgr`` is no H×W×3 uint8, or has more than ``max_pixels``."""
    picture = check_picture(bgr, shown)
    if picture.shape[0] * picture.shape[1] > max_pixels:
        raise too_large(shown, (picture.shape[0], picture.shape[1]), max_pixels)
    try:
        return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
    except cv2.error as error:
        raise SourceError(f"{shown}: {error.err}") from error


def too_large(shown: str, size_hw_px: tuple[int, int], max_pixels: int) -> SourceError:
    """What is said of a picture with more than ``max_pixels``."""
    height, width = size_hw_px
    return SourceError(
        f"{shown}: a picture of {width:,}×{height:,} pixels; at most {max_pixels / 1e6:g} megapixels are decoded",
        fix="have the camera send a smaller one, or raise max_megapixels under [camera]",
    )
