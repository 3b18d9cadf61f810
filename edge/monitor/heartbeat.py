"""The only thing that feeds the watchdog: frames that went through the whole spine. Never a timer."""

from __future__ import annotations

import logging
import os
import socket

from edge.clock import Clock
from edge.data import Frame, Tick

_LOG = logging.getLogger(__name__)

_FEEDS_PER_PERIOD = 4  # systemd asks for at least two a WatchdogSec (sd_watchdog_enabled(3)); two more for a slow frame


class Heartbeat:
    """Tells systemd (sd_notify(3)) when the first frame went through (READY), and then that frames still do (WATCHDOG).

    Outside systemd (no NOTIFY_SOCKET) it only counts. A camera that delivers nothing is never ready and starves the watchdog.

    ``frames`` went through; the last of them was done at ``beat_mono_ns`` and captured at ``captured_mono_ns`` (None: none yet).
    """

    def __init__(self, clock: Clock) -> None:
        self.frames = 0
        self.beat_mono_ns: int | None = None
        self.captured_mono_ns: int | None = None
        self._clock = clock
        self._address = os.environ.get("NOTIFY_SOCKET")
        period_us = os.environ.get("WATCHDOG_USEC", "0")
        self._watchdog_us = int(period_us) if period_us.isdecimal() else 0
        self._period_ns = self._watchdog_us * 1_000 // _FEEDS_PER_PERIOD
        self._extended = False
        self._warned = False
        self._next_feed_ns = 0

    def beat(self, tick: Tick) -> None:
        """Call at the end of the spine, once a tick."""
        if not isinstance(tick, Frame):
            return
        now = self._clock.mono_ns()
        self.beat_mono_ns, self.captured_mono_ns = now, tick.captured_mono_ns
        self.frames += 1
        if self._address is None:
            return
        if self.frames == 1:
            self._notify("READY=1")
        if self._extended:
            self._notify(f"WATCHDOG_USEC={self._watchdog_us}")
            self._extended = False
        if self._period_ns and now >= self._next_feed_ns:
            self._notify("WATCHDOG=1")
            self._next_feed_ns = now + self._period_ns

    def extend(self, seconds: float) -> None:
        """Once for a step that takes long and is bounded: the next word may come so much later. The next frame takes it back.

        Until READY this is the start's time-out (EXTEND_TIMEOUT_USEC), then the watchdog's (WATCHDOG_USEC).
        """
        if not self.frames:
            self._notify(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}")
        elif self._watchdog_us:
            self._notify(f"WATCHDOG_USEC={max(self._watchdog_us, int(seconds * 1e6))}\nWATCHDOG=1")
            self._extended = True

    def stopping(self) -> None:
        """Tell systemd that the service is going down on purpose."""
        self._notify("STOPPING=1")

    def _notify(self, message: str) -> None:
        if self._address is None:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as channel:
                channel.connect(address)
                channel.sendall(message.encode())
        except OSError as error:  # telling systemd is best effort: it must neither stop the loop nor hide why the loop stopped
            if not self._warned:
                _LOG.warning("systemd cannot be notified at %s: %s", self._address, error)
            self._warned = True
