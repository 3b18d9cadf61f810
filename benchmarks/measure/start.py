"""What a start of ``shelfcam run`` costs, from nothing to the first event, when the choice is remembered."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

from benchmarks.measure.service import Installation, Service
from benchmarks.record.facts import Subject, record_of
from benchmarks.record.schema import Record, Round, percentiles_of
from edge.errors import BackendError
from edge.scene.shelf import ShelfScene

START_TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True)
class Start:
    """One start with one frame. ``cpu_s``: user and system seconds of the process and its children until it ended, which is
    a little after the first event; ``first_event_s``: wall time until that could be read; ``exit_s``: until the end."""

    cpu_s: float
    first_event_s: float
    exit_s: float
    candidate: str
    reason: str


def write_picture(path: Path) -> Path:
    """A 640×480 picture of a drawn shelf as a file, so that drawing it is no part of the start."""
    if not cv2.imwrite(str(path), cv2.cvtColor(ShelfScene(1).render(0), cv2.COLOR_RGB2BGR)):
        raise BackendError(f"{path}: OpenCV cannot write it")
    return path


def time_start(installation: Installation, picture: Path) -> Start:
    """Start ``shelfcam run`` on one picture. Raises BackendError if it fails or sees nothing."""
    first: dict[str, Any] | None = None
    first_s, reason = 0.0, ""
    with Service(installation, "--source", str(picture), "--frames", "1", timeout_s=START_TIMEOUT_S) as service:
        for event in service.events():
            if event["kind"] == "observation" and first is None:
                first, first_s = event, time.perf_counter() - service.started_s
            elif event["type"] == "started":
                reason = event["flags"][-1]
        ended_s = service.finish()
    if first is None:
        raise BackendError("shelfcam run ended without an event")
    return Start(service.cpu_s, first_s, ended_s - service.started_s, str(first["model"]).rpartition("/")[2], reason)


def start_record(subject: Subject, starts: Sequence[Start], thermal: dict[str, float]) -> Record:
    """Several starts as one record; its stages are "cpu", "first_event" and "exit", each from nothing."""
    times = {
        "cpu": [s.cpu_s * 1e3 for s in starts],
        "first_event": [s.first_event_s * 1e3 for s in starts],
        "exit": [s.exit_s * 1e3 for s in starts],
    }
    rounds = [Round(queries=1, seconds=s.first_event_s, p50_ms=s.first_event_s * 1e3, cpu_s=s.cpu_s) for s in starts]
    return record_of(
        "start",
        subject,
        rounds,
        whole=percentiles_of(times["first_event"]),
        stages={name: percentiles_of(ms) for name, ms in times.items()},
        thermal=thermal,
        notes=(f"a query is one start with one picture; its candidate: {starts[-1].reason}",),
    )
