"""What all live cameras have in common: a thread that alone touches the device, the newest-frame slot, and silence as ticks."""

from __future__ import annotations

import atexit
import logging
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from hashlib import blake2b
from types import TracebackType

import numpy as np

from edge.clock import Clock
from edge.data import Frame, NoFrame, NoFrameReason, Tick, U8Image
from edge.errors import SourceError
from edge.sources.base import SourceLimits
from edge.sources.newest import NewestFrame, live_ticks

_LOG = logging.getLogger(__name__)

_POLL_S = 0.1  # how soon a capture thread notices that nobody wants its frames any more
_GRACE_S = 0.25  # beyond open_timeout_ms, for a device's own word on why it did not open in that time
_CLOSE_S = 3.0  # a driver that hangs longer keeps its thread, which ends with the process


_SOURCES: weakref.WeakSet[LiveSource] = weakref.WeakSet()
_FROZEN_STEP_PX = 8  # every eighth row and column: 43 KB of a 1280×720 frame


@atexit.register
def _end_threads() -> None:
    """A thread that comes back from C++ when Python is gone aborts the process, which then does not end with its own exit code."""
    for source in [source for source in _SOURCES if source._thread.is_alive()]:
        source.stop()
        source._interrupt()
        source._thread.join(_CLOSE_S)


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture as a device delivered it: H×W×3 uint8 RGB, owned; when it was taken, if the device says (``time.monotonic_ns``); the same
    in less pixels, if the device makes that too."""

    pixels: U8Image
    captured_mono_ns: int | None = None
    small: U8Image | None = None


class LiveSource(ABC):
    """A Source over a camera. Subclasses open, read and close the device; all three are called by the capture thread only.

    The loop's thread never waits for the device: opening is given up after ``open_timeout_ms``, ``stop`` works at once, and while a
    read blocks, NoFrame ticks go on. A frame of another shape than the first, or no H×W×3 uint8, is a SourceError. Frames that stayed
    the same for ``frozen_ms`` are no frames: NoFrame(FROZEN) comes instead, each ``timeout_ms``.

    Args:
        shown: what messages call the camera; without credentials.
        size_hw_px: height and width that the frames must have; None: those of the first.
        limits: how long to wait for what.
        clock: stamps the frames.
    """

    live = True
    simulated = False

    def __init__(
        self, shown: str, *, limits: SourceLimits, size_hw_px: tuple[int, int] | None = None, clock: Clock | None = None
    ) -> None:
        self.dropped = 0
        self.skipped = 0
        self.shown = shown
        self._limits = limits
        self._size_hw_px = size_hw_px
        self._clock = clock or Clock()
        self._slot = NewestFrame()
        self._frozen = FrozenWatch()
        self._frozen_told_ns: int | None = None
        self._ready = threading.Event()
        self._failure: Exception | None = None
        self._next_seq = 0
        self._entered = False
        self._thread = threading.Thread(target=self._capture, name="capture", daemon=True)
        _SOURCES.add(self)

    @abstractmethod
    def _open(self) -> None:
        """Open the device. Raises SourceError or ConfigError."""

    @abstractmethod
    def _read(self, wait_s: float) -> Shot | None:
        """The next picture; None if there was none within about ``wait_s``. May block longer. Raises SourceError."""

    @abstractmethod
    def _close(self) -> None:
        """Give back what ``_open`` took, also when it took only a part."""

    def _interrupt(self) -> None:  # noqa: B027 - few devices can be
        """Have what blocks in the device return soon; called by another thread than the capture thread."""

    def __iter__(self) -> Iterator[Tick]:
        if not self._entered:
            raise RuntimeError(f"{type(self).__name__} is iterated before it was opened: use it in a with block")
        return self._ticks()

    def stop(self) -> None:
        """End the iteration after the current tick."""
        self._slot.close()

    def __enter__(self) -> LiveSource:
        self._entered = True
        if self._slot.ended:
            return self
        self._thread.start()
        deadline_s = time.monotonic() + self._limits.open_timeout_ms / 1000 + _GRACE_S
        try:
            while not self._ready.wait(_POLL_S) and not self._slot.ended and time.monotonic() < deadline_s:
                pass
        except BaseException:  # Ctrl-C while a camera does not answer: nobody will leave what was never entered
            self._slot.close()
            raise
        if self._failure is not None and not self._slot.ended:
            raise self._failure
        if not self._ready.is_set() and not self._slot.ended:
            self._slot.close()
            self._interrupt()
            raise SourceError(f"{self.shown}: did not open within {self._limits.open_timeout_ms} ms")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._slot.close()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_S)
            if self._thread.is_alive():
                _LOG.warning(
                    "%s: the device still blocks %g s after the end; it is closed when it returns", self.shown, _CLOSE_S
                )

    def _ticks(self) -> Iterator[Tick]:
        for tick in live_ticks(self._slot, self._limits.timeout_ms, self._clock):
            self.dropped = self._slot.dropped
            if not (isinstance(tick, Frame) and self._is_frozen(tick)):
                yield tick
            elif self._frozen_tick_is_due():
                yield NoFrame(NoFrameReason.FROZEN, f"the same picture for {self._limits.frozen_ms} ms", self._clock.mono_ns())
        self.dropped = self._slot.dropped

    def _is_frozen(self, frame: Frame) -> bool:
        frozen_ns = self._limits.frozen_ms * 1_000_000
        return frozen_ns > 0 and self._frozen.unchanged_ns(frame.pixels, frame.captured_mono_ns) >= frozen_ns

    def _frozen_tick_is_due(self) -> bool:
        """At most one each ``timeout_ms``, as for a silent camera."""
        now_ns = self._clock.mono_ns()
        if self._frozen_told_ns is not None and now_ns - self._frozen_told_ns < self._limits.timeout_ms * 1_000_000:
            return False
        self._frozen_told_ns = now_ns
        return True

    def _capture(self) -> None:
        """The capture thread. Its failure surfaces in ``__enter__`` or in the loop."""
        failure: Exception | None = None
        try:
            self._open()
            self._ready.set()
            while not self._slot.ended:
                shot = self._read(_POLL_S)
                if shot is not None:
                    self._slot.put(self._stamped(shot))
        except MemoryError as error:  # a camera that wants all of it is opened again like one that fails
            failure = SourceError(f"{self.shown}: its pictures want more memory than there is")
            failure.__cause__ = error
        except (OSError, RuntimeError) as error:  # what libraries raise for a device that fails
            failure = SourceError(f"{self.shown}: {error}")
            failure.__cause__ = error
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised again in the loop
            failure = error
        if self._ready.is_set():
            self._slot.finish(failure)  # first, so that the loop hears of it even if the device then hangs in closing
            self._give_back()
            return
        try:
            self._give_back()  # first, so that the device is free when the caller tries again
        finally:
            self._failure = failure
            self._slot.finish(failure)
            self._ready.set()

    def _give_back(self) -> None:
        try:
            self._close()
        except (OSError, RuntimeError) as error:  # the device is given up anyway; what went wrong before matters more
            _LOG.warning("%s: cannot be closed: %s", self.shown, error)

    def _stamped(self, shot: Shot) -> Frame:
        self._check(shot.pixels)
        seq, self._next_seq = self._next_seq, self._next_seq + 1
        now_ns = self._clock.mono_ns()
        taken_ns = now_ns if shot.captured_mono_ns is None else min(shot.captured_mono_ns, now_ns)
        captured_utc = self._clock.utc() - timedelta(microseconds=(now_ns - taken_ns) / 1000)
        return Frame(shot.pixels, seq, taken_ns, captured_utc, self._clock.synced(), small=shot.small)

    def _check(self, pixels: U8Image) -> None:
        """Slots are places in pixels: a camera that changes its size in between would have the model look beside them."""
        check_picture(pixels, self.shown)
        size_hw_px = (pixels.shape[0], pixels.shape[1])
        self._size_hw_px = self._size_hw_px or size_hw_px
        if size_hw_px != self._size_hw_px:
            (h, w), (wanted_h, wanted_w) = size_hw_px, self._size_hw_px
            raise SourceError(
                f"{self.shown}: delivers frames of {w}×{h} pixels instead of {wanted_w}×{wanted_h}",
                fix="choose a size that the camera has, or leave it out",
            )


def check_picture(pixels: object, shown: str) -> U8Image:
    """``pixels`` as it is. Raises SourceError if it is no H×W×3 uint8 array with something in it."""
    if not isinstance(pixels, np.ndarray):
        raise SourceError(f"{shown}: delivers {type(pixels).__name__} instead of a picture")
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or pixels.size == 0:
        shape = "×".join(map(str, pixels.shape)) or "a number"
        raise SourceError(
            f"{shown}: delivers frames of {shape} {pixels.dtype} instead of height×width×3 uint8",
            fix="choose a pixel format that becomes 8-bit colour",
        )
    return pixels


class FrozenWatch:
    """Tells how long frames have been the same, byte for byte, over a grid of pixels: a sensor that hangs may go on delivering its last
    picture at the full rate.

    A living one is never that still: its noise changes the lowest bits of some pixels even on a shelf where nothing moves.
    """

    def __init__(self) -> None:
        self._seen = b""
        self._since_ns = 0

    def unchanged_ns(self, pixels: U8Image, mono_ns: int) -> int:
        """How long, up to ``mono_ns``, all frames looked like ``pixels`` (H×W×3 uint8); 0 for the first of its kind."""
        sample = np.ascontiguousarray(pixels[::_FROZEN_STEP_PX, ::_FROZEN_STEP_PX])
        digest = blake2b(sample.data, digest_size=16).digest()
        if digest != self._seen:
            self._seen, self._since_ns = digest, mono_ns
        return mono_ns - self._since_ns
