"""What all sources have in common that are read on demand: they drop nothing, wait for nobody, and end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType

from edge.clock import Clock
from edge.data import Frame, Tick, U8Image


class PullSource(ABC):
    """A Source whose next tick is made when the loop asks for it. One pass: iterating again goes on where it ended."""

    live = False
    simulated = False

    def __init__(self, clock: Clock | None = None) -> None:
        self.dropped = 0
        self.skipped = 0
        self._clock = clock or Clock()
        self._stopped = False
        self._produced = 0
        self._pass: Iterator[Tick] | None = None

    @abstractmethod
    def _open(self) -> None:
        """Find the input and fail early. Raises InputMissingError or DataError."""

    @abstractmethod
    def _ticks(self) -> Iterator[Tick]:
        """Every tick, in order."""

    def _release(self) -> None:  # noqa: B027 - most have nothing to give back
        """Give back what ``_open`` took; may be called twice, and without ``_open``."""

    def _frame(self, pixels: U8Image, name: str | None) -> Frame:
        """The next frame, stamped with now: nobody knows when a picture in a file was really taken."""
        seq, self._produced = self._produced, self._produced + 1
        clock = self._clock
        return Frame(pixels, seq, clock.mono_ns(), clock.utc(), clock.synced(), self.simulated, name)

    def __iter__(self) -> Iterator[Tick]:
        if self._pass is None:
            raise RuntimeError(f"{type(self).__name__} is iterated before it was opened: use it in a with block")
        while not self._stopped:
            tick = next(self._pass, None)
            if tick is None:
                return
            yield tick

    def stop(self) -> None:
        """End the iteration after the current tick."""
        self._stopped = True  # a plain flag, so that a signal handler can set it at any moment

    def __enter__(self) -> PullSource:
        self._open()
        self._pass = self._ticks()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stopped = True
        self._release()
