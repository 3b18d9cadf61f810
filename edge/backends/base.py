"""The seam between the loop and an inference runtime."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from edge.bundle.model_file import ModelFile
from edge.data import Provider, RawOutputs, Tensor
from edge.manifest import Candidate

PROVIDER_FIX = 'install what it needs, or write provider = "cpu" under [model]'


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """Where and how to run a candidate: the site's own word, which no bundle can influence.

    ``delegate``: the library of provider ``delegate``, with its options; ``engines``: directory of the engine cache, which must be the
    user's own; without one TensorRT builds its engine at every start.
    """

    provider: Provider = "cpu"
    delegate: str | None = None
    delegate_options: dict[str, str] = {}
    engines: str | None = None


ON_CPU = Placement()


@dataclass(frozen=True, slots=True)
class RuntimeInfo:
    """What runs the model: ``name`` and ``version`` of the runtime, the provider or delegate, threads, and its options."""

    name: str
    version: str
    provider: str
    threads: int
    options: dict[str, str]


class Backend(Protocol):
    """One loaded candidate.

    ``run`` takes the batch that ``edge.preprocess`` made for the candidate's input (N×H×W×3 or N×3×H×W, any N ≥ 1) and returns
    the outputs in the manifest's order, each with N rows. A backend whose model takes a fixed batch splits and joins.
    """

    info: RuntimeInfo

    def run(self, batch: Tensor) -> RawOutputs:
        """Infer one batch. Raises BackendError if the runtime fails."""
        ...

    def close(self) -> None:
        """Give the runtime's memory back; ``run`` must not be called afterwards."""
        ...


class BackendFactory(Protocol):
    """What loads a candidate; ``edge.backends.load_backend`` has checked file and options before."""

    def __call__(self, model_file: ModelFile, candidate: Candidate, threads: int, placement: Placement) -> Backend:
        """Load ``model_file``. Raises BackendError (runtime or provider missing) or BundleError (file and manifest disagree)."""
        ...


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """What the rest of shelfcam has to know of a runtime: what a line of the registry names. Its module imports the runtime's own packages
    inside functions only, so that all of this can be asked where they are not installed.

    Args:
        load: makes a backend of a candidate.
        distributions: which packages bring it, in the order in which they are looked for, and what each is imported as; one is enough.
        install: what pip installs to have it.
        providers: where it can run a candidate, and what it calls each place itself.
        own_kernels: what a site may also name when it means the runtime's own kernels on the CPU.
        built_with: its own names of the places that the installed one has; asked without one, a runtime may say
            what any would have, or nothing.
        suits: whether a candidate is worth trying at a place.
        ready: whether loading a candidate at a place takes seconds, not minutes.
        fault: why a place cannot be had, tried without a model; None if it can.
    """

    load: BackendFactory
    distributions: Mapping[str, str]
    install: str
    providers: Mapping[Provider, str] = field(default_factory=lambda: {"cpu": "CPU"})
    own_kernels: Collection[str] = ()
    built_with: Callable[[], tuple[str, ...]] = lambda: ("CPU",)
    suits: Callable[[Candidate, Provider], bool] = lambda _candidate, _place: True
    ready: Callable[[Candidate, Placement], bool] = lambda _candidate, _placement: True
    fault: Callable[[Placement], str | None] = lambda _placement: None

    def available(self) -> tuple[Provider, ...]:
        """The places that the installed one has."""
        there = self.built_with()
        return tuple(place for place, name in self.providers.items() if name in there)
