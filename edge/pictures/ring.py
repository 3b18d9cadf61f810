"""Files of one camera in a directory that never grows over its quota: the oldest go first, and what is too old goes anyway.

Their order is that of the event numbers in their names, so a clock that steps does not change it. What the directory holds besides (of
other cameras, of people) is neither counted nor touched.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge.clock import Clock
from edge.errors import SinkError
from edge.files import write_atomic

When = Literal["before", "after"]

_AHEAD_S = 86_400  # a file that is dated farther in the future was written by a clock that cannot be believed


def file_name(event_id: str, when: When) -> str:
    """Of the picture of a slot ``when`` the event happened."""
    return f"{event_id}-{when}.jpg"


@dataclass(frozen=True, slots=True)
class KeptPicture:
    """One file. ``dated_s``: Unix time; ``since_ns``: monotonic, when this process first knew of it."""

    number: int
    bytes: int
    dated_s: float
    since_ns: int


class Ring:
    """Not thread-safe.

    Args:
        directory: made with the first picture.
        camera: whose files these are: the start of their names.
        max_bytes: of all of them, also while one is being written.
        max_age_s: older ones go with ``tidy``.
        clock: dates them.
        first_number: the first event number that is free. Files of that number or a higher one belong to events that were never
            committed, whose numbers will be given to others: they go.

    Raises:
        SinkError: the directory is there and cannot be read, or what has to go cannot be deleted.
    """

    def __init__(
        self, directory: Path, camera: str, *, max_bytes: int, max_age_s: int, clock: Clock, first_number: int | None = None
    ) -> None:
        self.directory = directory
        self._camera, self._max_bytes, self._max_age_s, self._clock = camera, max_bytes, max_age_s, clock
        self._kept: dict[str, KeptPicture] = {}  # the oldest first
        self.bytes = 0
        self._scan(leftovers=True)
        if first_number is not None:
            self._drop([name for name, kept in self._kept.items() if kept.number >= first_number])
        self.tidy()

    @property
    def names(self) -> tuple[str, ...]:
        """Of the files, the oldest first."""
        return tuple(self._kept)

    def add(self, name: str, content: bytes) -> None:
        """Store it, after making room for it: synced to the disk, whole or not at all.

        Raises:
            SinkError: it is larger than the quota, or cannot be written.
            ValueError: ``name`` is none that ``file_name`` gave for this camera.
        """
        number = _number(self._camera, name)
        if number is None:
            raise ValueError(f"{name!r} is no picture of an event of camera {self._camera!r}")
        if len(content) > self._max_bytes:
            raise SinkError(f"{self.directory / name}: its {len(content)} bytes are more than the quota")
        self._drop([name] if name in self._kept else [])
        self._make_room(len(content))
        write_atomic(self.directory / name, content)
        self.bytes += len(content)
        newest = next(reversed(self._kept.values()), None)
        self._kept[name] = KeptPicture(number, len(content), self._clock.utc().timestamp(), self._clock.mono_ns())
        if newest is not None and number < newest.number:
            self._sort()

    def tidy(self) -> None:
        """Look at what is there now, and delete what is too old, or too much. Raises SinkError.

        By the date of a file only while the clock can be believed; in any case once this process has known it for that long. One that is
        dated in the future goes as well: nobody could say when its time is over.
        """
        self._scan()
        now_s, now_ns, synced = self._clock.utc().timestamp(), self._clock.mono_ns(), self._clock.synced()
        self._drop(
            [
                name
                for name, kept in self._kept.items()
                if now_ns - kept.since_ns > self._max_age_s * 1_000_000_000
                or (synced and not -_AHEAD_S <= now_s - kept.dated_s <= self._max_age_s)
            ]
        )
        self._make_room(0)

    def _make_room(self, more_bytes: int) -> None:
        excess, gone = self.bytes + more_bytes - self._max_bytes, []
        for name, kept in self._kept.items():
            if excess <= 0:
                break
            gone.append(name)
            excess -= kept.bytes
        self._drop(gone)

    def _drop(self, names: list[str]) -> None:
        """What cannot be deleted goes on being counted."""
        for name in names:
            path = self.directory / name
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                raise SinkError(f"{path}: cannot be deleted: {error.strerror or error}") from error
            self.bytes -= self._kept.pop(name).bytes

    def _scan(self, *, leftovers: bool = False) -> None:
        """Count what is there: people may have deleted files. ``leftovers``: delete what a process that was killed had begun."""
        known, now_ns = self._kept, self._clock.mono_ns()
        try:
            found = {
                name: KeptPicture(number, size, dated_s, known[name].since_ns if name in known else now_ns)
                for name, number, size, dated_s in _pictures(self.directory, self._camera)
            }
            if leftovers:
                for path in _begun(self.directory, self._camera):
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise SinkError(
                f"{self.directory}: cannot be read: {error.strerror or error}",
                fix="let the service's user read and write there",
            ) from error
        self._kept = found
        self.bytes = sum(kept.bytes for kept in found.values())
        self._sort()

    def _sort(self) -> None:
        self._kept = dict(sorted(self._kept.items(), key=lambda item: (item[1].number, item[0].endswith("-after.jpg"))))


def stored(directory: Path, camera: str) -> tuple[int, int, float | None]:
    """(Files, bytes, Unix time of the oldest) of a camera's pictures there. Raises OSError."""
    sizes = [(size, dated_s) for _, _, size, dated_s in _pictures(directory, camera)]
    return len(sizes), sum(size for size, _ in sizes), min((dated_s for _, dated_s in sizes), default=None)


def _pictures(directory: Path, camera: str) -> Iterator[tuple[str, int, int, float]]:
    """(Name, event number, bytes, Unix time) of each; nothing where there is no directory."""
    try:
        with os.scandir(directory) as entries:
            for entry in entries:
                number = _number(camera, entry.name)
                if number is None or not entry.is_file(follow_symlinks=False):
                    continue
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # deleted just now
                yield entry.name, number, found.st_size, found.st_mtime
    except FileNotFoundError:
        return


def _begun(directory: Path, camera: str) -> list[Path]:
    """What ``write_atomic`` left behind where its process was killed."""
    pattern = re.compile(rf"\.{re.escape(camera)}-\d{{12,}}-(before|after)\.jpg\.[^.]+")
    return [path for path in directory.iterdir() if pattern.fullmatch(path.name)] if directory.exists() else []


def _number(camera: str, name: str) -> int | None:
    """The event number in a file's name; None for any other file."""
    match = re.fullmatch(rf"{re.escape(camera)}-(\d{{12,}})-(?:before|after)\.jpg", name)
    return int(match[1]) if match else None
