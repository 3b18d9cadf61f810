"""Time as the camera knows it, and whether it may be believed."""

from __future__ import annotations

import ctypes
import time
from datetime import datetime, timezone

_TIMEX_BYTES = 512  # struct timex is 208 bytes on 64-bit Linux; a read-only call (modes = 0) needs it zeroed
_TIME_ERROR = 5  # adjtimex(2): "the system clock is not synchronized"
_SYNC_CACHE_NS = 10_000_000_000


class Clock:
    """The real clock. Tests give the loop a fake with the same three methods."""

    def __init__(self) -> None:
        self._synced = False
        self._synced_until_ns = -1

    def mono_ns(self) -> int:
        """Nanoseconds that never run backwards."""
        return time.monotonic_ns()

    def utc(self) -> datetime:
        """Now, timezone-aware UTC."""
        return datetime.now(timezone.utc)

    def synced(self) -> bool:
        """Whether the kernel says that its clock is disciplined (adjtimex(2)); asked again at most every 10 s."""
        now = self.mono_ns()
        if now >= self._synced_until_ns:
            self._synced = _kernel_clock_synced()
            self._synced_until_ns = now + _SYNC_CACHE_NS
        return self._synced


def _kernel_clock_synced() -> bool:
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (AttributeError, OSError):  # not Linux
        return False
    state = int(adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)))
    return 0 <= state < _TIME_ERROR
