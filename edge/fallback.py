"""What a run starts with: the configured bundle, or the last good one where that is damaged, refused, or fails its trial.

A shop's camera should not go dark because somebody copied a bad file over a good one. So the service, which nobody watches, goes on with
the newest bundle that has answered this camera before (``edge.bundle.kept``) and says so until the configured one is mended; somebody who
tries a bundle at a terminal is told at once instead.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from types import TracebackType

import msgspec

from edge import models
from edge.backends.base import Backend
from edge.bundle.kept import KeptBundle
from edge.bundle.reader import Bundle, open_bundle
from edge.choice.loader import ModelLoader
from edge.choice.runtime_watch import RuntimeMark, WatchedBackend
from edge.choice.trial import Trials, in_package
from edge.config import AUTO, DeviceConfig, state_directory
from edge.errors import BundleError, InputMissingError, ShelfcamError, SinkError
from edge.manifest import Model, Step
from edge.stages.base import ActiveModel

_COPY_WAIT_S = 10.0
"""How long the end of a run waits for a copy that is being made; less than the unit's TimeoutStopSec."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReadyModel:
    """One model, loaded. ``reason``: why this candidate; None: the safe one, because nothing is known yet."""

    loader: ModelLoader
    active: ActiveModel
    reason: str | None


@dataclass(frozen=True, slots=True)
class First:
    """``config``: the site's, with another bundle where ``refused`` says why the configured one does not run. ``ready``: a model for each
    of the ``steps``."""

    config: DeviceConfig
    bundle: Bundle
    steps: tuple[Step, ...]
    ready: tuple[ReadyModel, ...]
    refused: ShelfcamError | None = None

    @property
    def name(self) -> str:
        """Of its models, joined by " + "."""
        return " + ".join(step.model for step in self.steps)

    def close(self) -> None:
        """It is not wanted."""
        for one in self.ready:
            one.active.backend.close()


class Starter:
    """Loads what runs first, for one process; a context manager, left when that ends in order.

    Args:
        config: the site, for its state directory.
        trials: what a candidate passes before it is loaded.
        last_good: whether another bundle may run than the configured one, and what runs is kept for that.
    """

    def __init__(self, config: DeviceConfig, trials: Trials, *, last_good: bool) -> None:
        self._trials = trials
        self._kept = models.kept_bundles(config) if last_good else None
        self._mark = RuntimeMark(state_directory(config) / "runtime.mark")
        self._ran: dict[tuple[str, str | None], tuple[Bundle, str | None]] = {}
        self._copying: threading.Thread | None = None
        self._closing = False
        for key in self._mark.died_in:
            trials.died(key)

    def start(self, config: DeviceConfig, *, last_good: bool = True) -> First:
        """The first model of ``config``; or with ``last_good``, if its bundle fails, of the last good bundle that does not.

        Raises:
            ShelfcamError: what is wrong with the configured bundle.
            CancelledError: the trials were told to stop.
        """
        try:
            return self._load(config, models.find_bundle(config))
        except (BundleError, InputMissingError) as error:
            for kept in self._kept.all() if self._kept is not None and last_good else ():
                try:
                    bundle = self._open(kept)
                    first = self._load(_instead(config, bundle, kept), bundle)
                except ShelfcamError as fault:
                    _LOG.warning("a bundle that ran before cannot run in its place: %s", fault)
                    continue
                _LOG.error("the configured bundle does not run, the last good one does: %s", error)
                return replace(first, refused=error)
            raise

    def prepare(self, config: DeviceConfig, trials: Trials) -> First:
        """The first model of ``config``, to take the place of one that runs: judged in a process of its own, loaded in this one, and warm.
        For a thread beside the loop, with its own ``trials``.

        Raises:
            ShelfcamError: it cannot be, or does not pass its gate here.
            CancelledError: the trials were told to stop.
        """
        return self._load(config, models.find_bundle(config), trials)

    def __enter__(self) -> Starter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._copying is not None:
            self._copying.join(_COPY_WAIT_S)
            self._closing = True
            self._copying.join()
        if kind is None:  # a stop in order counts as a good run
            for bundle, key in list(self._ran.values()):
                self._has_lived(bundle, key)
        self._mark.close()

    def _load(self, config: DeviceConfig, bundle: Bundle, beside: Trials | None = None) -> First:
        """``beside``: of a thread beside the loop, which has time to judge."""
        found, name = models.find_models(config, bundle), config.model.name
        with ExitStack() as stack:
            ready = []
            for model in found:
                ready.append(self._load_one(config, bundle, model, beside))
                stack.callback(ready[-1].active.backend.close)
            stack.pop_all()
        return First(config, bundle, models.find_steps(bundle, name), tuple(ready))

    def _load_one(self, config: DeviceConfig, bundle: Bundle, model: Model, beside: Trials | None) -> ReadyModel:
        def around(key: str | None, load: Callable[[], Backend]) -> Backend:
            with self._mark.inside("loading", key):
                backend = load()
            return WatchedBackend(
                backend,
                self._mark,
                key,
                ran=lambda: self._has_run(bundle, config.model.name, key),
                lived=lambda: self._has_lived(bundle, key),
                failed=lambda: self._has_failed(config, bundle, key),
            )

        loader = models.build_loader(config, bundle, model, trials=self._trials if beside is None else beside, around=around)
        active, reason = models.first_model(config, loader, loader.load if beside is None else loader.load_judged)
        return ReadyModel(loader, active, reason)

    def _open(self, kept: KeptBundle) -> Bundle:
        assert self._kept is not None  # where it came from
        return self._kept.open(kept.sha256) if kept.builtin is None else open_bundle(models.bundle_directory(kept.builtin))

    def _has_run(self, bundle: Bundle, name: str | None, key: str | None) -> None:
        """Called in the loop after the first answer of a candidate."""
        new = all(other.sha256 != bundle.sha256 for other, _ in self._ran.values())
        self._ran[bundle.sha256, key] = (bundle, key)
        if self._kept is not None and new:
            self._copying = threading.Thread(
                target=self._keep, args=(bundle, name, self._copying), name="keep bundle", daemon=True
            )
            self._copying.start()

    def _keep(self, bundle: Bundle, name: str | None, before: threading.Thread | None) -> None:
        if before is not None:
            before.join()
        assert self._kept is not None  # or nobody would call
        builtin = models.BUILTIN + bundle.directory.name if in_package(bundle) else None
        try:
            self._kept.keep(bundle, name, builtin=builtin, stopped=lambda: self._closing)
        except (ShelfcamError, OSError) as error:
            _LOG.warning("the bundle that runs is not kept for the case that it is damaged: %s", error)

    def _has_failed(self, config: DeviceConfig, bundle: Bundle, key: str | None) -> None:
        """An error of the runtime ends this process: as good as a death, if there is a bundle to go on with."""
        if key is not None and any(self._could_run(config, kept) for kept in self._others(bundle)):
            self._trials.died(key)

    def _others(self, bundle: Bundle) -> list[KeptBundle]:
        return [] if self._kept is None else [kept for kept in self._kept.all() if kept.sha256 != bundle.sha256]

    def _could_run(self, config: DeviceConfig, kept: KeptBundle) -> bool:
        """As far as is known without trying."""
        try:
            bundle = self._open(kept)
            wanted = _instead(config, bundle, kept)
            for model in models.find_models(wanted, bundle):
                models.refuse_failed(wanted, bundle, model)
        except ShelfcamError:
            return False
        return True

    def _has_lived(self, bundle: Bundle, key: str | None) -> None:
        if key is not None:
            self._trials.lived(key)
        if self._kept is None:
            return
        try:
            self._kept.prove(bundle)
        except SinkError as error:
            _LOG.warning("that a bundle has run well is not remembered: %s", error)


def _instead(config: DeviceConfig, bundle: Bundle, kept: KeptBundle) -> DeviceConfig:
    """The site with the kept bundle: its model, and the candidate that the site names if this bundle has it."""
    found = [models.find_model(bundle, step.model) for step in models.find_steps(bundle, kept.model)]
    candidate = config.model.candidate if all(model.candidate(config.model.candidate) for model in found) else AUTO
    changed = msgspec.structs.replace(config.model, bundle=str(bundle.directory), name=kept.model, candidate=candidate)
    return msgspec.structs.replace(config, model=changed)
