"""What one commit of the outbox does to its store: events, state, trimming and the news of a loss, all in one transaction."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge.clock import Clock
from edge.data import ShelfEvent
from edge.errors import SinkError
from edge.events import NumberReserve, earlier_counter, forget_earlier_counter, number_by_time, number_of
from edge.sinks import store as stores
from edge.sinks.base import Snapshot
from edge.sinks.database import DamagedError, examine, kept_aside, set_aside
from edge.sinks.retention import expire, make_room
from edge.sinks.rules import RULES
from edge.sinks.store import Store, StoredEvent

_LOG = logging.getLogger(__name__)

STORE_NAME = "outbox.db"

_EXPIRE_EVERY_S = 600.0
_NEVER_LARGER = 4  # times the limit, and some megabytes: what a sound file may grow to before it shrinks to a new limit
_SOME_BYTES = 64_000_000

Tell = Callable[[str, tuple[str, ...]], ShelfEvent]
"""Makes a status event of a type and flags."""


@dataclass(frozen=True, slots=True)
class OutboxLimits:
    """How much and how long. Bytes and age of what is kept on the disk; the rest are bounds of time and memory.

    ``window_s``: observations, and a changed snapshot without an event (``snapshot_s``), are stored together after that time at
    the latest; an ``event`` or ``status`` is stored before ``commit`` returns. ``memory``: events held while the disk is full.
    ``drain_s``: at the end a sink of a live camera has so long in all, one of a file run may fail for so long.
    """

    max_bytes: int = 64_000_000
    max_age_s: int = 30 * 86_400
    window_s: float = 0.25
    snapshot_s: float = 5.0
    disk_retry_s: float = 2.0
    memory: int = 10_000
    drain_s: float = 5.0


class Committer:
    """Writes to the store of one camera; not thread-safe.

    Args:
        directory: of the camera's state; an event counter of an earlier version in it is taken over.
        bundle: hash of the bundle, stored with the snapshots.
        durable: see ``Store``.
        goes_on: key of each sink of this run → whether it gets the backlog of an earlier run.
        limits: bytes and age.
        clock: dates the events for their age.

    Raises:
        SinkError: the store cannot be opened (see ``Store``), or the counter of an earlier version cannot be read.
    """

    def __init__(
        self, directory: Path, bundle: str, *, durable: bool, goes_on: Mapping[str, bool], limits: OutboxLimits, clock: Clock
    ) -> None:
        self.tell: Tell | None = None
        self.path = directory / STORE_NAME
        self._bundle, self._limits, self._clock = bundle, limits, clock
        self.news = self._set_damaged_aside()
        """Flags of the status event that tells of a damaged store, which was set aside; empty: there was none."""
        self.store = Store(self.path, durable=durable)
        self._encoder = msgspec.json.Encoder()
        self._expire_s = time.monotonic()
        self._reserve = NumberReserve(directory)
        try:
            self.first = self._begin(directory, goes_on)
        except sqlite3.Error as error:
            self.store.close()
            raise SinkError(f"{self.path}: cannot be written: {error}") from error
        except SinkError:
            self.store.close()
            raise
        stored = self.store.snapshot()
        self._snapshot = stored.body if stored and stored.bundle == bundle else None

    def use_bundle(self, bundle: str) -> None:
        """Snapshots are of this one from now on."""
        self._bundle, self._snapshot = bundle, None

    def has_news(self, snapshot: bytes | None) -> bool:
        """Whether this state is another than the stored one."""
        return snapshot is not None and snapshot != self._snapshot

    def commit(self, events: list[ShelfEvent], snapshot: bytes | None, lost: int) -> list[ShelfEvent]:
        """Store them, count ``lost`` more events as lost, and keep within the limits.

        Returns:
            The events that were stored: these, and a status event for each kind of loss.

        Raises:
            sqlite3.OperationalError: it cannot be written; nothing was.
        """
        store = self.store
        losses: list[tuple[int, str]] = [(lost, "the disk was full")] if lost else []
        with store.transaction():
            store.add([self._row(event) for event in events])
            if snapshot is not None and self.has_news(snapshot):
                store.set_snapshot(Snapshot(self._bundle, snapshot))
            if lost:
                store.set_fact("lost", store.fact("lost") + lost)
            losses += [(count, "the outbox is full") for count in [make_room(store, self._limits.max_bytes)] if count]
            losses += [(count, "too old") for count in [self._expire()] if count]
            told = [self.tell("events_lost", (f"count={n}", f"reason={why}")) for n, why in losses] if self.tell else []
            store.add([self._row(event) for event in told])
        self._snapshot = snapshot if snapshot is not None else self._snapshot
        self._reserve.cover(max((number_of(event.id) for event in events + told), default=0) + 1)
        for count, why in losses:
            _LOG.warning("%s: %d undelivered events are lost: %s", self.path, count, why)
        return events + told

    def _begin(self, directory: Path, goes_on: Mapping[str, bool]) -> int:
        """Register the sinks; the first free event number: by this store, by the counter of an earlier version, or by what was reserved."""
        earlier = earlier_counter(directory)
        with self.store.transaction():
            first = max(self.store.fact("next"), earlier)
            if first == 1:
                first = self._first_after_a_loss()
            self.store.set_fact("next", first)
            if self.store.fact("bytes") > self._limits.max_bytes:  # before anything is deleted for it
                self.store.recount()
            self.store.register(goes_on)
        forget_earlier_counter(directory)
        return first

    def _first_after_a_loss(self) -> int:
        """Of a store that begins anew: above every number that an earlier one gave; 1 where there was none."""
        if self._reserve.known is not None:
            return self._reserve.known
        lost = self._reserve.there or bool(kept_aside(self.path))
        return number_by_time(self._clock.utc().timestamp()) if lost else 1

    def _set_damaged_aside(self) -> tuple[str, ...]:
        """Look at the store before it is opened. Returns flags (see ``news``); raises SinkError."""
        largest = _NEVER_LARGER * self._limits.max_bytes + _SOME_BYTES
        try:
            try:
                examine(self.path, stores.MIGRATIONS, RULES, largest_bytes=largest)
            except DamagedError as damage:
                return (f"kept={set_aside(self.path, str(damage)).name}", f"reason={damage}")
        except (OSError, sqlite3.Error) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise SinkError(
                f"{self.path}: cannot be opened: {reason}", fix="let the service's user read and write it"
            ) from error
        return ()

    def _expire(self) -> int:
        """Now and then; never by a clock that cannot be believed."""
        if time.monotonic() < self._expire_s or not self._clock.synced():
            return 0
        self._expire_s = time.monotonic() + _EXPIRE_EVERY_S
        return expire(self.store, int(self._clock.utc().timestamp()) - self._limits.max_age_s)

    def _row(self, event: ShelfEvent) -> StoredEvent:
        kept_utc_s = int(self._clock.utc().timestamp()) if self._clock.synced() else None
        return StoredEvent(number_of(event.id), event.kind, kept_utc_s, self._encoder.encode(event))
