"""The spine: from a tick of the camera to committed events. Start reading here.

No device, no file format and no runtime is named in this file: ``edge/app.py`` chooses the parts, the Protocols say what they
promise (``sources/base.py``, ``shelf/base.py``, ``backends/base.py``, ``sinks/base.py``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edge.data import Observation, Tick
from edge.monitor.heartbeat import Heartbeat
from edge.monitor.stopwatch import Stopwatch
from edge.preprocess import preprocess
from edge.shelf.base import Shelf, ViewHealth
from edge.sinks.base import Outbox
from edge.tasks.base import Models


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
        crops = shelf.changed(tick, view)
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
