"""The seam between the loop and its models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from edge.backends.base import Backend
from edge.data import Region
from edge.manifest import InputSpec
from edge.tasks.base import Decoder


class Stage(Protocol):
    """Regions in, regions out: with more answers, or the parts that were found in them."""

    def see(self, regions: Sequence[Region]) -> list[Region]:
        """Called at every tick, also without regions."""
        ...


@dataclass(frozen=True, slots=True)
class ActiveModel:
    """The candidate that answers now: its input, its runtime and its decoder belong together and change together."""

    candidate: str
    input: InputSpec
    backend: Backend
    decoder: Decoder


class Models(Protocol):
    """Hands out the candidate to use; it may move to another one between two frames, never within one."""

    def current(self) -> ActiveModel:
        """The candidate for this tick."""
        ...
