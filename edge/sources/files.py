"""Pictures from disk as sources. ``captured_utc`` is the moment of reading: a file's own dates are not to be relied on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge.clock import Clock
from edge.data import NoFrame, NoFrameReason, Tick
from edge.errors import DataError, InputMissingError
from edge.images import list_images, read_rgb
from edge.picture_size import MAX_PIXELS
from edge.sources.pull import PullSource


class ImageFile(PullSource):
    """One picture, one frame.

    Opening raises InputMissingError (no such file) or DataError (no picture, or one of more than ``max_pixels``).
    """

    def __init__(self, path: Path, *, max_pixels: int = MAX_PIXELS, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self._path = path
        self._max_pixels = max_pixels

    def _open(self) -> None:
        self._opened = self._frame(read_rgb(self._path, self._max_pixels), str(self._path))

    def _ticks(self) -> Iterator[Tick]:
        yield self._opened


class ImageDirectory(PullSource):
    """Every picture below a directory, sorted by path.

    One that cannot be read, or has more than ``max_pixels``, becomes a NoFrame tick that names it, and counts in ``skipped``.

    Opening raises InputMissingError (no such directory, or no picture in it).
    """

    def __init__(self, path: Path, *, max_pixels: int = MAX_PIXELS, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self._path = path
        self._max_pixels = max_pixels

    def _open(self) -> None:
        self._files = list_images(self._path)

    def _ticks(self) -> Iterator[Tick]:
        for file in self._files:
            try:
                yield self._frame(read_rgb(file, self._max_pixels), str(file))
            except (DataError, InputMissingError) as error:  # also a file that was deleted since it was listed
                self.skipped += 1
                yield NoFrame(NoFrameReason.CORRUPT, str(error), self._clock.mono_ns())
