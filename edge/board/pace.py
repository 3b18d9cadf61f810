"""Fewer frames while the board is hot: what stands between a live source and the loop."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType

from edge.board.cooling import CoolingRules, CoolingState, Heat, heat_of, step
from edge.board.thermal import Thermal
from edge.clock import Clock
from edge.data import Frame, Tick

READ_EVERY_S = 5.0
"""A board warms up within minutes; asking a Pi's firmware may start a process."""

LONGEST_S = 1.0
"""Between two frames that are let through, however hot it is: a shelf that is looked at less often is not watched. Far below every limit
of the watchdog; a monitor's shortest limit (``unhealthy_after_s``) may ask for half of that."""


@dataclass(slots=True)
class PaceSigns:
    """Read by monitors, and kept while configurations change. ``state``: at which share of its rate a camera runs; ``reason``: why it is
    less than the whole; ``held``: frames that were not let through; ``down``, ``up``: steps taken."""

    state: CoolingState = field(default_factory=CoolingState)
    reason: str | None = None
    held: int = 0
    down: int = 0
    up: int = 0


class BoardWatch:
    """Asks the board every few seconds in a thread of its own: the loop never waits for an answer. A context manager.

    Args:
        read: asks the board.
        every_s: pause between two readings.
    """

    def __init__(self, read: Callable[[], Thermal], every_s: float = READ_EVERY_S) -> None:
        self._read, self._every_s = read, every_s
        self._latest: Thermal | None = None
        self._failure: BaseException | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="thermal", daemon=True)

    def __enter__(self) -> BoardWatch:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()  # not waited for: a sensor that hangs must not hold up the end

    def take(self) -> Thermal | None:
        """The newest reading, once; None while there is no newer one. Raises what ended the thread."""
        if self._failure is not None:
            raise self._failure
        latest, self._latest = self._latest, None
        return latest

    def _watch(self) -> None:
        try:
            while not self._ended.is_set():
                self._latest = self._read()
                self._ended.wait(self._every_s)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised in the loop
            self._failure = error


class Pace:
    """Decides how many frames go through, and tells. A context manager: it owns ``board``.

    Args:
        rules: of the board and the site.
        board: asked for new readings.
        told: of every step, with the flags of its event.
        signs: kept up to date.
        clock: ages readings and frames.
        longest_s: the longest pause between two frames that this may cause.
    """

    def __init__(
        self,
        rules: CoolingRules,
        board: BoardWatch,
        told: Callable[[tuple[str, ...]], None],
        signs: PaceSigns,
        *,
        clock: Clock,
        longest_s: float = LONGEST_S,
    ) -> None:
        self._rules, self._board, self._told, self._signs, self._clock = rules, board, told, signs, clock
        self._longest_ns = int(longest_s * 1e9)

    def __enter__(self) -> Pace:
        self._board.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._board.__exit__(kind, error, trace)

    def ticks(self, ticks: Iterable[Tick]) -> Iterator[Tick]:
        """``ticks`` without the frames that come too soon. A frame is let through as it comes, never later, so none is stale; ticks
        without a frame all pass.

        The full rate is measured each time: the time from one frame to the first that came after the loop was done with it. At half of
        it the next one goes through when twice that time has passed, or within half a camera's period of it.
        """
        gone_ns: int | None = None
        due_ns: int | None = None
        before_ns = 0
        for tick in ticks:
            now_ns = self._clock.mono_ns()
            self._read(now_ns)
            if isinstance(tick, Frame):
                if due_ns is None:
                    due_ns, period_ns = self._due_ns(gone_ns, now_ns), 0
                else:
                    period_ns = now_ns - before_ns
                before_ns = now_ns
                if now_ns + period_ns // 2 < due_ns and self._signs.state.level:
                    self._signs.held += 1
                    continue
                gone_ns, due_ns = now_ns, None
            yield tick

    def _due_ns(self, gone_ns: int | None, now_ns: int) -> int:
        """When the next frame may go, of which the first came ``now_ns``."""
        if gone_ns is None:
            return now_ns
        return gone_ns + min(int((now_ns - gone_ns) / self._signs.state.share), max(self._longest_ns, now_ns - gone_ns))

    def _read(self, now_ns: int) -> None:
        thermal = self._board.take()
        if thermal is None:
            return
        signs, heat = self._signs, heat_of(thermal, self._rules)
        before, (signs.state, why) = signs.state, step(signs.state, heat, now_ns, self._rules)
        if why is None:
            return
        hotter = signs.state.level > before.level
        signs.down += hotter
        signs.up += not hotter
        signs.reason = f"{where(heat)}, {why}" if signs.state.level else None
        self._told((f"rate={signs.state.share:g}", *_flags(heat), f"reason={why}"))


def where(heat: Heat) -> str:
    """The zone that matters, in words."""
    return "no temperature" if heat.zone is None else f"{heat.zone} {heat.celsius:.1f} °C of {heat.limit_c:g} °C"


def _flags(heat: Heat) -> tuple[str, ...]:
    if heat.zone is None:
        return ()
    return (f"celsius={heat.celsius:.1f}", f"limit_c={heat.limit_c:g}", f"zone={heat.zone}")
