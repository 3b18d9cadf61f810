"""What the outside asks of a running loop: to stop, or to read its configuration again."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from edge.sources.base import Source


class Control:
    """Takes requests in a signal handler; the loop's thread acts on them between two ticks."""

    def __init__(self) -> None:
        self._stopping = False
        self._reload = False
        self._source: Source | None = None

    def attach(self, source: Source) -> None:
        """From now on ``source`` is the one to stop; at once, if that was asked for while there was none."""
        self._source = source
        if self._stopping:
            source.stop()

    def stop(self) -> None:
        """End the loop after the current tick."""
        self._stopping = True
        if self._source is not None:
            self._source.stop()

    def reload(self) -> None:
        """Read the configuration again after the current tick."""
        self._reload = True

    @property
    def stopping(self) -> bool:
        """Whether the end was asked for."""
        return self._stopping

    def take_reload(self) -> bool:
        """Whether that was asked for since the last time, any number of times."""
        asked, self._reload = self._reload, False
        return asked and not self._stopping


@contextmanager
def stop_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and SIGINT call ``stop`` once; the same signal again does what it does by default (a way out of a hang)."""

    def handle(number: int, _frame: FrameType | None) -> None:
        signal.signal(number, previous[number])
        stop()

    previous = {int(number): signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in previous:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def reload_on_hangup(reload: Callable[[], None]) -> Iterator[None]:
    """SIGHUP calls ``reload``, each time."""
    previous = signal.signal(signal.SIGHUP, lambda *_: reload())
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, previous)
