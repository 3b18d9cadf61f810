"""The seam between the loop and a camera or a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, runtime_checkable

from edge.data import Tick, U8Image
from edge.picture_size import MAX_PIXELS


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose word counts for the certificate of an ``https`` or ``rtsps`` camera.

    ``ca_file``: PEM with the authorities to believe, or the camera's own certificate; None: the system's authorities. ``insecure``:
    nobody's, any certificate of any name will do.
    """

    ca_file: str | None = None
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class SourceLimits:
    """How long a live source waits for what, and how large a picture any source takes.

    ``timeout_ms``: silence after which a NoFrame tick comes. ``frozen_ms``: how long frames may be identical before they count as
    none; 0: for ever. ``open_timeout_ms``: until the camera must be open. ``read_timeout_ms``: a network stream that gives no whole
    picture for so long ends with a SourceError. ``max_pixels``: of a picture or frame; a larger one is not decoded. ``trust``: of a
    network camera's certificate.
    """

    timeout_ms: int = 1_000
    frozen_ms: int = 30_000
    open_timeout_ms: int = 15_000
    read_timeout_ms: int = 10_000
    max_pixels: int = MAX_PIXELS
    trust: Trust = Trust()


class Source(Protocol):
    """An iterable of ticks, used as a context manager.

    ``live``: a camera; it keeps only the newest frame, counts in ``dropped`` what it overwrote, and ends only on ``stop``. A
    file source drops nothing and ends; ``skipped`` counts files that could not be decoded (each is a NoFrame tick).
    ``simulated``: no real camera stands behind it; every frame says so too.
    """

    live: bool
    simulated: bool

    @property
    def dropped(self) -> int:
        """Frames that a newer one overwrote."""
        ...

    @property
    def skipped(self) -> int:
        """Files that could not be decoded."""
        ...

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


@dataclass(frozen=True, slots=True)
class KnownShelf:
    """What an integrator finds out about a real shelf, known beforehand because the shelf is drawn.

    ``boxes_xyxy_px``: name of each slot → left, top, right, bottom in pixels of the frame, right and bottom excluded. ``empty``: H×W×3
    uint8 RGB, the emptied shelf in its usual light. Such a shelf begins anew with each start of its source.
    """

    boxes_xyxy_px: Mapping[str, tuple[int, int, int, int]]
    empty: U8Image


@runtime_checkable
class KnowsItsShelf(Protocol):
    """What a Source may be besides. No real camera is: where its slots are is a fact of the site."""

    def known_shelf(self) -> KnownShelf | None:
        """The shelf that it shows; None if it was not asked to tell."""
        ...
