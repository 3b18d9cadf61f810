"""The seams behind the shelf: the outbox that commits, and the sinks that deliver."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from edge.data import ShelfEvent
from edge.errors import SinkError


class DeliveryError(SinkError):
    """The receiver could not take the events now: tried again.

    Args:
        message: the reason, without credentials.
        retry_after_s: the receiver asked for this pause; None: it did not say.
    """

    def __init__(self, message: str, *, fix: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message, fix=fix)
        self.retry_after_s = retry_after_s


class RefusedError(SinkError):
    """The receiver understood and will not have these events: tried a few times, then set aside and told.

    Args:
        message: the reason, without credentials.
        count: how many of the leading events it is about.
    """

    def __init__(self, message: str, *, count: int, fix: str | None = None) -> None:
        super().__init__(message, fix=fix)
        self.count = count


class GoneError(SinkError):
    """Whoever read the events has left for good (a closed pipe): the run ends."""


@dataclass(frozen=True, slots=True)
class SinkSite:
    """What a sink knows of its camera. ``durable``: what was taken must survive a power cut before ``write`` returns."""

    camera: str
    durable: bool


class Sink(Protocol):
    """Delivers events somewhere, in order. Made in the main thread, then used and closed by one worker thread.

    ``takes_simulated``: whether events of a simulated camera may go there. ``label``: where that is, without credentials.
    """

    takes_simulated: bool
    label: str

    def write(self, events: Sequence[ShelfEvent]) -> int:
        """Deliver the first ones; returns how many the receiver has now, at least 1. The others come again.

        Raises:
            DeliveryError: none was taken; the same events come again.
            RefusedError: the receiver will not have them.
            GoneError: there is no receiver any more.
        """
        ...

    def close(self) -> None:
        """Release everything. Raises SinkError."""
        ...


class SinkFactory(Protocol):
    """What the registry holds: makes a sink without connecting. Raises ConfigError, or SinkError where a path cannot be written."""

    def __call__(self, config: Any, site: SinkSite) -> Sink:
        """The sink of one ``[[sink]]`` table."""
        ...


class Outbox(Protocol):
    """Commits a tick's events and the shelf's state together, or neither."""

    def commit(self, events: Sequence[ShelfEvent], snapshot: bytes | None) -> None:
        """``snapshot`` None: the shelf's state stays as it is. Raises SinkError."""
        ...

    def close(self) -> None:
        """Deliver what can be delivered, and close. Raises SinkError."""
        ...


class Snapshot(msgspec.Struct, frozen=True):
    """The shelf's state as it was last committed. ``bundle``: the hash of the bundle that it was seen with."""

    bundle: str
    body: bytes
