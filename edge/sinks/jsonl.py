"""JSON lines: one event a line, appended to a file, which may rotate, or written to standard output."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import msgspec

from edge.data import ShelfEvent
from edge.errors import SinkError
from edge.files import sync_directory
from edge.sink_config import JsonLinesConfig
from edge.sinks.base import DeliveryError, GoneError, SinkSite
from edge.sinks.pipe import is_pipe, write_whole
from edge.text import json_text

_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EROFS)  # fsync(2): pipes, terminals and special files
_MEGABYTE = 1_000_000
_STDOUT = "-"
_BEGINNING = b'{"schema":'  # of every event
_TAIL_BYTES = 1 << 16  # more than an event's line


class JsonLines:
    """Each ``write`` is one write(2) of whole lines; where the disk is full halfway, what was written of them is taken back.

    With ``site.durable`` the lines are on the disk before ``write`` returns. A file that somebody else has moved away (logrotate)
    is begun anew. A last line that a kill or a power cut tore is taken away when the file is opened: its event comes again.

    A named pipe is waited for by nobody where ``site.durable``: without a reader, or full, it is a DeliveryError. A run that may take its
    time waits for the reader, as on standard output, and ends when it leaves.
    """

    takes_simulated = True

    def __init__(self, config: JsonLinesConfig, site: SinkSite) -> None:
        self.label = "standard output" if config.path == _STDOUT else config.path
        self._path = None if config.path == _STDOUT else Path(config.path)
        self._durable = site.durable
        self._max_bytes = config.max_mb * _MEGABYTE if config.max_mb else None
        self._keep = config.keep
        self._encoder = msgspec.json.Encoder()
        self._handle: int | None = None
        """None: a pipe that nobody has read yet."""
        if self._path is None:
            sys.stdout.flush()
            self._handle = os.dup(sys.stdout.fileno())
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = self._open()
        except OSError as error:
            if not self._lacks_reader(error):
                raise SinkError(self._why(error)) from error

    def write(self, events: Sequence[ShelfEvent]) -> int:
        """Append one line per event. Raises DeliveryError; GoneError where the reader of a pipe has left for good; RefusedError."""
        try:
            handle = self._follow()
            if not os.get_blocking(handle) and is_pipe(handle):
                return write_whole(handle, [json_text(self._encoder.encode(event)) + b"\n" for event in events], self.label)
            lines = json_text(self._encoder.encode_lines(events))
            handle = self._rotate(handle, len(lines))
            self._append(handle, lines)
            if self._durable:
                self._sync(handle)
        except BrokenPipeError as error:
            if self._durable and self._path is not None:  # what it had not read waits in the pipe, as long as that is open
                raise DeliveryError(self._why(error)) from error
            raise GoneError(self._why(error)) from error
        except OSError as error:
            raise DeliveryError(self._why(error)) from error
        return len(events)

    def close(self) -> None:
        """Push the lines to the disk, where there is one, and close."""
        handle, self._handle = self._handle, None
        if handle is None:
            return
        try:
            self._sync(handle)
        except OSError as error:
            raise SinkError(self._why(error)) from error
        finally:
            os.close(handle)

    def _open(self) -> int:
        assert self._path is not None
        unwaiting = os.O_NONBLOCK if self._durable else 0
        handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | unwaiting, 0o644)
        if not is_pipe(handle):
            os.set_blocking(handle, True)
        if self._is_file(handle):
            self._mend(handle, self._path)
        return handle

    @staticmethod
    def _mend(handle: int, path: Path) -> None:
        """Take a torn last line away if it was an event (it comes again, for it was not acknowledged); else end the line."""
        size = os.fstat(handle).st_size
        with path.open("rb") as file:
            file.seek(max(0, size - _TAIL_BYTES))
            last = file.read().rpartition(b"\n")[2]
        if last and _BEGINNING.startswith(last[: len(_BEGINNING)]) and not _is_json(last):
            os.ftruncate(handle, size - len(last))
        elif last:
            os.write(handle, b"\n")

    def _append(self, handle: int, lines: bytes) -> None:
        regular = self._is_file(handle)
        before = os.fstat(handle).st_size
        left = memoryview(lines)
        try:
            while left:
                left = left[os.write(handle, left) :]
        except OSError:
            if regular:
                os.ftruncate(handle, before)
            raise

    def _follow(self) -> int:
        """The open descriptor; a new one where the path no longer leads to it, or a pipe has a reader by now."""
        if self._handle is None:
            self._handle = self._open()
        if self._path is None:
            return self._handle
        try:
            there, here = self._path.stat(), os.fstat(self._handle)
            if (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino):
                return self._handle
        except FileNotFoundError:
            pass
        return self._replace_handle(self._handle)

    def _rotate(self, handle: int, more_bytes: int) -> int:
        """path → path.1 → path.2 …; the oldest goes. A single batch larger than the limit has a file of its own."""
        if self._path is None or self._max_bytes is None or not self._is_file(handle):
            return handle
        size = os.fstat(handle).st_size
        if size == 0 or size + more_bytes <= self._max_bytes:
            return handle
        os.fsync(handle)
        names = [self._path, *(self._path.with_name(f"{self._path.name}.{number}") for number in range(1, self._keep + 1))]
        for newer, older in reversed(list(pairwise(names))):
            if newer.exists():
                newer.replace(older)
        sync_directory(self._path.parent)
        return self._replace_handle(handle)

    def _replace_handle(self, old: int) -> int:
        self._handle = new = self._open()
        os.close(old)
        return new

    @staticmethod
    def _sync(handle: int) -> None:
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno not in _CANNOT_SYNC:
                raise

    def _lacks_reader(self, error: OSError) -> bool:
        """fifo(7): a pipe that nobody reads cannot be opened for writing without waiting."""
        return error.errno == errno.ENXIO and self._path is not None and self._path.is_fifo()

    @staticmethod
    def _is_file(handle: int) -> bool:
        return stat.S_ISREG(os.fstat(handle).st_mode)

    def _why(self, error: OSError) -> str:
        reason = error.strerror or error
        if isinstance(error, BlockingIOError):
            reason = "the pipe is full and its reader does not read"
        elif self._lacks_reader(error):
            reason = "nobody reads the pipe"
        return f"{self.label}: events cannot be written: {reason}"


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return True
