"""SIGTERM ends a long command as Ctrl-C does: by an exception, so that whatever it had begun to write is taken away again."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def stoppable() -> Iterator[None]:
    """Inside the block SIGTERM raises KeyboardInterrupt in the main thread; outside the main thread nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signal module's
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not interrupt the tidying up
    raise KeyboardInterrupt
