"""The candidate that answers now, and how it may change while the loop runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from edge.backends import load_backend
from edge.backends.base import PROVIDER_FIX, Backend
from edge.bundle.reader import Bundle
from edge.choice.idle import wait_until_idle
from edge.choice.keys import machine_key
from edge.choice.measure import CancelledError, Prober
from edge.choice.pick import Choice, ProbeResult, Row, missing_places, pick, safe_order
from edge.choice.places import CPU_ONLY, Wanted, accelerators, label, on_cpu
from edge.choice.trial import Trials, in_package
from edge.data import Provider, Region
from edge.errors import BackendError, GateError, ProviderError, ShelfcamError
from edge.manifest import Candidate, Model
from edge.preprocess import preprocess
from edge.stages.base import ActiveModel
from edge.tasks import task_of
from edge.tasks.base import Decoder, SeveralAnswers

PROBE_NICENESS = 10
_LOG = logging.getLogger(__name__)

T = TypeVar("T")
Around = Callable[[str | None, Callable[[], Backend]], Backend]


class ModelLoader:
    """Turns a candidate of one model into an ActiveModel.

    Args:
        bundle: where it comes from.
        model: which of its models.
        threads: of the CPU.
        top_k: classes that an observation names.
        wanted: where it may run.
        trials: each candidate passes them before this process loads it. None is for a bundle that this very program made.
        around: given the key of its trial and what loads a backend, loads it and gives what shall run; by default that itself.
    """

    def __init__(
        self,
        bundle: Bundle,
        model: Model,
        *,
        threads: int,
        top_k: int,
        wanted: Wanted = CPU_ONLY,
        trials: Trials | None = None,
        around: Around = lambda _, load: load(),
    ) -> None:
        self.bundle = bundle
        self.model = model
        self.threads = threads
        self.wanted = wanted
        self.trials = trials
        self._around = around
        self._top_k = top_k
        self._labels = [bundle.labels(answer) for answer in model.answers]

    @property
    def key(self) -> str:
        """What a choice is remembered by."""
        return machine_key(self.bundle.sha256, self.model.name, self.threads, self.wanted)

    def admit(self, candidate: Candidate, place: Provider = "cpu") -> str | None:
        """The key of the trial that the candidate has passed, now or before; None without trials. Raises as ``Trials.require``."""
        if self.trials is None:
            return None
        return self.trials.require(self.bundle, self.model, candidate, place, threads=self.threads, wanted=self.wanted)

    def load(self, candidate: Candidate, place: Provider = "cpu", *, warm: bool = False) -> ActiveModel:
        """``warm``: it has answered once, so that the next answer takes no longer than others.

        Raises:
            BackendError: it cannot run here (ProviderError: the place cannot be had).
            BundleError: it is damaged, or fails its trial.
        """
        key = self.admit(candidate, place)

        def load() -> Backend:
            file = self.bundle.model_file(candidate)
            backend = load_backend(file, candidate, self.threads, self.wanted.placement(place))
            if warm:
                _warm_up(backend, candidate)
            return backend

        backend = self._around(key, load)
        return ActiveModel(candidate.name, candidate.input, backend, self._decoder(candidate))

    def _decoder(self, candidate: Candidate) -> Decoder:
        decoders = {
            answer.name: task_of(answer.task).Decoder(answer, candidate, labels, self._top_k)
            for answer, labels in zip(self.model.answers, self._labels, strict=True)
        }
        return decoders[self.model.first.name] if len(decoders) == 1 else SeveralAnswers(decoders)

    def load_judged(self, candidate: Candidate, place: Provider = "cpu") -> ActiveModel:
        """Judge it in a process of its own, for sessions side by side in one disturb each other, then load it, warm. One that the site
        names runs whatever its gate says.

        Raises:
            GateError: it does not pass its gate here.
            BackendError, BundleError, CancelledError: as ``load``.
        """
        if self.trials is not None:
            self.trials.refuse_failed(self.bundle, self.model, candidate, place)  # it is not run again
        row = prober_of(self, niceness=PROBE_NICENESS).judge(candidate, place)
        self.admit(candidate, place)  # that it answered at all
        if not row.passes and self.wanted.candidate != candidate.name:
            raise GateError(
                f"{self.bundle.directory}: {self.model.name}/{label(candidate.name, place)} does not pass its gate here: {row.reason}",
                fix="export the model again, or name the candidate under [model] to run it all the same",
            )
        return self.load(candidate, place, warm=True)

    def chosen(self, choice: Choice) -> tuple[Candidate, Provider]:
        """What was chosen, where it was chosen for.

        Raises:
            BackendError: it cannot run there any more, or only after an engine has been built again.
        """
        candidate = self.model.candidate(choice.candidate)
        if candidate is None:
            raise BackendError(f"model {self.model.name!r} has no candidate {choice.candidate!r}")
        if not self.wanted.ready(candidate, choice.place):
            raise BackendError(f"the engine of {label(candidate.name, choice.place)} is not in the cache")
        return candidate, choice.place

    def load_wanted(self) -> ActiveModel:
        """The first candidate, by its margin, that the named provider can run: for jobs that have no time to be careful.

        Raises:
            BackendError: none can; names the last reason.
        """
        reason: BackendError | None = None
        for candidate in safe_order(self.model):
            if self.wanted.candidate not in (None, candidate.name):
                continue
            own: tuple[Provider, ...] = ("cpu",) if on_cpu(candidate, self.wanted) else ()
            for place in own or accelerators(candidate, self.wanted, ()):
                try:
                    return self.load(candidate, place)
                except BackendError as error:
                    reason = reason or error
        raise reason or BackendError(
            f"no candidate of model {self.model.name!r} can run on {self.wanted.provider}",
            fix='write provider = "auto" under [model]',
        )

    def safest(self, use: Callable[[Candidate], T]) -> T:
        """What ``use`` makes of the safe candidate: the widest margin of those whose runtime is installed.

        Raises:
            BackendError, GateError: what ``use`` raised of the last one that it could have been.
        """
        missing: BackendError | GateError | None = None
        for candidate in safe_order(self.model):
            if self.wanted.candidate not in (None, candidate.name):
                continue
            try:
                return use(candidate)
            except (BackendError, GateError) as error:
                missing = error
        assert missing is not None  # a model has at least one candidate, and a named one is looked up before
        raise missing


def _warm_up(backend: Backend, candidate: Candidate) -> None:
    """One answer to a blank picture; a backend that fails at it is closed. Raises BackendError."""
    blank = np.zeros((*candidate.input.size_hw_px, 3), np.uint8)
    try:
        backend.run(preprocess([Region("warm-up", blank)], candidate.input))
    except BackendError:
        backend.close()
        raise


class FixedModel:
    """One candidate for the whole run."""

    def __init__(self, active: ActiveModel) -> None:
        self._active = active

    def current(self) -> ActiveModel:
        """Always the same."""
        return self._active

    def close(self) -> None:
        """Free the runtime."""
        self._active.backend.close()


class ChoosingModels:
    """Starts on the safe candidate; when the machine is idle, measures all of them in other processes beside the loop, then moves
    to the fastest that passes.

    ``on_choice`` is called in the loop's thread, once, when the choice has been made (also when it is the safe candidate itself),
    with whether the machine was idle: a choice made on one that never was holds for this run and should not be remembered.
    """

    def __init__(self, loader: ModelLoader, active: ActiveModel, on_choice: Callable[[Choice, bool], None]) -> None:
        self._loader = loader
        self._active = active
        self._on_choice = on_choice
        self._prober = prober_of(loader, niceness=PROBE_NICENESS)
        self._made: tuple[Choice, bool, ActiveModel] | BaseException | None = None
        self._worker = threading.Thread(target=self._measure, name="choose", daemon=True)
        self._worker.start()

    def current(self) -> ActiveModel:
        """The candidate for this tick. Raises GateError when it turned out that none passes here."""
        made, self._made = self._made, None
        if isinstance(made, BaseException):
            raise made
        if made is not None:
            choice, idle, fastest = made
            if fastest is not self._active:
                self._active.backend.close()
                self._active = fastest
            self._on_choice(choice, idle)
        return self._active

    def close(self) -> None:
        """Stop measuring and free the runtime."""
        self._prober.cancel()
        self._worker.join()
        self._active.backend.close()

    def _measure(self) -> None:
        try:
            idle = wait_until_idle(self._prober.sleep)
            rows = self._prober.measure(lambda *_: None)
            for place, reason in missing_places(rows).items():
                _LOG.warning("%s is not used: %s", place, reason)
            choice = choose(self._loader.model, rows, self._loader.wanted)
            if (choice.candidate, choice.place) == (self._active.candidate, "cpu"):
                self._made = (choice, idle, self._active)
            else:
                self._made = (choice, idle, self._loader.load(*self._loader.chosen(choice)))
        except CancelledError:
            return
        except GateError as error:
            self._made = error
        except ShelfcamError as error:
            if self._loader.wanted.insists:
                self._made = error
                return
            # the safe candidate works: a measurement that failed is no reason to stop it
            _LOG.warning("the candidates could not be measured, the safe one goes on: %s", error)
        except BaseException as error:  # noqa: BLE001 - handed over: current() raises it in the loop's thread
            self._made = error


def prober_of(loader: ModelLoader, *, again: bool = False, niceness: int = 0) -> Prober:
    """Measures the loader's model. What it finds out counts as the trial of a candidate that had none; with ``again``, of any: beside a
    busy loop one that is known to be good may take too long."""

    def learn(candidate: Candidate, result: ProbeResult) -> None:
        trials, bundle, model = loader.trials, loader.bundle, loader.model
        if trials is None or in_package(bundle):
            return
        if again or trials.known(bundle, model, candidate, result.place) is None:
            trials.learn(bundle, model, candidate, result)

    stopped = loader.trials.stopped if loader.trials is not None else lambda: False
    return Prober(loader.bundle, loader.model, loader.threads, loader.wanted, niceness=niceness, learn=learn, stopped=stopped)


def choose(model: Model, rows: Sequence[Row], wanted: Wanted = CPU_ONLY) -> Choice:
    """The choice from what was measured.

    Raises:
        ProviderError: the provider that the site insists on cannot be had.
        GateError: nothing passes, with the table.
    """
    choice = pick(rows)
    if choice is None:
        if wanted.insists and rows and all(row.missing for row in rows):
            raise ProviderError(f"provider {wanted.provider!r} cannot be had here: {rows[0].reason}", fix=PROVIDER_FIX)
        raise GateError(
            f"no candidate of model {model.name!r} passes its gate on this machine:",
            details=[f"  {label(row.candidate, row.place)}: {row.reason}" for row in rows],
            fix="name one with --candidate to run it all the same, or export the model again",
        )
    return choice
