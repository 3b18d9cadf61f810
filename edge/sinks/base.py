"""The seams behind the shelf: the outbox that commits, and the sinks that deliver."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from edge.data import ShelfEvent


class Sink(Protocol):
    """Delivers events somewhere, in order."""

    def write(self, events: Sequence[ShelfEvent]) -> None:
        """Deliver. Raises SinkError."""
        ...

    def close(self) -> None:
        """Flush everything and close. Raises SinkError."""
        ...


class Outbox(Protocol):
    """Commits a tick's events and the shelf's state together, or neither."""

    def commit(self, events: Sequence[ShelfEvent], snapshot: bytes) -> None:
        """Raises SinkError."""
        ...

    def close(self) -> None:
        """Flush and close. Raises SinkError."""
        ...


class DirectOutbox:
    """For a shelf without state: hands events straight to the sinks; there is nothing to commit them together with."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = tuple(sinks)

    def commit(self, events: Sequence[ShelfEvent], snapshot: bytes) -> None:
        """Every sink gets every event before this returns."""
        if events:
            for sink in self._sinks:
                sink.write(events)

    def close(self) -> None:
        """Close every sink."""
        for sink in self._sinks:
            sink.close()
