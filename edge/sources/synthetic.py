"""A camera that is not there: it looks at a drawn shelf, at a fixed rate, and says so in every frame."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from types import TracebackType

from edge.clock import Clock
from edge.data import Frame, Tick
from edge.scene.shelf import DEFAULT_FPS, ShelfScene
from edge.sources.base import KnownShelf
from edge.sources.newest import NewestFrame, live_ticks

DEFAULT_SIZE_HW_PX = (480, 640)


class SyntheticCamera:
    """A repeatable moving scene: pixels depend on the seed, the rate and the frame's ``seq`` alone.

    Live (``fps`` above 0): a thread captures frame k at start + k / fps, whether or not the loop keeps up; the loop gets the
    newest, and ``dropped`` counts the rest. ``captured_mono_ns`` is the moment when the frame was due, so that drawing counts
    as latency, as exposure and transfer do; a machine too slow to draw at the rate gets a slower camera, never a burst.

    With ``fps`` 0 it is not live: each frame is drawn when the loop asks, nothing is dropped, and each is 0.1 s of the scene, by which
    ``captured_mono_ns`` counts on from the start; ``captured_utc`` is the moment of drawing.

    Args:
        seed: of the scene.
        fps: frames a second, or 0.
        size_hw_px: height and width of the frames, at least 96 each.
        slots: tell the loop where the drawn slots are and how they look empty, so that they are watched; else frames are observed whole.
        frames: end after this many frames were captured; None: go on until ``stop``.
        silent_after: deliver nothing more after this many frames, without ending, as a camera that hangs; None: never (live only).
        timeout_ms: a NoFrame tick after this long without a frame (live only).
        clock: paces and stamps the frames.

    Raises:
        ValueError: ``fps`` below 0, or 0 with ``slots``; ``size_hw_px`` too small.
    """

    simulated = True

    def __init__(
        self,
        seed: int = 0,
        fps: float = DEFAULT_FPS,
        size_hw_px: tuple[int, int] = DEFAULT_SIZE_HW_PX,
        *,
        slots: bool = False,
        frames: int | None = None,
        silent_after: int | None = None,
        timeout_ms: int = 1000,
        clock: Clock | None = None,
    ) -> None:
        if not 0 <= fps < float("inf"):
            raise ValueError(f"fps must be 0 or more, not {fps}")
        if slots and fps == 0:
            raise ValueError(
                "slots need a rate: with fps 0 no time passes between frames, and a change must rest to be believed"
            )
        self.live = fps > 0
        self.dropped = 0
        self.skipped = 0
        self.scene = ShelfScene(seed, size_hw_px)
        self._tells_slots = slots
        self._fps = fps
        self._scene_fps = fps or DEFAULT_FPS
        self._frames = frames
        self._silent_after = silent_after if self.live else None
        self._timeout_ms = timeout_ms
        self._clock = clock or Clock()
        self._slot = NewestFrame()
        self._next_seq = 0
        self._opened = False
        self._thread = threading.Thread(target=self._capture, name="synthetic-camera", daemon=True)

    def __iter__(self) -> Iterator[Tick]:
        if not self._opened:
            raise RuntimeError("SyntheticCamera is iterated before it was opened: use it in a with block")
        return self._newest() if self.live else self._drawn_on_demand()

    def known_shelf(self) -> KnownShelf | None:
        """The drawn shelf, if ``slots``."""
        if not self._tells_slots:
            return None
        return KnownShelf({slot.name: slot.box_xyxy_px for slot in self.scene.slots}, self.scene.empty())

    def stop(self) -> None:
        """End the iteration after the current tick."""
        self._slot.close()

    def __enter__(self) -> SyntheticCamera:
        if self.live and not self._opened:
            self._thread.start()
        self._opened = True
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._slot.close()
        if self._thread.is_alive():
            self._thread.join()  # it never waits for anything but the slot, so this takes one drawing at most

    def _newest(self) -> Iterator[Tick]:
        for tick in live_ticks(self._slot, self._timeout_ms, self._clock):
            self.dropped = self._slot.dropped
            yield tick
        self.dropped = self._slot.dropped

    def _drawn_on_demand(self) -> Iterator[Tick]:
        """Ordered by the scene's time: what is in motion, or at rest for a while, is so however fast the loop is."""
        start_ns, period_ns = self._clock.mono_ns(), int(1e9 / self._scene_fps)
        while not self._slot.ended and self._wanted():
            yield self._draw(start_ns + self._next_seq * period_ns)

    def _capture(self) -> None:
        """The camera's thread. Its failure surfaces in the loop."""
        period_ns = int(1e9 / self._fps)
        due_ns = self._clock.mono_ns()
        try:
            while self._wanted():
                if self._next_seq == self._silent_after:
                    self._slot.wait_closed(threading.TIMEOUT_MAX)
                late_ns = self._clock.mono_ns() - due_ns
                if late_ns < 0 and self._slot.wait_closed(-late_ns / 1e9):
                    break
                if self._slot.ended:
                    break
                if late_ns > period_ns:
                    due_ns += late_ns
                self._slot.put(self._draw(due_ns))
                due_ns += period_ns
        except Exception as error:  # noqa: BLE001 - whatever it is, it is raised again in the loop
            self._slot.finish(error)
        else:
            self._slot.finish()

    def _wanted(self) -> bool:
        return self._frames is None or self._next_seq < self._frames

    def _draw(self, captured_mono_ns: int) -> Frame:
        seq, self._next_seq = self._next_seq, self._next_seq + 1
        age = timedelta(microseconds=max(0, self._clock.mono_ns() - captured_mono_ns) / 1000)
        captured_utc = self._clock.utc() - age
        pixels = self.scene.render(seq, self._scene_fps)
        return Frame(pixels, seq, captured_mono_ns, captured_utc, self._clock.synced(), simulated=True)
