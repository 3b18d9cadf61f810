"""Another configuration between two ticks, in the same process: counters, event numbers and the systemd state go on."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from edge.choice.measure import CancelledError
from edge.config import DeviceConfig
from edge.data import Tick
from edge.errors import ConfigError, ShelfcamError

_LOG = logging.getLogger(__name__)


class ReloadableSite(Protocol):
    """What one configuration decides, built from it and closed with it."""

    config: DeviceConfig

    def say(self, type_: str, *flags: str) -> None:
        """Commit a status event. Raises SinkError."""
        ...

    def close(self) -> None:
        """Give everything back; a second time does nothing."""
        ...


S = TypeVar("S", bound=ReloadableSite)
R = TypeVar("R")


class Running(Generic[S]):
    """The site that runs, and its replacement. A camera opens once, so the old site closes before the new one opens.

    ``build`` makes a site, and is told whether another bundle may run than the configured one: at the start, and where the old site has to
    be built again; not for a new configuration, which is refused instead.

    Raises:
        ShelfcamError: the first configuration cannot be built.
    """

    def __init__(self, config: DeviceConfig, build: Callable[[DeviceConfig, bool], S]) -> None:
        self._build = build
        self.site = build(config, True)

    def change(self, config: DeviceConfig) -> bool:
        """Run ``config``, or, if it cannot be built, the one before again (False, logged and said).

        Raises:
            ShelfcamError: not even that one can be built any more.
        """
        old = self.site.config
        self.site.close()
        try:
            self.site = self._build(config, False)
        except ShelfcamError as error:
            self.site = self._build(old, True)
            self.refuse(error)
            return False
        return True

    def close(self) -> None:
        """Close what runs."""
        self.site.close()

    def refuse(self, error: ShelfcamError) -> None:
        """Log and say that a new configuration is not taken."""
        _LOG.error("the new configuration is refused, the old one runs on: %s", error)
        self.site.say("reload_refused", str(error))


class Reading(Generic[R]):
    """Reads a configuration again in a thread beside the loop: to check its files and to try its bundle may take minutes.

    Args:
        read: the new configuration, or what was made of it. Raises ShelfcamError if it cannot be used, CancelledError if it is not wanted
            any more.
        refuse: called in the loop's thread with that error.
        discard: called with what ``read`` gave and nobody takes any more.
    """

    def __init__(
        self, read: Callable[[], R], refuse: Callable[[ShelfcamError], None], discard: Callable[[R], None] = lambda _: None
    ) -> None:
        self._read, self._refuse, self._discard = read, refuse, discard
        self._thread: threading.Thread | None = None
        self._result: R | BaseException | None = None

    def poll(self, asked: Callable[[], bool]) -> R | None:
        """Call between two ticks: what ``read`` gave, to run now, or None. ``asked``: whether it was asked for since the last time; the one
        that was being read is then too old."""
        if self._thread is not None and self._thread.is_alive():
            return None
        result, self._result, self._thread = self._result, None, None
        if asked():
            self._drop(result)
            self._thread = threading.Thread(target=self._work, name="reload", daemon=True)
            self._thread.start()
            return None
        if isinstance(result, ShelfcamError):
            self._refuse(result)
            return None
        if isinstance(result, BaseException) and not isinstance(result, CancelledError):
            raise result
        return None if isinstance(result, BaseException) else result

    def close(self) -> None:
        """Wait for the thread; what ``read`` asks has to tell it to stop."""
        if self._thread is not None:
            self._thread.join()
        result, self._result = self._result, None
        self._drop(result)

    def _drop(self, result: R | BaseException | None) -> None:
        if result is not None and not isinstance(result, BaseException):
            self._discard(result)

    def _work(self) -> None:
        try:
            self._result = self._read()
        except BaseException as error:  # noqa: BLE001 - handed over: poll() deals with it in the loop's thread
            self._result = error


class TicksUntilChange:
    """Ticks up to the one after which ``ask`` has a new configuration, which is then in ``changed``."""

    def __init__(self, ticks: Iterable[Tick], ask: Callable[[], DeviceConfig | None]) -> None:
        self.changed: DeviceConfig | None = None
        self._ticks = ticks
        self._ask = ask

    def __iter__(self) -> Iterator[Tick]:
        for tick in self._ticks:
            yield tick
            self.changed = self._ask()
            if self.changed is not None:
                return


def refuse_fixed(old: DeviceConfig, new: DeviceConfig) -> None:
    """Raises ConfigError for what only a restart can change: where state and event numbers are, the port of the metrics, and
    the CPUs and priority that threads which run already have."""
    for key, before, after in (
        ("camera.name", old.camera.name, new.camera.name),
        ("state", old.state, new.state),
        ("metrics", old.metrics, new.metrics),
        ("model.affinity", set(old.model.affinity), set(new.model.affinity)),
        ("model.nice", old.model.nice, new.model.nice),
    ):
        if before != after:
            raise ConfigError(f"{key} cannot change while the service runs", fix="restart the service")
