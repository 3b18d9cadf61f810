"""Named pipes: a line goes in whole or not at all, and nobody waits for the reader."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
import termios
from collections.abc import Sequence
from contextlib import suppress

from edge.sinks.base import RefusedError

_ROOM_S = 0.2  # a reader that is at work makes room within it
_INT_BYTES = 4


def is_pipe(handle: int) -> bool:
    """Whether an open descriptor leads to one."""
    return stat.S_ISFIFO(os.fstat(handle).st_mode)


def write_whole(handle: int, lines: Sequence[bytes], shown: str) -> int:
    """Write lines until the pipe is full; none is ever torn, so that another writer may go on behind the last one.

    Args:
        handle: the pipe's writing end, opened with O_NONBLOCK. A pipe has one writer.
        lines: each with its end.
        shown: what messages call the pipe.

    Returns:
        How many of the first lines went in, at least 1.

    Raises:
        BlockingIOError: there is no room for the first.
        BrokenPipeError: nobody reads.
        RefusedError: the first line is longer than the pipe can be made.
    """
    for count, line in enumerate(lines):
        try:
            _write_one(handle, line, shown)
        except (BlockingIOError, BrokenPipeError, RefusedError):
            if count:
                return count
            raise
    return len(lines)


def _write_one(handle: int, line: bytes, shown: str) -> None:
    """Up to PIPE_BUF bytes go in at once or not at all (pipe(7)); more do only if the pipe is empty and as large."""
    waiter = select.poll()
    waiter.register(handle, select.POLLOUT)
    waiter.poll(_ROOM_S * 1000)
    if len(line) > select.PIPE_BUF:
        if _unread_bytes(handle):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        _enlarge(handle, len(line), shown)
    os.write(handle, line)


def _unread_bytes(handle: int) -> int:
    return int.from_bytes(fcntl.ioctl(handle, termios.FIONREAD, bytes(_INT_BYTES)), "little")


def _enlarge(handle: int, size_bytes: int, shown: str) -> None:
    if fcntl.fcntl(handle, fcntl.F_GETPIPE_SZ) >= size_bytes:
        return
    with suppress(OSError):  # more than fs.pipe-max-size
        fcntl.fcntl(handle, fcntl.F_SETPIPE_SZ, size_bytes)
    if fcntl.fcntl(handle, fcntl.F_GETPIPE_SZ) < size_bytes:
        raise RefusedError(
            f"{shown}: an event of {size_bytes} bytes is longer than the pipe can be",
            count=1,
            fix="raise fs.pipe-max-size, or write to a file",
        )
