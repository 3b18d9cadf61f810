"""Store and forward: what the loop commits is on the disk before any sink sees it, and a sink that fails stops nobody else.

Three kinds of thread: the loop commits; the keeper stores what may wait a moment and folds the log into the file; each sink has a
delivery of its own (``edge.sinks.delivery``).
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from edge.clock import Clock
from edge.data import ShelfEvent
from edge.events import EventCounter
from edge.monitor.vitals import OutboxStatus
from edge.sinks.base import Sink, Snapshot
from edge.sinks.committer import Committer, OutboxLimits, Tell
from edge.sinks.database import damaged, is_damage
from edge.sinks.deliveries import Deliveries
from edge.sinks.delivery import Backoff
from edge.sinks.store import Store
from edge.sinks.waiting import Waiting

_LOG = logging.getLogger(__name__)

_FOLD_EVERY = 128  # commits, of some 5 to 10 pages of 4 KiB each: the log stays at a few megabytes
_EVENT_BYTES = 1_000  # twice a usual event: how many a file run keeps undelivered before it waits


class StoredOutbox:
    """The outbox of one camera, in its state directory, whose lock the caller holds.

    Args:
        directory: of the camera's state.
        sinks: key → sink. A key that ends in ":-" (standard output) has another reader each time: it gets no backlog.
        bundle: hash of the bundle, stored with the snapshots.
        live: a camera: what is committed survives a power cut, and at the end sinks have a bounded time. A file run can be
            repeated: it survives a crash of the process only, and at the end everything has to be delivered.
        limits: bytes, age, times.
        clock: dates the events for their age.
        watch: called with every event after it was stored.
        backoff: of the deliveries.

    Raises:
        SinkError: the store cannot be opened (see ``Store``), or the counter of an earlier version cannot be read.
    """

    def __init__(
        self,
        directory: Path,
        sinks: Mapping[str, Sink],
        *,
        bundle: str,
        live: bool,
        limits: OutboxLimits | None = None,
        clock: Clock | None = None,
        watch: Callable[[ShelfEvent], None] | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self._limits, self._live, self._watch = limits or OutboxLimits(), live, watch
        goes_on = {key: not key.endswith(":-") for key in sinks}
        self._committer = Committer(
            directory, bundle, durable=live, goes_on=goes_on, limits=self._limits, clock=clock or Clock()
        )
        self._path, self._store = self._committer.path, self._committer.store
        self._store_lock = threading.RLock()
        self._last_position = self._store.last_position()
        self._unfolded = 0
        self.first_number = self._committer.first
        """What is stored has lower numbers."""
        self.counter = EventCounter(self.first_number)
        """Of this camera's events; how far it got is stored with them."""
        self._waiting = Waiting(self._limits.memory)
        self._trouble: str | None = None
        self._notices: list[tuple[str, tuple[str, ...]]] = []
        if self._committer.news:
            self._notices.append(("outbox_damaged", self._committer.news))
        self._errors: list[BaseException] = []
        self._deliveries = Deliveries(
            sinks,
            self._store,
            live=live,
            drain_s=self._limits.drain_s,
            backoff=backoff or Backoff(),
            set_aside=self._set_aside,
            ended=self._errors.append,
        )
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="outbox", daemon=True)
        self._keeper.start()

    def tell_by(self, tell: Tell) -> None:
        """How to make the status events of losses, refusals and a full disk; without it they are only logged."""
        self._committer.tell = tell

    def use_bundle(self, bundle: str) -> None:
        """Another bundle answers from now on: its hash is stored with the snapshots."""
        self._committer.use_bundle(bundle)

    def last_snapshot(self) -> Snapshot | None:
        """What was committed last, by any run of this camera; its bundle may be another one."""
        with self._store_lock:
            try:
                return self._store.snapshot()
            except sqlite3.DatabaseError as error:
                raise damaged(self._path, error) from error

    def commit(self, events: Sequence[ShelfEvent], snapshot: bytes | None) -> None:
        """Take a tick's events and the shelf's state, to be stored in one transaction.

        With an ``event`` or ``status`` among them it is stored when this returns; otherwise within ``window_s``. While the disk
        is full they wait in memory, and this returns all the same.

        Raises:
            SinkError: a sink's reader has gone, or the store is damaged.
        """
        self._raise_error()
        if not self._live:
            self._deliveries.wait_for_room(self._last_position, self._limits.max_bytes // _EVENT_BYTES)
        self._waiting.add(events, snapshot)
        if self._trouble is not None or not events:
            return
        if any(event.kind != "observation" for event in events) or len(self._waiting) > self._limits.memory // 2:
            self._flush()

    def status(self) -> OutboxStatus:
        """The outbox now; from any thread, until ``close``."""
        with self._store_lock:
            return OutboxStatus(
                bytes=self._store.fact("bytes"),
                max_bytes=self._limits.max_bytes,
                in_memory=len(self._waiting),
                lost=self._store.fact("lost"),
                trouble=self._trouble,
                sinks=self._deliveries.statuses(self._store),
            )

    def close(self) -> None:
        """Store what waits and deliver what can be delivered; the rest stays for the next start.

        Raises:
            SinkError: the store is damaged; or this is a file run and a sink does not have everything.
        """
        self._stopping.set()
        self._keeper.join()
        self._tell_notices()
        try:
            self._flush()
        finally:
            self._deliveries.drain()
        self._committer.tell = (
            None  # it leads to the site and its model, and a thread whose sink blocks for ever keeps this outbox
        )
        with closing(self._store):
            self._raise_error()
            unstored = len(self._waiting)
            if unstored:
                _LOG.warning("%s: %d events are lost, for they could not be stored: %s", self._path, unstored, self._trouble)
            try:
                self._deliveries.judge(self._store, unstored, self._trouble)
            except sqlite3.DatabaseError as error:
                raise damaged(self._path, error) from error

    def _flush(self) -> None:
        """Store what waits. On a full disk it goes on waiting; damage is raised."""
        with self._store_lock:
            events, snapshot = self._waiting.take()
            lost = self._waiting.take_lost()
            if not events and not lost and not self._committer.has_news(snapshot):
                return
            try:
                stored = self._committer.commit(events, snapshot, lost)
            except sqlite3.DatabaseError as error:
                if is_damage(error):
                    raise damaged(self._path, error) from error
                self._waiting.put_back(events)
                self._waiting.count_lost(lost)
                self._say_trouble(str(error))
                return
            self._last_position = self._store.last_position()
            self._unfolded += 1
            self._say_recovered()
            if self._watch is not None:
                for event in stored:
                    self._watch(event)
        self._deliveries.wake()

    def _keep(self) -> None:
        """The keeper's thread. Its error is raised in the loop."""
        snapshot_due_s = 0.0
        try:
            with closing(Store(self._path, durable=False)) as folder:
                while not self._stopping.wait(self._limits.window_s if self._trouble is None else self._limits.disk_retry_s):
                    self._tell_notices()
                    now_s = time.monotonic()
                    if len(self._waiting) or now_s >= snapshot_due_s:
                        snapshot_due_s = now_s + self._limits.snapshot_s
                        self._flush()
                        self._fold(folder)
        except sqlite3.DatabaseError as error:
            self._errors.append(damaged(self._path, error))
        except BaseException as error:  # noqa: BLE001 - whatever it is, the loop gets it
            self._errors.append(error)

    def _fold(self, store: Store) -> None:
        """Now and then; and on a full disk, where a log that is folded whole begins anew in the room that it has."""
        if self._unfolded < _FOLD_EVERY and self._trouble is None:
            return
        try:
            store.checkpoint()
            self._unfolded = 0
        except sqlite3.OperationalError as error:
            _LOG.debug("%s: %s", self._path, error)  # if it goes on, the next commit says that the disk is full

    def _set_aside(self, label: str, count: int, reason: str) -> None:
        """From a delivery's thread."""
        self._notices.append(("events_refused", (f"count={count}", f"sink={label}", f"reason={reason}")))

    def _tell_notices(self) -> None:
        while self._notices and self._committer.tell is not None:
            type_, flags = self._notices.pop(0)
            self._waiting.add([self._committer.tell(type_, flags)], None)

    def _say_trouble(self, reason: str) -> None:
        if self._trouble != reason:
            _LOG.warning("%s: events wait in memory: %s", self._path, reason)
        if self._trouble is None:
            self._notices.append(("outbox_unwritable", (f"reason={reason}",)))
        self._trouble = reason

    def _say_recovered(self) -> None:
        if self._trouble is not None:
            _LOG.warning("%s: events are stored again", self._path)
            self._notices.append(("outbox_writable", ()))
        self._trouble = None

    def _raise_error(self) -> None:
        """What ended the keeper, or a delivery (its reader has gone), once."""
        if self._errors:
            raise self._errors.pop(0)
