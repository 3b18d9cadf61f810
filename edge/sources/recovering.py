"""A live camera that is opened again when it fails, freezes or falls silent, along the ladder of ``edge.sources.ladder``."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import TracebackType

from edge.clock import Clock
from edge.data import Frame, NoFrame, NoFrameReason, Tick
from edge.errors import SourceError
from edge.sources.base import Source
from edge.sources.ladder import Ladder, LadderStep

_LOG = logging.getLogger(__name__)

_HEALTHY_NS = 10_000_000_000
"""Frames must come for so long until a camera counts as recovered: one that gives a frame at each opening has not."""


@dataclass(frozen=True, slots=True)
class Actions:
    """What the ladder's steps do outside the camera.

    ``told``: of every step, with the reason; ``recovered``: with the number of steps that it took; ``extend``: the watchdog, by seconds;
    ``ask_daemon``: for the restart of a unit; ``ask_reboot``.
    """

    told: Callable[[LadderStep, str], None]
    recovered: Callable[[int], None]
    extend: Callable[[float], None]
    ask_daemon: Callable[[str], object]
    ask_reboot: Callable[[], object]


class RecoveringSource:
    """A Source over one camera, whatever becomes of it.

    While it waits to open the camera again it makes NoFrame ticks, so that the loop goes on. It gives up, by the error that ended
    the camera, only where the ladder says so.

    Args:
        make: a new, not yet opened source over the same camera. Its errors other than SourceError are the caller's.
        ladder: what to do next.
        actions: how.
        stall_ms: how long no frame may come until the camera counts as stalled.
        timeout_ms: between two NoFrame ticks while it waits.
        open_bound_s: how long opening may take, for the watchdog.
        one_size: the camera's frames must stay of the size of the first, over all openings; otherwise over each alone.
        clock: ages frames.
    """

    live = True

    def __init__(
        self,
        make: Callable[[], Source],
        ladder: Ladder,
        actions: Actions,
        *,
        stall_ms: int,
        timeout_ms: int,
        open_bound_s: float,
        one_size: bool = False,
        clock: Clock,
    ) -> None:
        self._make, self._ladder, self._actions = make, ladder, actions
        self._stall_ns, self._timeout_s, self._open_bound_s = stall_ms * 1_000_000, timeout_ms / 1000, open_bound_s
        self._clock = clock
        self._source: Source = make()
        self.simulated = self._source.simulated
        self._dropped = self._skipped = 0
        self._failure: SourceError | None = None
        self._seq_base = self._seq_next = 0
        self._one_size, self._size_hw_px = one_size, (0, 0)
        self._stopped = threading.Event()

    @property
    def dropped(self) -> int:
        """Of all openings."""
        return self._dropped + self._source.dropped

    @property
    def skipped(self) -> int:
        """Of all openings."""
        return self._skipped + self._source.skipped

    def stop(self) -> None:
        """End the iteration after the current tick."""
        self._stopped.set()
        self._source.stop()

    def __enter__(self) -> RecoveringSource:
        self._enter()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._source.__exit__(kind, error, trace)

    def __iter__(self) -> Iterator[Tick]:
        while not self._stopped.is_set():
            if self._failure is None:
                yield from self._until_it_fails()
            if self._stopped.is_set():
                return
            yield from self._one_step()

    def _enter(self) -> None:
        """Open the camera, or keep why not."""
        self._failure = None
        try:
            self._source.__enter__()
        except SourceError as error:
            self._failure = error

    def _until_it_fails(self) -> Iterator[Tick]:
        """Its ticks; then ``_failure`` says what ended them."""
        last_ns = first_ns = self._clock.mono_ns()
        try:
            for tick in self._source:
                now_ns = self._clock.mono_ns()
                if isinstance(tick, Frame):
                    if self._one_size:
                        self._check_size(tick)
                    last_ns = now_ns
                    if not self._ladder.on_the_ground and now_ns - first_ns >= _HEALTHY_NS:
                        self._actions.recovered(self._ladder.recovered())
                    yield self._numbered(tick)
                    continue
                yield tick
                if now_ns - last_ns >= self._stall_ns:
                    self._failure = SourceError(f"no frame for {(now_ns - last_ns) / 1e9:.0f} s ({tick.detail})")
                    return
        except SourceError as error:
            self._failure = error
            return
        if not self._stopped.is_set():
            self._failure = SourceError("the camera's frames ended")

    def _check_size(self, frame: Frame) -> None:
        """Slots are places in pixels. Raises SourceError: a camera may come back to its size, and a fresh process lays out anew."""
        height, width = frame.pixels.shape[:2]
        wanted_h, wanted_w = self._size_hw_px = self._size_hw_px if all(self._size_hw_px) else (height, width)
        if (height, width) != (wanted_h, wanted_w):
            raise SourceError(f"the camera came back with frames of {width}×{height} pixels instead of {wanted_w}×{wanted_h}")

    def _one_step(self) -> Iterator[Tick]:
        """Do what the ladder says. Raises the failure where it says to leave."""
        assert self._failure is not None  # the caller looked
        step, reason = self._ladder.climb(), str(self._failure)
        _LOG.warning("camera: %s; %s (step %d)", reason, step.rung, step.number)
        self._actions.extend(step.wait_s + self._open_bound_s + self._stall_ns / 1e9)
        self._actions.told(step, reason)
        if step.rung == "reboot":
            self._actions.ask_reboot()
        if step.rung in ("leave", "reboot"):
            raise self._failure
        self._source.__exit__(None, None, None)
        if step.rung == "restart_daemon" and self._ladder.rules.daemon is not None:
            self._actions.ask_daemon(self._ladder.rules.daemon)
        yield from self._wait(step, reason)
        if not self._stopped.is_set():
            self._dropped, self._skipped, self._seq_base = self.dropped, self.skipped, self._seq_next
            self._source = self._make()
            self._enter()

    def _wait(self, step: LadderStep, reason: str) -> Iterator[Tick]:
        until_ns = self._clock.mono_ns() + int(step.wait_s * 1e9)
        while not self._stopped.is_set() and (left_ns := until_ns - self._clock.mono_ns()) > 0:
            if not self._stopped.wait(min(self._timeout_s, left_ns / 1e9)):
                detail = f"{reason}; opened again in {max(0, left_ns) / 1e9:.0f} s"
                yield NoFrame(NoFrameReason.TIMEOUT, detail, self._clock.mono_ns())

    def _numbered(self, frame: Frame) -> Frame:
        """Sequence numbers go on over openings: one twice would be two frames under one name."""
        numbered = replace(frame, seq=frame.seq + self._seq_base)
        self._seq_next = numbered.seq + 1
        return numbered
