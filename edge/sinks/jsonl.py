"""JSON lines: one event a line, appended to a file or written to standard output."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from edge.data import ShelfEvent
from edge.errors import SinkError

_CANNOT_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.EROFS)  # fsync(2): pipes, terminals and special files


class JsonLines:
    """Each ``write`` is one write(2) of whole lines: a crash of the process loses none of them, and readers see no half line."""

    def __init__(self, path: str) -> None:
        self._name = "standard output" if path == "-" else path
        self._encoder = msgspec.json.Encoder()
        if path == "-":
            sys.stdout.flush()
            self._handle = os.dup(sys.stdout.fileno())
            return
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise self._failed(error) from error

    def write(self, events: Sequence[ShelfEvent]) -> None:
        """Append one line per event. Raises SinkError."""
        lines = memoryview(self._encoder.encode_lines(events))
        try:
            while lines:
                lines = lines[os.write(self._handle, lines) :]
        except OSError as error:
            raise self._failed(error) from error

    def close(self) -> None:
        """Push the lines to the disk, where there is one, and close."""
        try:
            os.fsync(self._handle)
        except OSError as error:
            if error.errno not in _CANNOT_SYNC:
                raise self._failed(error) from error
        finally:
            os.close(self._handle)

    def _failed(self, error: OSError) -> SinkError:
        return SinkError(f"{self._name}: events cannot be written: {error.strerror or error}")
