"""The seam between raw outputs and observations: a task, and a candidate with everything that runs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from edge.backends.base import Backend
from edge.bundle.manifest import InputSpec
from edge.data import Observation, RawOutputs, Region


class Task(Protocol):
    """Raw outputs → one observation per crop."""

    def decode(self, raw: RawOutputs, crops: Sequence[Region]) -> list[Observation]:
        """N rows of outputs for N crops."""
        ...


@dataclass(frozen=True, slots=True)
class ActiveModel:
    """The candidate that answers now: its input, its runtime and its decoder belong together and change together."""

    candidate: str
    input: InputSpec
    backend: Backend
    task: Task


class Models(Protocol):
    """Hands out the candidate to use; it may move to a faster one between two frames, never within one."""

    def current(self) -> ActiveModel:
        """The candidate for this tick."""
        ...
