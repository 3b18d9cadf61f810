"""The newest-frame slot between a camera's thread and the loop: no work on an old picture while a newer one waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from edge.clock import Clock
from edge.data import Frame, NoFrame, NoFrameReason, Tick


class NewestFrame:
    """Room for one frame, for one producer thread and one consumer.

    ``dropped`` counts the frames that a newer one replaced before they were taken.
    """

    def __init__(self) -> None:
        # Its default lock is re-entrant: close() may run in a signal handler that interrupts get() in the same thread.
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._error: Exception | None = None
        self._finished = False
        self._closed = False
        self.dropped = 0

    def put(self, frame: Frame) -> None:
        """Producer: offer a frame; an older one that was not taken is dropped and counted."""
        with self._changed:
            if self._frame is not None:
                self.dropped += 1
            self._frame = frame
            self._changed.notify_all()

    def finish(self, error: Exception | None = None) -> None:
        """Producer: no more frames. A waiting one is still delivered; then ``error``, if any, is raised in the consumer."""
        with self._changed:
            self._finished, self._error = True, error
            self._changed.notify_all()

    def close(self) -> None:
        """Anyone, also a signal handler: end it now. Wakes both sides; a frame not yet taken is forgotten."""
        with self._changed:
            self._closed = True
            self._frame = None
            self._changed.notify_all()

    def wait_closed(self, timeout_s: float) -> bool:
        """Producer: sleep until the next frame is due. Returns True, at once, when the slot was closed."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closed, timeout_s)

    def get(self, timeout_s: float) -> Frame | None:
        """Consumer: the newest frame, once; None after ``timeout_s`` without one, or when there will be no more (``ended``).

        Raises:
            Exception: what the producer passed to ``finish``, as it is.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or self._finished or self._closed, timeout_s)
            frame, self._frame = self._frame, None
            if frame is None and self._error is not None and not self._closed:
                raise self._error
            return frame

    @property
    def ended(self) -> bool:
        """Whether ``get`` can neither return a frame nor raise the producer's error any more."""
        with self._changed:
            return self._closed or (self._finished and self._frame is None and self._error is None)


def live_ticks(slot: NewestFrame, timeout_ms: int, clock: Clock) -> Iterator[Tick]:
    """What a live source iterates over: the newest frames, and NoFrame(TIMEOUT) after each ``timeout_ms`` without one."""
    while not slot.ended:
        frame = slot.get(timeout_ms / 1000)
        if frame is not None:
            yield frame
        elif not slot.ended:
            yield NoFrame(NoFrameReason.TIMEOUT, f"no frame within {timeout_ms} ms", clock.mono_ns())
