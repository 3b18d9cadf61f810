"""Events between the loop and the disk: a moment's worth, or, while the disk is full, as many as memory may hold."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable

from edge.data import ShelfEvent


class Waiting:
    """A bounded queue, in order, and the shelf's state after its last tick. When it is full the oldest observation or status goes
    first, then the oldest event; each is counted in ``lost``. Thread-safe.

    Args:
        limit: how many events it holds.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._events: deque[ShelfEvent] = deque()
        self._lost = 0
        self._snapshot: bytes | None = None

    def __len__(self) -> int:
        return len(self._events)

    def add(self, events: Iterable[ShelfEvent], snapshot: bytes | None) -> None:
        """A tick's events at the end, together with the state that they led to; None: the state stays."""
        with self._lock:
            if snapshot is not None:
                self._snapshot = snapshot
            self._events.extend(events)
            self._shorten()

    def take(self) -> tuple[list[ShelfEvent], bytes | None]:
        """All events, out of the queue, and the state that belongs to them; None before the first."""
        with self._lock:
            events = list(self._events)
            self._events.clear()
            return events, self._snapshot

    def put_back(self, events: list[ShelfEvent]) -> None:
        """What was taken and could not be stored, before what came meanwhile."""
        with self._lock:
            self._events.extendleft(reversed(events))
            self._shorten()

    def take_lost(self) -> int:
        """How many were dropped since this was asked last."""
        with self._lock:
            lost, self._lost = self._lost, 0
            return lost

    def count_lost(self, count: int) -> None:
        """Dropped elsewhere, or taken from ``take_lost`` and not told."""
        with self._lock:
            self._lost += count

    def _shorten(self) -> None:
        excess = len(self._events) - self._limit
        if excess <= 0:
            return
        self._lost += excess
        kept: deque[ShelfEvent] = deque()
        for event in self._events:
            if excess and event.kind != "event":
                excess -= 1
            else:
                kept.append(event)
        for _ in range(excess):
            kept.popleft()
        self._events = kept
