"""The spine: from a tick of the camera to committed events. Start reading here.

No device, no file format and no runtime is named in this file: ``edge/app.py`` chooses the parts, the Protocols say what they
promise (``sources/base.py``, ``shelf/base.py``, ``backends/base.py``, ``sinks/base.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from edge.backends.base import Backend
from edge.bundle.manifest import InputSpec
from edge.data import Crop, Observation, RawOutputs, Tick
from edge.preprocess import preprocess
from edge.service.heartbeat import Heartbeat
from edge.service.stopwatch import Stopwatch
from edge.shelf.base import Shelf, ViewHealth
from edge.sinks.base import Outbox


class Task(Protocol):
    """Raw outputs → one observation per crop."""

    def decode(self, raw: RawOutputs, crops: Sequence[Crop]) -> list[Observation]:
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


@dataclass(frozen=True, slots=True)
class Parts:
    """What the spine is made of."""

    view_health: ViewHealth
    shelf: Shelf
    models: Models
    outbox: Outbox
    heartbeat: Heartbeat
    stopwatch: Stopwatch


def run(ticks: Iterable[Tick], parts: Parts) -> None:
    """Until the ticks end. Errors of any part end it: they are the caller's to act on."""
    shelf, models, outbox, lap = parts.shelf, parts.models, parts.outbox, parts.stopwatch.lap
    parts.stopwatch.restart()
    for tick in ticks:
        view = parts.view_health.check(tick)
        crops = shelf.changed_crops(tick, view)
        model = models.current()
        seen: list[Observation] = []
        if crops:
            lap("capture")
            batch = preprocess(crops, model.input)
            lap("preprocess")
            raw = model.backend.run(batch)
            lap("inference")
            seen = model.task.decode(raw, crops)
            lap("decode")
        events = shelf.update(tick, seen, view)
        outbox.commit(events, shelf.snapshot())
        parts.heartbeat.beat(tick)
        if crops:
            lap("sink")
        else:
            parts.stopwatch.restart()
