"""The spine: from a tick of the camera to committed events. Start reading here.

No device, no file format and no runtime is named in this file: ``edge/site.py`` chooses the parts, the Protocols say what they
promise (``sources/base.py``, ``shelf/base.py``, ``stages/base.py``, ``sinks/base.py``).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from edge.data import Tick
from edge.monitor.heartbeat import Heartbeat
from edge.monitor.stopwatch import Stopwatch
from edge.shelf.base import Shelf, ViewHealth
from edge.sinks.base import Outbox
from edge.stages.base import Stage


@dataclass(frozen=True, slots=True)
class Parts:
    """What the spine is made of. ``recogniser``: one stage, or several in order."""

    view_health: ViewHealth
    shelf: Shelf
    recogniser: Stage
    outbox: Outbox
    heartbeat: Heartbeat
    stopwatch: Stopwatch


def run(ticks: Iterable[Tick], parts: Parts) -> None:
    """Until the ticks end. Errors of any part end it: they are the caller's to act on."""
    view_health, shelf, recogniser, outbox = parts.view_health, parts.shelf, parts.recogniser, parts.outbox
    stopwatch = parts.stopwatch
    stopwatch.restart()
    for tick in ticks:
        view = view_health.check(tick)
        regions = shelf.changed(tick, view)
        stopwatch.lap("capture", counts=bool(regions))
        seen = recogniser.see(regions)
        events = shelf.update(tick, seen, view)
        outbox.commit(events, shelf.snapshot())
        parts.heartbeat.beat(tick)
        stopwatch.lap("sink", counts=bool(regions))
