"""Standard streams that may be full, closed, or a pipe whose reader has left: nothing that is printed raises, and the end tells.

Python flushes both streams again when it exits, and turns a fault there into exit code 120, whatever the command returned; and where a
standard stream was closed before the start, the next file that is opened gets its number, and all that is printed.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from typing import TextIO, cast

_STDIN, _STDOUT, _STDERR = 0, 1, 2


class _Stream(io.FileIO):
    """A descriptor whose first fault is kept in ``fault`` instead of raised; after it everything goes nowhere."""

    fault: OSError | None = None

    def write(self, content: object, /) -> int:
        left = memoryview(cast(bytes, content)).cast("B")
        size = len(left)
        while left and self.fault is None:
            try:
                written = super().write(left)
                if written is None:  # somebody made it non-blocking, and it is full
                    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
                left = left[written:]
            except OSError as error:
                self.fault = error
        return size


class StandardStreams:
    """Put in the place of ``sys.stdout`` and ``sys.stderr``, of which text encoding and buffering stay."""

    def __init__(self) -> None:
        _fill_gaps()
        self._out = _Stream(_STDOUT, "w", closefd=False)
        sys.stdout = _text(self._out, sys.stdout)
        sys.stderr = _text(_Stream(_STDERR, "w", closefd=False), sys.stderr, errors="backslashreplace", line_buffering=True)

    def end(self) -> OSError | None:
        """Flush both. Returns what kept standard output from taking everything, or None; standard error is not judged: the exit code
        says what its lines would have."""
        for stream in (sys.stdout, sys.stderr):
            with suppress(ValueError):  # a command closed it
                stream.flush()
        return self._out.fault


def _fill_gaps() -> None:
    """Closed streams are opened so that a write to standard output fails and one to standard error goes nowhere."""
    for number, flags in ((_STDIN, os.O_RDONLY), (_STDOUT, os.O_RDONLY), (_STDERR, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            handle = os.open(os.devnull, flags)
            if handle != number:
                os.dup2(handle, number)
                os.close(handle)
            else:
                os.set_inheritable(number, True)


def _text(raw: _Stream, old: TextIO | None, *, errors: str | None = None, line_buffering: bool = False) -> TextIO:
    """``old``: the stream that Python made; None where its descriptor was closed."""
    unbuffered = old is not None and bool(getattr(old, "write_through", False))
    return io.TextIOWrapper(
        cast(io.BufferedWriter, raw) if unbuffered else io.BufferedWriter(raw),
        encoding=(old.encoding if old is not None else None) or "utf-8",
        errors=errors or (old.errors if old is not None else None),
        line_buffering=line_buffering or raw.isatty(),
        write_through=unbuffered,
    )
