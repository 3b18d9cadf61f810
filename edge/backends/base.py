"""The seam between the loop and an inference runtime."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edge.bundle.manifest import Candidate
from edge.data import RawOutputs, Tensor


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

    def __call__(self, model_file: Path, candidate: Candidate, threads: int) -> Backend:
        """Load ``model_file``. Raises BackendError (runtime missing) or BundleError (file and manifest disagree)."""
        ...
