"""Was the process inside a model's runtime when it died? A model that passed its trial may still hang or crash on what a camera shows.

``RuntimeMark`` keeps a file that says which candidate this process loads or runs at this very moment: a byte is set before the runtime is
called and cleared after. A process that is killed (by the watchdog, which takes a hang for what it is, by the kernel for its memory, by
its own crash) leaves it as it was, for what was written outlives a process. The next start reads it. So a camera's driver that crashes, or
a person who kills the service, is not taken for the model's fault, except by the chance of hitting that very moment; that is why it takes
several in a row (``edge.choice.trial``).

A power cut is no evidence: a mark of another boot is forgotten, and so is one where the system does not say which boot it is. Deaths
count only until the candidate has run for ``HEALTHY_AFTER_S``, after which nothing is marked any more; that, or a stop in order, ends the
row. An error that the runtime itself reports does not end it, and adds to it where another bundle could run instead
(``edge.fallback``): without one, what the camera shows may still change.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import msgspec

from edge.backends.base import Backend
from edge.choice.store import Key
from edge.data import RawOutputs, Tensor
from edge.errors import BackendError
from edge.files import read_regular
from edge.strict import Strict

HEALTHY_AFTER_S = 300.0
"""Longer than the unit's start and a few of its watchdog's periods: what a model dies of at once, it dies of within this time."""

_CALLS = ("loading", "running")  # the order of the bytes
_SIZE = 512
_CLEAR, _SET = b"0", b"1"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_LOG = logging.getLogger(__name__)

Call = Literal["loading", "running"]


class _Keys(Strict, frozen=True, kw_only=True):
    """Behind the bytes: which candidates they are about, by the keys of their trials."""

    boot: str
    loading: Key | None = None
    running: Key | None = None


class RuntimeMark:
    """The file at ``path``, for one process at a time; ``close`` it when that ends in order.

    ``died_in``: keys of what the process before was inside of when it died; mostly none. ``boot``: names the time since the machine
    started; by default what the kernel calls it. A file that cannot be written is logged and then does nothing.
    """

    def __init__(self, path: Path, boot: str | None = None) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._keys = _Keys(boot=_boot_id() if boot is None else boot)
        self.died_in = _died_in(path, self._keys.boot)
        self._file: int | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)  # not written through a link
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            os.pwrite(self._file, _CLEAR * len(_CALLS), 0)
            self._write_keys()
        except OSError as error:
            _LOG.warning("%s: cannot be written, so a model that kills this process will not be known: %s", path, error)
            self.close()

    @contextmanager
    def inside(self, call: Call, key: str | None) -> Iterator[None]:
        """Around a call of the runtime; without a key nothing is marked."""
        if key is None or self._file is None:
            yield
            return
        if getattr(self._keys, call) != key:
            with self._lock, suppress(OSError):
                self._keys = msgspec.structs.replace(self._keys, **{call: key})
                self._write_keys()
        at = _CALLS.index(call)
        self._put(_SET, at)
        try:
            yield
        finally:
            self._put(_CLEAR, at)

    def close(self) -> None:
        """The process ends in order."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _put(self, what: bytes, at: int) -> None:
        if self._file is not None:
            with suppress(OSError):  # a disk that fails costs the mark, not the loop
                os.pwrite(self._file, what, at)

    def _write_keys(self) -> None:
        assert self._file is not None
        os.pwrite(self._file, msgspec.json.encode(self._keys).ljust(_SIZE - len(_CALLS)), len(_CALLS))


class WatchedBackend:
    """A backend whose calls are marked under ``key`` until it has run well for ``HEALTHY_AFTER_S``.

    Args:
        backend: what runs.
        mark: of this process.
        key: of its trial; None: not marked.
        ran: called once, after the first answer.
        lived: called once, when it has run well for so long.
        failed: called when the runtime reports an error before that, which ends the process.
        now_s: a clock that only goes forward.
    """

    def __init__(
        self,
        backend: Backend,
        mark: RuntimeMark,
        key: str | None,
        *,
        ran: Callable[[], None],
        lived: Callable[[], None],
        failed: Callable[[], None] = lambda: None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.info = backend.info
        self._backend, self._mark, self._key = backend, mark, key
        self._ran, self._lived, self._failed, self._now_s = ran, lived, failed, now_s
        self._first_s: float | None = None
        self._healthy = False

    def run(self, batch: Tensor) -> RawOutputs:
        """As the backend does."""
        if self._healthy:
            return self._backend.run(batch)
        try:
            with self._mark.inside("running", self._key):
                raw = self._backend.run(batch)
        except BackendError:
            self._failed()
            raise
        if self._first_s is None:
            self._first_s = self._now_s()
            self._ran()
        elif self._now_s() - self._first_s >= HEALTHY_AFTER_S:
            self._healthy = True
            self._lived()
        return raw

    def close(self) -> None:
        """As the backend does."""
        self._backend.close()


def _died_in(path: Path, boot: str) -> tuple[str, ...]:
    try:
        content = read_regular(path, _SIZE)
        keys = msgspec.json.decode(content[len(_CALLS) :], type=_Keys)
    except (OSError, ValueError):  # msgspec's errors are ValueErrors
        return ()
    if not boot or keys.boot != boot:
        return ()
    marked = [getattr(keys, call) for at, call in enumerate(_CALLS) if content[at : at + 1] == _SET]
    return tuple(dict.fromkeys(key for key in marked if key is not None))


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
