"""Event numbers that never run backwards, and the fields that all events of a camera share."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from edge.data import EventKind, Frame, Score, ShelfEvent, SlotReport, Transition
from edge.errors import BusyError, SinkError
from edge.files import open_directory, open_regular, read_regular, write_atomic

_LOG = logging.getLogger(__name__)

_LOCK_NAME = "next_event.lock"
_EARLIER_COUNTER = "next_event"
_RESERVE = "event_numbers"
_RESERVED = 100_000
_NUMBER_BYTES = 32
_A_SECOND = 100

LAST_NUMBER = 10**12 - 1
"""With more digits ids would no longer sort as text."""


class EventCounter:
    """Counts up from ``first``; thread-safe. The outbox writes down, in the transaction of the events, how far it got, so a number
    that was taken and never committed is free again after a crash: nobody has seen it."""

    def __init__(self, first: int = 1) -> None:
        self._lock = threading.Lock()
        self._next = first

    def take(self) -> int:
        """The next number."""
        with self._lock:
            number = self._next
            self._next += 1
            return number


def number_of(event_id: str) -> int:
    """The counter in an id."""
    return int(event_id.rpartition("-")[2])


@contextmanager
def camera_lock(directory: Path) -> Iterator[None]:
    """One process a camera, because two would use numbers twice; flock(2) frees it when the process ends, however it ends.

    Raises:
        BusyError: another process runs this camera.
        SinkError: the state directory cannot be written.
    """
    path = directory / _LOCK_NAME
    try:
        directory.mkdir(parents=True, exist_ok=True)
        os.close(open_directory(directory, follow=False))
        file = os.fdopen(open_regular(path, os.O_RDWR | os.O_CREAT), "rb")
    except OSError as error:
        raise SinkError(
            f"{path}: cannot be written: {error.strerror or error}",
            fix="let the service's user write there; [state] dir names another place",
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BusyError(
                f"{directory}: another process runs this camera",
                fix="stop it, or give this one another camera.name in its config",
            ) from error
        yield


def earlier_counter(directory: Path) -> int:
    """The first free number by the file in which an earlier version counted; 1 without one. Raises SinkError if it is damaged."""
    path = directory / _EARLIER_COUNTER
    try:
        number = int(read_regular(path, _NUMBER_BYTES))
        if not 1 <= number <= LAST_NUMBER:
            raise ValueError(f"{number} is not one")
    except FileNotFoundError:
        return 1
    except (OSError, ValueError) as error:
        raise SinkError(
            f"{path}: the event counter cannot be read: {error}",
            fix="restore it, or delete it if event ids may start again",
        ) from error
    return number


def forget_earlier_counter(directory: Path) -> None:
    """Once its number is in the outbox. Best effort: if it stays, it is taken over again, and changes nothing."""
    with suppress(OSError):
        (directory / _EARLIER_COUNTER).unlink(missing_ok=True)


class NumberReserve:
    """A number that no event of this camera has reached, kept beside the outbox for the case that the outbox is lost: the next one goes
    on from there, so that no id is used twice. It is written once for many numbers.

    Args:
        directory: of the camera's state.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / _RESERVE
        self._tried = 0
        self.known: int | None = None
        """None: there is none, or what is there is none."""
        self.there = os.path.lexists(self._path)
        """Whether something is there at all."""
        with suppress(OSError, ValueError):
            number = int(read_regular(self._path, _NUMBER_BYTES))
            self.known = number if 1 <= number <= LAST_NUMBER else None

    def cover(self, number: int) -> None:
        """Numbers below ``number`` are in use. Where that cannot be written down it is logged: the outbox itself still counts."""
        if number + _RESERVED // 2 < (self.known or 0) or number < self._tried:
            return
        self._tried = number + _RESERVED // 10
        wanted = min((number // _RESERVED + 2) * _RESERVED, LAST_NUMBER)
        try:
            write_atomic(self._path, b"%d\n" % wanted, follow=False)
            self.known = wanted
        except SinkError as error:
            _LOG.warning("event numbers are not reserved: %s", error)


def number_by_time(utc_s: float) -> int:
    """A first number for a camera of which nobody knows how far it had counted: above all that it used before ``utc_s``, if those began at
    1 or at such a number and were fewer than 100 a second on average."""
    return max(1, min(int(utc_s * _A_SECOND), LAST_NUMBER // 2))


def _flags(frame: Frame) -> tuple[str, ...]:
    """What a reader must know besides: a clock that cannot be believed, and the file that a frame was read from."""
    unsynced = () if frame.clock_synced else ("clock_unsynced",)
    return unsynced if frame.name is None else (*unsynced, f"file={os.fsencode(frame.name).decode(errors='backslashreplace')}")


class EventFactory:
    """Makes the events of one camera. ``bundle`` is "name@hash" and ``model`` "name/candidate": they change when another model answers."""

    def __init__(self, camera: str, bundle: str, model: str, counter: EventCounter) -> None:
        self.model = model
        self._camera = camera
        self.bundle = bundle
        self._counter = counter

    def observation(self, frame: Frame, slot: str, top: tuple[Score, ...]) -> ShelfEvent:
        """What one frame showed in one slot."""
        return self._of_frame("observation", frame, slot, top)

    def change(
        self, frame: Frame, slot: str, change: Transition, top: tuple[Score, ...], flags: tuple[str, ...] = ()
    ) -> ShelfEvent:
        """What became of a slot."""
        return self._of_frame("event", frame, slot, top, change=change, flags=flags)

    def status(
        self, type_: str, utc: datetime, flags: tuple[str, ...], *, simulated: bool, slots: tuple[SlotReport, ...] = ()
    ) -> ShelfEvent:
        """What happened to the service itself."""
        return ShelfEvent(
            kind="status",
            id=self._new_id(),
            camera=self._camera,
            slot=None,
            seq=None,
            captured_utc=utc,
            type=type_,
            slots=slots,
            flags=flags,
            bundle=self.bundle,
            model=self.model,
            simulated=simulated,
        )

    def _of_frame(
        self,
        kind: EventKind,
        frame: Frame,
        slot: str,
        top: tuple[Score, ...],
        *,
        change: Transition | None = None,
        flags: tuple[str, ...] = (),
    ) -> ShelfEvent:
        return ShelfEvent(
            kind=kind,
            id=self._new_id(),
            camera=self._camera,
            slot=slot,
            seq=frame.seq,
            captured_utc=frame.captured_utc,
            type=change.kind if change else None,
            before=change.before if change else None,
            after=change.after if change else None,
            top=top,
            flags=(*flags, *_flags(frame)),
            bundle=self.bundle,
            model=self.model,
            simulated=frame.simulated,
        )

    def _new_id(self) -> str:
        return f"{self._camera}-{self._counter.take():012d}"
