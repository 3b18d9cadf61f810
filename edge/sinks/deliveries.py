"""All deliveries of an outbox: started together, woken together, and waited for at the end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from edge.errors import SinkError
from edge.monitor.vitals import SinkStatus
from edge.sinks.base import Sink
from edge.sinks.delivery import Backoff, Delivery
from edge.sinks.store import Store

_LOG = logging.getLogger(__name__)

_RETRY_SHARE = 0.1  # at the end of a file run a sink that fails is tried about ten times within its patience
_POLL_S = 0.05


class Deliveries:
    """One thread a sink.

    Args:
        sinks: key → sink, each registered in the store.
        store: read here for where each sink stands; the threads open their own.
        live: at the end all have ``drain_s`` together. Otherwise each has as long as it needs, and one whose tries fail has
            ``drain_s`` without getting on.
        drain_s: see ``live``.
        backoff: pauses after failures.
        set_aside: told (label, number of events, reason) when events were refused for good; from a delivery's thread.
        ended: told the error that ended a thread too early; from that thread.
    """

    def __init__(
        self,
        sinks: Mapping[str, Sink],
        store: Store,
        *,
        live: bool,
        drain_s: float,
        backoff: Backoff,
        set_aside: Callable[[str, int, str], None],
        ended: Callable[[BaseException], None],
    ) -> None:
        self._live, self._drain_s = live, drain_s
        self._all = [
            Delivery(
                key,
                sink,
                store.path,
                acknowledged=store.acknowledged(key),
                backoff=backoff,
                set_aside=set_aside,
                ended=ended,
            )
            for key, sink in sinks.items()
        ]
        for delivery in self._all:
            delivery.start()

    def wake(self) -> None:
        """There is something new."""
        for delivery in self._all:
            delivery.wake()

    def statuses(self, store: Store) -> tuple[SinkStatus, ...]:
        """Each sink now."""
        return tuple(
            SinkStatus(
                label=one.label,
                waiting=store.waiting(one.key, one.acknowledged),
                delivered=one.delivered,
                refused=one.refused,
                failing=one.failing,
            )
            for one in self._all
        )

    def wait_for_room(self, last_position: int, most: int) -> None:
        """Until no sink is more than ``most`` events behind ``last_position``, or only such as get nowhere."""
        started_s = time.monotonic()
        for delivery in self._all:
            while last_position > delivery.acknowledged + most and not self._given_up(delivery, started_s):
                time.sleep(_POLL_S)

    def drain(self) -> None:
        """Let all end; one that does not is left alone."""
        for delivery in self._all:
            delivery.drain(None if self._live else self._drain_s * _RETRY_SHARE)
        started_s = time.monotonic()
        for delivery in self._all:
            while not delivery.join(_POLL_S) and not self._given_up(delivery, started_s):
                pass

    def judge(self, store: Store, unstored: int, trouble: str | None) -> None:
        """After ``drain``: what is left over is a line in the log of a camera, and an error of a file run.

        Args:
            store: to count in.
            unstored: events that never got there, because of ``trouble``.
            trouble: why.

        Raises:
            SinkError: a sink of a file run does not have everything.
        """
        for delivery in self._all:
            count = store.waiting(delivery.key, delivery.acknowledged)
            if delivery.gone or count + unstored == 0:
                continue
            why = delivery.failing or trouble or f"{delivery.label}: does not answer"
            if not self._live:
                raise SinkError(
                    f"{count + unstored} events are not delivered: {why}", fix="the next run of this camera tries again"
                )
            _LOG.warning("%d events stay for the next start: %s", count, why)

    def _given_up(self, delivery: Delivery, started_s: float) -> bool:
        """Whether it has been waited for long enough. A file run waits for a reader that takes its time (a pager on standard output):
        it gives up only where tries fail, and sinks over a network have timeouts that make them fail."""
        if delivery.gone:
            return True
        if self._live:
            return time.monotonic() - started_s > self._drain_s
        since_s = max(started_s, delivery.progress_s)
        return delivery.failing is not None and time.monotonic() - since_s > self._drain_s
