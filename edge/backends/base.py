"""The seam between the loop and an inference runtime."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import msgspec

from edge.bundle.manifest import Candidate
from edge.bundle.model_file import ModelFile
from edge.data import Provider, RawOutputs, Tensor


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
    """What a registry entry must be callable as."""

    def __call__(self, model_file: ModelFile, candidate: Candidate, threads: int, placement: Placement) -> Backend:
        """Load ``model_file``. Raises BackendError (runtime or provider missing) or BundleError (file and manifest disagree)."""
        ...
