"""Stores pictures beside the loop: a thread encodes and writes, because syncing two files takes an SD card tens of milliseconds."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np

from edge.data import U8Image
from edge.errors import SinkError
from edge.pictures.ring import Ring, When, file_name

_LOG = logging.getLogger(__name__)

_MEMORY_BYTES = 32_000_000
"""Pictures that wait for the disk: 24 slots emptied at once take 15 MB at 320×320 pixels."""
_TIDY_EVERY_S = 600.0
_WARN_EVERY_S = 60.0
_DRAIN_S = 5.0


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """``max_side_px``: larger crops are made so small; ``quality``: of the JPEGs, 1 to 100; ``memory_bytes``: of pictures that wait;
    ``drain_s``: what waits at the end has so long."""

    max_side_px: int
    quality: int
    memory_bytes: int = _MEMORY_BYTES
    drain_s: float = _DRAIN_S


@dataclass(frozen=True, slots=True)
class _Job:
    name: str
    pixels: U8Image


class PictureKeeper:
    """Takes pictures from the loop and gives them to the ring. Close it.

    Args:
        ring: used by this keeper's thread alone from now on.
        limits: of size, quality and memory.
        live: a camera: a picture for which there is no room in memory is lost, with a warning. A file run waits instead.
    """

    def __init__(self, ring: Ring, limits: PictureLimits, *, live: bool) -> None:
        self._ring, self._limits, self._live = ring, limits, live
        self._changed = threading.Condition()
        self._jobs: deque[_Job] = deque()
        self._bytes = 0
        self._closing = False
        self._error: BaseException | None = None
        self._lost, self._warned_s = 0, -_WARN_EVERY_S
        self._thread = threading.Thread(target=self._work, name="pictures", daemon=True)
        self._thread.start()

    def shrink(self, pixels: U8Image) -> U8Image:
        """A copy of H×W×3 uint8 RGB pixels, its longer side ``max_side_px`` at most."""
        height, width = pixels.shape[:2]
        scale = self._limits.max_side_px / max(height, width)
        if scale >= 1:
            return np.array(pixels)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)

    def keep(self, event_id: str, before: U8Image | None, after: U8Image | None) -> tuple[str, ...]:
        """Take the pictures of an event, H×W×3 uint8 RGB as ``shrink`` made them, to be stored soon.

        Returns:
            A flag for each that was taken: ``picture=before``, ``picture=after``.

        Raises:
            BaseException: what ended the thread, other than a disk that cannot be written, which costs the picture only.
        """
        flags: list[str] = []
        pairs: tuple[tuple[When, U8Image | None], ...] = (("before", before), ("after", after))
        for when, pixels in pairs:
            if pixels is not None and self._take(_Job(file_name(event_id, when), pixels)):
                flags.append(f"picture={when}")
        return tuple(flags)

    def close(self) -> None:
        """Store what waits, for ``drain_s`` at most where it is a camera. Raises as ``keep``."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(self._limits.drain_s if self._live else None)
        if self._thread.is_alive():
            _LOG.warning("%s: %d pictures are lost: the disk does not answer", self._ring.directory, len(self._jobs))
        self._raise_error()

    def _take(self, job: _Job) -> bool:
        with self._changed:
            while True:
                self._raise_error()
                if not self._jobs or self._bytes + job.pixels.nbytes <= self._limits.memory_bytes:
                    break
                if self._live:
                    self._warn("the disk is too slow")
                    return False
                self._changed.wait()
            self._jobs.append(job)
            self._bytes += job.pixels.nbytes
            self._changed.notify_all()
            return True

    def _work(self) -> None:
        """The thread. Its error is raised in the loop."""
        tidy_due_s = time.monotonic() + _TIDY_EVERY_S
        try:
            while True:
                job = self._next(tidy_due_s)
                if job is not None:
                    self._store(job)
                elif self._closing:
                    return
                if time.monotonic() >= tidy_due_s:
                    tidy_due_s = time.monotonic() + _TIDY_EVERY_S
                    self._tidy()
        except BaseException as error:  # noqa: BLE001 - whatever it is, the loop gets it
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _next(self, until_s: float) -> _Job | None:
        """The next picture; None once it is ``until_s``, or at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closing, max(0.0, until_s - time.monotonic()))
            if not self._jobs:
                return None
            job = self._jobs.popleft()
            self._bytes -= job.pixels.nbytes
            self._changed.notify_all()
            return job

    def _store(self, job: _Job) -> None:
        _, encoded = cv2.imencode(".jpg", job.pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, self._limits.quality])
        try:
            self._ring.add(job.name, encoded.tobytes())
        except SinkError as error:
            self._warn(str(error))

    def _tidy(self) -> None:
        try:
            self._ring.tidy()
        except SinkError as error:
            _LOG.warning("old pictures are not deleted: %s", error)

    def _warn(self, reason: str) -> None:
        """Of a picture that is lost: once a minute."""
        with self._changed:
            self._lost += 1
            if time.monotonic() - self._warned_s >= _WARN_EVERY_S:
                _LOG.warning("%d pictures are lost: %s", self._lost, reason)
                self._lost, self._warned_s = 0, time.monotonic()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error
