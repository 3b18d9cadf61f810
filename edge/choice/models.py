"""The candidate that answers now, and how it may change while the loop runs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from edge.backends import load_backend
from edge.bundle.manifest import Candidate, Model
from edge.bundle.reader import Bundle
from edge.choice.idle import wait_until_idle
from edge.choice.measure import CancelledError, Prober
from edge.choice.pick import Choice, Row, pick, safe_order
from edge.errors import BackendError, GateError, ShelfcamError
from edge.loop import ActiveModel
from edge.tasks import build_task

PROBE_NICENESS = 10
_LOG = logging.getLogger(__name__)


class ModelLoader:
    """Turns a candidate of one model into an ActiveModel."""

    def __init__(self, bundle: Bundle, model: Model, *, threads: int, top_k: int) -> None:
        self.bundle = bundle
        self.model = model
        self.threads = threads
        self._top_k = top_k
        self._labels = bundle.labels(model)

    def load(self, candidate: Candidate) -> ActiveModel:
        """Raises BackendError or BundleError."""
        backend = load_backend(self.bundle.path(candidate.model_file), candidate, self.threads)
        task = build_task(self.model, candidate, self._labels, self._top_k)
        return ActiveModel(candidate.name, candidate.input, backend, task)

    def load_safe(self) -> ActiveModel:
        """The safe candidate: the widest margin of those whose runtime is installed.

        Raises:
            BackendError: no candidate's runtime is installed; names the last one's fix.
        """
        missing: BackendError | None = None
        for candidate in safe_order(self.model):
            try:
                return self.load(candidate)
            except BackendError as error:
                missing = error
        assert missing is not None  # a model has at least one candidate
        raise missing


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
        self._prober = Prober(loader.bundle, loader.model, loader.threads, niceness=PROBE_NICENESS)
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
            choice = choose(self._loader.model, self._prober.measure(lambda *_: None))
            if choice.candidate == self._active.candidate:
                self._made = (choice, idle, self._active)
            else:
                candidate = self._loader.model.candidate(choice.candidate)
                assert candidate is not None  # rows are made from the model's own candidates
                self._made = (choice, idle, self._loader.load(candidate))
        except CancelledError:
            return
        except GateError as error:
            self._made = error
        except ShelfcamError as error:  # the safe candidate works: a measurement that failed is no reason to stop it
            _LOG.warning("the candidates could not be measured, the safe one goes on: %s", error)
        except BaseException as error:  # noqa: BLE001 - handed over: current() raises it in the loop's thread
            self._made = error


def choose(model: Model, rows: Sequence[Row]) -> Choice:
    """The choice, or GateError with the table of what was measured."""
    choice = pick(rows)
    if choice is None:
        tried = "\n".join(f"  {row.candidate}: {row.reason}" for row in rows)
        raise GateError(
            f"no candidate of model {model.name!r} passes its gate on this machine:\n{tried}",
            fix="name one with --candidate to run it all the same, or export the model again",
        )
    return choice
