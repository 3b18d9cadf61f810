"""Is a candidate to be trusted with this process? One that nobody has tried here yet first answers its golden pictures in another.

A network's file is a program: it may loop for ever, ask for all memory or crash its runtime, whatever its hashes say. So before a process
loads a candidate, a confined child (``edge.choice.probe`` by ``edge.choice.measure.Prober``) loads it and lets it answer the golden
pictures, or a few plain ones, within limits. What came of it is remembered under everything that it depends on (``machine.trial_key``):
what passed is not tried again, and what failed is not tried again either, until something of that changes or a person asks
(``shelfcam choose``). The bundles inside the package are as trusted as its code.

A candidate that passes may still die on what the camera shows. Where the process was inside the runtime when it died is known from
``edge.choice.runtime_watch``; after ``DEATHS_MAX`` such deaths in a row the trial counts as failed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path

import msgspec

from edge.bundle.reader import Bundle
from edge.choice.keys import trial_key
from edge.choice.measure import Prober
from edge.choice.pick import ProbeResult
from edge.choice.places import Wanted, label
from edge.choice.store import Trial, TrialStore
from edge.data import Provider
from edge.errors import BackendError, BundleError, ProviderError, SinkError
from edge.manifest import Candidate, Model

DEATHS_MAX = 3
"""In a row: a process that is killed once by somebody else may by chance have been inside the runtime; three times it is not chance."""

_ASSETS = Path(__file__).resolve().parents[1] / "assets"
_LOG = logging.getLogger(__name__)


def in_package(bundle: Bundle) -> bool:
    """Whether it came with the package, so that whoever could change it could change the code as well."""
    return bundle.directory.resolve().is_relative_to(_ASSETS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """The trials of one camera.

    Args:
        store: where they are remembered.
        announce: called with the most seconds that a trial may take, before one begins.
        stopped: asked during a trial whether the answer is still wanted.
        niceness: of the trials' processes.
        remember: whether anything is written.
    """

    store: TrialStore
    announce: Callable[[float], None] = lambda _: None
    stopped: Callable[[], bool] = lambda: False
    niceness: int = 0
    remember: bool = True
    _unstored: dict[str, Trial] = field(default_factory=dict)  # holds until the process ends

    def beside_a_loop(self, niceness: int) -> Trials:
        """The same for a thread beside the loop, which the watchdog does not wait for."""
        return replace(self, announce=lambda _: None, niceness=niceness)

    def known(self, bundle: Bundle, model: Model, candidate: Candidate, place: Provider = "cpu") -> Trial | None:
        """What is remembered of it; None: it would have to be tried."""
        return self._recall(trial_key(bundle.sha256, model.name, candidate.name, place))

    def refuse_failed(self, bundle: Bundle, model: Model, candidate: Candidate, place: Provider = "cpu") -> None:
        """Raises BundleError if it is remembered as failed; starts nothing."""
        trial = None if in_package(bundle) else self.known(bundle, model, candidate, place)
        if trial is not None:
            self._refuse(bundle, trial)

    def require(
        self, bundle: Bundle, model: Model, candidate: Candidate, place: Provider, *, threads: int, wanted: Wanted
    ) -> str | None:
        """Returns once the candidate may be loaded by this process; it is tried if nobody has yet.

        Returns:
            Its key, to tell ``died`` and ``lived`` of; None for a bundle of the package.

        Raises:
            BundleError: it failed, now or before.
            BackendError: it could not be tried: its runtime is missing here (ProviderError: the place).
            CancelledError: ``stopped`` said so.
        """
        if in_package(bundle):
            return None
        key = trial_key(bundle.sha256, model.name, candidate.name, place)
        trial = self._recall(key)
        if trial is None:
            prober = Prober(bundle, model, threads, wanted, niceness=self.niceness, stopped=self.stopped)
            self.announce(prober.limits(candidate, place, 0).seconds)
            result = prober.attempt(candidate, place)
            if result.missing:
                raise ProviderError(str(result.failure), fix=result.fix)
            if result.unavailable:
                raise BackendError(str(result.failure), fix=result.fix)
            trial = self.learn(bundle, model, candidate, result)
            if trial is None:
                raise BundleError(f"{bundle.directory}: changed while it was tried", fix="start again when it is complete")
        self._refuse(bundle, trial)
        return key

    def learn(self, bundle: Bundle, model: Model, candidate: Candidate, result: ProbeResult) -> Trial | None:
        """Remember what a probe found out, whoever had it made. None, and nothing remembered, if it says nothing about the candidate."""
        if result.unavailable or result.missing or (result.bundle != bundle.sha256 and not result.killed):
            return None
        trial = Trial(
            key=trial_key(bundle.sha256, model.name, candidate.name, result.place),
            bundle=f"{bundle.manifest.name}@{bundle.sha256[:12]}",
            candidate=f"{model.name}/{label(candidate.name, result.place)}",
            tried_utc=_now(),
            reason=result.failure,
        )
        self._remember(trial)
        return trial

    def died(self, key: str) -> None:
        """The camera's process died inside this candidate."""
        trial = self._recall(key)
        if trial is None or trial.reason is not None:
            return
        deaths = trial.deaths + 1
        _LOG.warning("the process died inside %s of %s, %d in a row", trial.candidate, trial.bundle, deaths)
        reason = None if deaths < DEATHS_MAX else f"the process died inside it {deaths} times in a row"
        self._remember(msgspec.structs.replace(trial, deaths=deaths, reason=reason, tried_utc=_now()))

    def lived(self, key: str) -> None:
        """The camera ran well with this candidate, or stopped in order: what it died of before does not count any more."""
        trial = self._recall(key)
        if trial is not None and trial.deaths and trial.reason is None:
            self._remember(msgspec.structs.replace(trial, deaths=0))

    def _refuse(self, bundle: Bundle, trial: Trial) -> None:
        if trial.reason is None:
            return
        raise BundleError(
            f"{bundle.directory}: {trial.candidate} failed its trial at {trial.tried_utc}: {trial.reason}",
            fix=f"export the bundle again; `shelfcam choose` tries this one again, and so does a start without {self.store.path}",
        )

    def _recall(self, key: str) -> Trial | None:
        return self._unstored.get(key) or self.store.recall(key)

    def _remember(self, trial: Trial) -> None:
        self._unstored.pop(trial.key, None)
        try:
            if self.remember:
                self.store.remember(trial)
                return
        except SinkError as error:  # a full disk costs another trial at the next start, not the service
            _LOG.warning("a trial is not remembered: %s", error)
        self._unstored[trial.key] = trial


def _now() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
