"""The seam between the loop and a camera or a file."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Protocol

from edge.data import Tick


class Source(Protocol):
    """An iterable of ticks, used as a context manager.

    ``live``: a camera; it keeps only the newest frame, counts in ``dropped`` what it overwrote, and ends only on ``stop``. A
    file source drops nothing and ends; ``skipped`` counts files that could not be decoded (each is a NoFrame tick).
    ``simulated``: no real camera stands behind it; every frame says so too.
    """

    live: bool
    simulated: bool
    dropped: int
    skipped: int

    def __iter__(self) -> Iterator[Tick]:
        """Ticks in the order of capture. A worker thread's error is raised here."""
        ...

    def stop(self) -> None:
        """End the iteration after the current tick; safe from a signal handler and from another thread."""
        ...

    def __enter__(self) -> Source:
        """Open the camera or the file. Raises SourceError, InputMissingError or DataError."""
        ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close it; never raises."""
        ...
