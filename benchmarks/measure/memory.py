"""Resident memory of a ``shelfcam run`` that goes on: whether it stays where it was."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.measure.service import Installation, Service
from benchmarks.record import targets
from benchmarks.record.facts import Subject, record_of
from benchmarks.record.schema import Check, Record, Round
from edge.errors import BackendError

SOURCE = "synthetic:fps=0,seed=1"
"""640×480, drawn when the loop asks: as fast as the loop is."""

MARKS = 10
_FRAME_TIMEOUT_S, _START_TIMEOUT_S = 1.0, 300.0
_EARLY = 1_000  # frame of the first reading that counts, or half of a shorter run


@dataclass(frozen=True, slots=True)
class MemoryRun:
    """``resident_bytes`` by frame, read when that frame's event was; ``queries`` in ``seconds``, from the first event to the last."""

    resident_bytes: dict[int, int]
    peak_bytes: int
    early: int
    frames: int
    queries: int
    seconds: float
    candidate: str

    @property
    def growth(self) -> float:
        """Share by which it grew between frame ``early`` and the last; negative if it shrank."""
        return self.resident_bytes[self.frames] / self.resident_bytes[self.early] - 1


def watch_memory(installation: Installation, frames: int, advance: Callable[[int], None]) -> MemoryRun:
    """Run until ``frames`` frames were seen, then stop it with SIGTERM.

    The child may be some frames ahead of the event that is read (a pipe holds 64 KiB, about 150 events).

    Raises:
        BackendError: it ended early, or not well.
    """
    early = min(_EARLY, frames // 2)
    marks = reading_marks(early, frames)
    resident: dict[int, int] = {}
    seen, peak, started_s, ended_s, candidate = 0, 0, 0.0, 0.0, ""
    with Service(installation, "--source", SOURCE, timeout_s=_START_TIMEOUT_S + frames * _FRAME_TIMEOUT_S) as service:
        for event in service.events():
            if event["kind"] != "observation" or seen == frames:
                continue
            seen += 1
            started_s = started_s or time.perf_counter()
            if seen in marks:
                resident[seen], peak = service.memory_bytes()
                advance(seen)
            if seen == frames:
                ended_s, candidate = time.perf_counter(), str(event["model"]).rpartition("/")[2]
                service.terminate()
        service.finish()
    if seen < frames:
        raise BackendError(f"shelfcam run stopped by itself after {seen} of {frames} frames")
    return MemoryRun(resident, peak, early, frames, frames - 1, ended_s - started_s, candidate)


def reading_marks(early: int, frames: int) -> list[int]:
    """Frames at which memory is read: ``early``, the last, and MARKS in equal parts."""
    step = max(1, frames // MARKS)
    return sorted({early, frames, *range(step, frames, step)} - {0})


def memory_record(bench: str, subject: Subject, run: MemoryRun, note: str, thermal: dict[str, float] | None = None) -> Record:
    """The run as a record; its memory is "resident_at_FRAME" and "peak", in bytes."""
    readings = {f"resident_at_{seen}": resident for seen, resident in sorted(run.resident_bytes.items())}
    rounds = [Round(queries=run.queries, seconds=run.seconds)]
    return record_of(bench, subject, rounds, memory=readings | {"peak": run.peak_bytes}, thermal=thermal, notes=(note,))


def growth_check(what: str, run: MemoryRun, limit: float) -> Check:
    """Growth from the first reading that counts to the last."""
    note = f"{run.resident_bytes[run.early] / 1e6:.1f} MB → {run.resident_bytes[run.frames] / 1e6:.1f} MB"
    return targets.check(f"{what}, frame {run.early:,} to {run.frames:,}", run.growth, "≤", limit, unit="share", note=note)
