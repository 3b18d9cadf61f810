"""Another configuration between two ticks, in the same process: counters, event numbers and the systemd state go on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, Protocol, TypeVar

from edge.config import DeviceConfig
from edge.data import Tick
from edge.errors import ConfigError, ShelfcamError

_LOG = logging.getLogger(__name__)


class Site(Protocol):
    """What one configuration decides, built from it and closed with it."""

    config: DeviceConfig

    def say(self, type_: str, *flags: str) -> None:
        """Commit a status event. Raises SinkError."""
        ...

    def close(self) -> None:
        """Give everything back; a second time does nothing."""
        ...


S = TypeVar("S", bound=Site)


class Running(Generic[S]):
    """The site that runs, and its replacement. A camera opens once, so the old site closes before the new one opens.

    Raises:
        ShelfcamError: the first configuration cannot be built.
    """

    def __init__(self, config: DeviceConfig, build: Callable[[DeviceConfig], S]) -> None:
        self._build = build
        self.site = build(config)

    def read_again(self, reload: Callable[[], DeviceConfig]) -> DeviceConfig | None:
        """What ``reload`` returns; or None, logged and said, if it raises or changes what only a restart can."""
        try:
            wanted = reload()
            refuse_fixed(self.site.config, wanted)
        except ShelfcamError as error:
            self._refuse(error)
            return None
        return wanted

    def change(self, config: DeviceConfig) -> bool:
        """Run ``config``, or, if it cannot be built, the one before again (False, logged and said).

        Raises:
            ShelfcamError: not even that one can be built any more.
        """
        old = self.site.config
        self.site.close()
        try:
            self.site = self._build(config)
        except ShelfcamError as error:
            self.site = self._build(old)
            self._refuse(error)
            return False
        return True

    def close(self) -> None:
        """Close what runs."""
        self.site.close()

    def _refuse(self, error: ShelfcamError) -> None:
        _LOG.error("the new configuration is refused, the old one runs on: %s", error)
        self.site.say("reload_refused", str(error))


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
