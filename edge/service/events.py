"""Event numbers that never run backwards, and the fields that all events of a camera share."""

from __future__ import annotations

import fcntl
import os
from datetime import datetime
from pathlib import Path
from typing import IO

from edge.data import Frame, Score, ShelfEvent
from edge.errors import BusyError, SinkError
from edge.files import write_atomic
from edge.shelf.machine import Change

BLOCK = 10_000
"""Numbers reserved at once: one small write per so many events; a crash skips at most this many numbers, and reuses none."""


class EventCounter:
    """Counts up across restarts. The file holds the first number that has not been reserved yet.

    One process a camera: a lock beside the file is held until ``close`` (or the process's end), because two would use numbers twice.

    Raises:
        BusyError: another process counts this camera's events.
        SinkError: the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = _lock(path.with_name(f"{path.name}.lock"))
        try:
            self._next = int(path.read_text(encoding="ascii"))
        except FileNotFoundError:
            self._next = 1
        except (OSError, ValueError) as error:
            raise SinkError(
                f"{path}: the event counter cannot be read: {error}",
                fix="restore it, or delete it if event ids may start again",
            ) from error
        self._reserved = self._next

    def take(self) -> int:
        """The next number. Raises SinkError when a new block cannot be written down."""
        if self._next >= self._reserved:
            write_atomic(self._path, b"%d\n" % (self._next + BLOCK))
            self._reserved = self._next + BLOCK
        number = self._next
        self._next += 1
        return number

    def close(self) -> None:
        """Write down exactly where counting stopped, so that a clean restart skips nothing."""
        if self._next != self._reserved:
            write_atomic(self._path, b"%d\n" % self._next)
            self._reserved = self._next
        self._lock.close()


def _lock(path: Path) -> IO[bytes]:
    """An open, locked file; flock(2) frees it when the process ends, however it ends."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError as error:
        raise SinkError(f"{path}: cannot be written: {error.strerror or error}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise BusyError(
            f"{path.parent}: another process runs this camera",
            fix="stop it, or give this one another camera.name in its config",
        ) from error
    return file


def _flags(frame: Frame) -> tuple[str, ...]:
    """What a reader must know besides: a clock that cannot be believed, and the file that a frame was read from."""
    unsynced = () if frame.clock_synced else ("clock_unsynced",)
    return unsynced if frame.name is None else (*unsynced, f"file={os.fsencode(frame.name).decode(errors='backslashreplace')}")


class EventFactory:
    """Makes the events of one camera. ``model`` is "name/candidate" and changes when the service moves to another candidate."""

    def __init__(self, camera: str, bundle: str, model: str, counter: EventCounter) -> None:
        self.model = model
        self._camera = camera
        self._bundle = bundle
        self._counter = counter

    def observation(self, frame: Frame, slot: str, top: tuple[Score, ...]) -> ShelfEvent:
        """What one frame showed in one slot."""
        return ShelfEvent(
            kind="observation",
            id=self._new_id(),
            camera=self._camera,
            slot=slot,
            seq=frame.seq,
            captured_utc=frame.captured_utc,
            top=top,
            flags=_flags(frame),
            bundle=self._bundle,
            model=self.model,
            simulated=frame.simulated,
        )

    def change(
        self, frame: Frame, slot: str, change: Change, top: tuple[Score, ...], flags: tuple[str, ...] = ()
    ) -> ShelfEvent:
        """What became of a slot."""
        return ShelfEvent(
            kind="event",
            id=self._new_id(),
            camera=self._camera,
            slot=slot,
            seq=frame.seq,
            captured_utc=frame.captured_utc,
            type=change.kind,
            before=change.before,
            after=change.after,
            top=top,
            flags=(*flags, *_flags(frame)),
            bundle=self._bundle,
            model=self.model,
            simulated=frame.simulated,
        )

    def status(self, type_: str, utc: datetime, flags: tuple[str, ...], *, simulated: bool) -> ShelfEvent:
        """What happened to the service itself."""
        return ShelfEvent(
            kind="status",
            id=self._new_id(),
            camera=self._camera,
            slot=None,
            seq=None,
            captured_utc=utc,
            type=type_,
            flags=flags,
            bundle=self._bundle,
            model=self.model,
            simulated=simulated,
        )

    def _new_id(self) -> str:
        return f"{self._camera}-{self._counter.take():012d}"
