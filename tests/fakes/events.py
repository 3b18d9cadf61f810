"""Frames, events and sinks for tests of what comes before and behind the shelf, and their clock."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from edge.data import EventKind, Frame, Score, ShelfEvent
from edge.sinks.base import DeliveryError

UTC = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def lines_of(path: Path) -> list[dict]:
    """The events of a file's whole lines: one may be being written just now."""
    return [json.loads(line) for line in path.read_text().rpartition("\n")[0].splitlines()] if path.exists() else []


class FakeClock:
    """Its monotonic time stands still until a test sets ``now_ns``."""

    now_ns = 0

    def mono_ns(self) -> int:
        return self.now_ns


def frame(*, synced: bool = True, simulated: bool = False) -> Frame:
    return Frame(np.zeros((2, 2, 3), np.uint8), 7, 1, UTC, synced, simulated)


def make_event(
    number: int, kind: EventKind = "event", *, slot: str | None = "a1", simulated: bool = False, label: str = "milk"
) -> ShelfEvent:
    """An event of camera "cam" whose id has this number."""
    return ShelfEvent(
        kind=kind,
        id=f"cam-{number:012d}",
        camera="cam",
        slot=None if kind == "status" else slot,
        seq=number,
        captured_utc=UTC,
        type="replaced" if kind == "event" else ("started" if kind == "status" else None),
        before=None,
        after=label if kind == "event" else None,
        top=(Score(label, 3, 0.75),),
        bundle="b@1",
        model="m/c",
        simulated=simulated,
    )


class RecordingSink:
    """Takes everything; or, while ``broken`` holds an error, raises it. ``gate``: each write waits for it."""

    def __init__(self, label: str = "recorder", *, takes_simulated: bool = True) -> None:
        self.label = label
        self.takes_simulated = takes_simulated
        self.ids: list[str] = []
        self.tries = 0
        self.broken: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.closed = False

    def write(self, events: Sequence[ShelfEvent]) -> int:
        self.tries += 1
        self.gate.wait()
        if self.broken is not None:
            raise self.broken
        self.ids += [event.id for event in events]
        return len(events)

    def close(self) -> None:
        self.closed = True


def down() -> DeliveryError:
    return DeliveryError("recorder: it is down")
