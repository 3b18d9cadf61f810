"""A video file as a source: every frame, as fast as the loop takes them. ``captured_utc`` is the moment of reading."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from edge.clock import Clock
from edge.data import Tick
from edge.errors import DataError, InputMissingError
from edge.picture_size import MAX_PIXELS, refuse_large
from edge.sources import ffmpeg
from edge.sources.pull import PullSource

VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mkv", ".mov", ".m4v", ".webm", ".mjpeg"})


class VideoFile(PullSource):
    """The frames of a video, named ``FILE#INDEX`` from 0, turned upright as the file says.

    Opening raises InputMissingError (no such file) or DataError (no video, or frames of more than ``max_pixels``). A video that
    breaks off ends there.
    """

    def __init__(self, path: Path, *, max_pixels: int = MAX_PIXELS, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self._path = path
        self._max_pixels = max_pixels
        self._capture: cv2.VideoCapture | None = None

    def _open(self) -> None:
        if not self._path.is_file():
            raise InputMissingError(f"{self._path}: no such file")
        walls = {"protocol_whitelist": "file", "format_whitelist": ffmpeg.FILE_FORMATS}
        # Absolute, so that no part of its name is taken for a protocol.
        self._capture = ffmpeg.open_walled(str(self._path.absolute()), walls, max_pixels=self._max_pixels)
        if not self._capture.isOpened():
            self._release()
            raise DataError(f"{self._path}: cannot be opened as a video")
        height, width = ffmpeg.announced_hw_px(self._capture)  # known before a frame is decoded
        try:
            refuse_large((height, width), str(self._path), self._max_pixels)
        except DataError:
            self._release()
            raise

    def _ticks(self) -> Iterator[Tick]:
        index = 0
        while self._capture is not None:
            delivered, bgr = self._capture.read()
            if not delivered:
                break
            refuse_large(
                bgr.shape[:2], f"{self._path}#{index}", self._max_pixels
            )  # FFmpeg itself decodes none above 268 megapixels
            rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
            yield self._frame(rgb, f"{self._path}#{index}")
            index += 1
        if index == 0:
            raise DataError(f"{self._path}: no frame in it can be decoded")

    def _release(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None
