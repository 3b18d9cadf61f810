"""Delivery to one sink, in a thread of its own: in order, at least once, for as long as it takes."""

from __future__ import annotations

import logging
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import msgspec

from edge.data import ShelfEvent
from edge.errors import SinkError
from edge.sinks.base import DeliveryError, RefusedError, Sink
from edge.sinks.database import damaged, is_damage
from edge.sinks.store import Store

_LOG = logging.getLogger(__name__)

_BATCH = 500
_IDLE_S = 60.0  # wakes by itself that often; a commit wakes it at once
_TRIES_BEFORE_SET_ASIDE = 5


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses between tries: doubling from ``first_s`` to ``longest_s``, each shortened by up to half at random, so that a shop's
    cameras do not come back all at once. ``refused_longest_s`` while the receiver refuses what it gets."""

    first_s: float = 0.5
    longest_s: float = 60.0
    refused_longest_s: float = 300.0

    def pause_s(self, failures: int, *, refused: bool, chance: float) -> float:
        """After the ``failures``-th failure in a row (from 1); ``chance`` in [0, 1)."""
        longest_s = self.refused_longest_s if refused else self.longest_s
        return min(longest_s, self.first_s * 2.0 ** min(failures - 1, 30)) * (1 - chance / 2)


class Delivery:
    """Reads the outbox behind what its sink acknowledged, and writes down how far it got.

    Args:
        key: of the sink in the store.
        sink: used and closed by this thread only.
        path: of the store.
        acknowledged: the position up to which the sink has everything.
        backoff: pauses after failures.
        set_aside: told (label, number of events, reason) when events were refused for good.
        ended: told the error that ended the thread, where ``drain`` did not.
    """

    def __init__(
        self,
        key: str,
        sink: Sink,
        path: Path,
        *,
        acknowledged: int,
        backoff: Backoff,
        set_aside: Callable[[str, int, str], None],
        ended: Callable[[BaseException], None],
    ) -> None:
        self.key = key
        self.acknowledged = acknowledged
        self.label = sink.label
        self.delivered = 0
        self.refused = 0
        self.failing: str | None = None
        self.gone = False
        """Whether an error ended the thread."""
        self.progress_s = time.monotonic()
        """When it last got on, or last had nothing to do."""
        self._sink = sink
        self._path = path
        self._backoff = backoff
        self._set_aside = set_aside
        self._ended = ended
        self._failures = 0
        self._retry_s: float | None = None
        self._wake = threading.Event()
        self._draining = threading.Event()
        self._decoder = msgspec.json.Decoder(ShelfEvent)
        self._thread = threading.Thread(target=self._run, name=f"sink {sink.label}", daemon=True)

    def start(self) -> None:
        """Begin to deliver."""
        self._thread.start()

    def wake(self) -> None:
        """There is something new."""
        self._wake.set()

    def drain(self, retry_s: float | None) -> None:
        """Deliver what is there, then end. A failure ends it too if ``retry_s`` is None; else it is tried again after that pause."""
        self._retry_s = retry_s
        self._draining.set()
        self._wake.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for its end; False if it goes on (its sink blocks)."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            with closing(Store(self._path, durable=False)) as store:
                self._deliver(store)
        except sqlite3.DatabaseError as error:
            self.gone = True
            self._ended(damaged(self._path, error))
        except BaseException as error:  # noqa: BLE001 - whatever it is, the outbox raises it again in the loop
            self.gone = True
            self._ended(error)
        finally:
            self._close()

    def _close(self) -> None:
        try:
            self._sink.close()
        except SinkError as error:
            _LOG.warning("%s", error)
            self.failing = self.failing or str(error)

    def _deliver(self, store: Store) -> None:
        while True:
            self._wake.clear()
            try:
                rows = store.undelivered(self.key, self.acknowledged, _BATCH)
                if rows:
                    self._attempt(store, rows)
            except sqlite3.OperationalError as error:
                if is_damage(error):
                    raise
                rows = [(0, b"")]
                self._failed(DeliveryError(f"{store.path}: {error}"), refused=False)
            except DeliveryError as error:
                self._failed(error, refused=False, retry_after_s=error.retry_after_s)
            except RefusedError as error:
                self._failed(error, refused=True)
            if self._draining.is_set() and (not rows or (self._failures and self._retry_s is None)):
                return
            if not rows:
                self.progress_s = time.monotonic()
                self._wake.wait(_IDLE_S)

    def _attempt(self, store: Store, rows: Sequence[tuple[int, bytes]]) -> None:
        """Hand over a batch. Raises what the sink raises."""
        wanted = [
            (position, event) for position, event in self._decode(rows) if self._sink.takes_simulated or not event.simulated
        ]
        if not wanted:
            self._acknowledge(store, rows[-1][0])
            return
        try:
            count = self._sink.write([event for _, event in wanted])
        except RefusedError as error:
            if self._failures + 1 >= _TRIES_BEFORE_SET_ASIDE:
                self._give_up([event for _, event in wanted[: error.count]], str(error))
                self._acknowledge(store, wanted[error.count - 1][0])
            raise
        self.delivered += count
        self._acknowledge(store, wanted[count - 1][0] if count < len(wanted) else rows[-1][0])
        if self.failing is not None:
            _LOG.warning("%s: delivering again", self.label)
        self.failing, self._failures = None, 0

    def _decode(self, rows: Sequence[tuple[int, bytes]]) -> Iterator[tuple[int, ShelfEvent]]:
        """(Position, event); a body that is none (only another version could have stored it) must not stop those behind it."""
        for position, body in rows:
            try:
                yield position, self._decoder.decode(body)
            except (ValueError, RecursionError) as error:  # of msgspec's too
                _LOG.warning("%s: position %d is no event: %s", self._path, position, error)
                self.refused += 1

    def _give_up(self, events: Sequence[ShelfEvent], reason: str) -> None:
        self.refused += len(events)
        _LOG.warning("%s: %d events are set aside: %s", self.label, len(events), reason)
        if any(event.kind != "status" for event in events):  # else the news of a refusal, refused, would make news for ever
            self._set_aside(self.label, len(events), reason)

    def _acknowledge(self, store: Store, position: int) -> None:
        """In memory at least: on a full disk it is written down with a later one."""
        self.acknowledged = position
        self.progress_s = time.monotonic()
        try:
            store.acknowledge(self.key, position)
        except sqlite3.OperationalError as error:
            if is_damage(error):
                raise
            _LOG.debug("%s: %s", store.path, error)

    def _failed(self, error: SinkError, *, refused: bool, retry_after_s: float | None = None) -> None:
        """Say why, once a change of reason, and wait."""
        self._failures += 1
        if str(error) != self.failing:
            _LOG.warning("%s (%s)", error, "refused" if refused else "events are kept and tried again")
        self.failing = str(error)
        if self._draining.is_set():
            time.sleep(self._retry_s or 0.0)
            return
        pause_s = self._backoff.pause_s(self._failures, refused=refused, chance=random.random())
        self._draining.wait(max(pause_s, retry_after_s or 0.0))
