"""Several candidates of one network, each round of each in a process of its own, in an order that turns from round to round: what
drifts hits all of them alike, so that their ratios hold where absolute times do not."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from benchmarks.measure.children import TooSlowError, run_child
from benchmarks.measure.single_stream import RunLength, in_turn
from benchmarks.measure.timing import Timing, TimingRequest
from benchmarks.record.facts import Subject, record_of
from benchmarks.record.host import memory_left
from benchmarks.record.schema import Missing, Percentiles, Ratio, Record, Round, percentiles_of, ratio_of
from benchmarks.record.stats import median
from edge.errors import BackendError
from edge.manifest import Candidate

T = TypeVar("T", bound=Timing)

MEMORY_PER_MODEL_BYTE = 2.0
"""What a process needs for a model, seen with both runtimes: the file's bytes once as read and once as the kernels want them."""
_CHILD_BYTES = 200_000_000  # Python, NumPy, OpenCV, the runtime and the activations of a large network

_HANG = 2.0
"""A process that is given so many times what its candidate took before, and is not done, has failed; with less, time was short."""
_LEAST_S = 0.001  # of a turn, so that shares can be made of any

TimeOnce = Callable[[Subject, RunLength, float], Timing]
"""(subject, length of one round, seconds it may take) → its timing. Raises BackendError; TooSlowError where it took longer."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """``rounds`` of ``length`` each; everything together may take ``timeout_s``."""

    rounds: int
    length: RunLength
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one subject: a timing a complete round, or why there are none that count."""

    subject: Subject
    timings: tuple[Timing, ...]
    failure: str | None = None


def time_in_process(subject: Subject, length: RunLength, timeout_s: float) -> Timing:
    """One round of the bare backend in a new process. Raises BackendError if it dies, takes longer, or would not fit into memory."""
    need_memory(subject.candidate)
    return time_in_child("benchmarks.measure.timing", TimingRequest(**request_fields(subject, length)), Timing, timeout_s)


def request_fields(subject: Subject, length: RunLength) -> dict[str, Any]:
    """The fields of an ``TimingRequest`` that is sent now."""
    return {
        "bundle": str(subject.bundle.directory.resolve()),
        "model": subject.model.name,
        "candidate": subject.candidate.name,
        "threads": subject.threads,
        "queries": length.queries,
        "seconds": length.seconds,
        "warm_up_queries": length.warm_up_queries,
        "warm_up_s": length.warm_up_s,
        "started_ns": time.monotonic_ns(),
    }


def time_in_child(module: str, request: TimingRequest, result: type[T], timeout_s: float) -> T:
    """Run ``python -m module`` on one JSON object. Raises BackendError if it fails, dies or takes longer."""
    timing = run_child(module, [msgspec.json.encode(request).decode()], result, timeout_s=timeout_s)
    if timing.failure is not None:
        raise BackendError(timing.failure)
    return timing


def need_memory(candidate: Candidate) -> None:
    """Raises BackendError where the candidate would not fit into memory now: to be called before a process loads it."""
    shortage = memory_shortage(candidate)
    if shortage is not None:
        raise BackendError(shortage)


def memory_shortage(candidate: Candidate) -> str | None:
    """Why the candidate would not fit into memory now, if so: on a small board it could take other processes with it."""
    needed = round(MEMORY_PER_MODEL_BYTE * candidate.model_file.bytes) + _CHILD_BYTES
    left = memory_left()
    if left is None or needed <= left:
        return None
    return f"needs about {needed / 1e6:,.0f} MB of memory, {left / 1e6:,.0f} MB are free"


def alternate(
    subjects: Sequence[Subject],
    schedule: Schedule,
    advance: Callable[[Subject], None],
    *,
    time_once: TimeOnce = time_in_process,
    now_s: Callable[[], float] = time.monotonic,
) -> list[Outcome]:
    """Time every subject once a round. One that fails, or hangs, is left out from then on; it never stops the others.

    Where the time of all together ends, it ends for all: the rounds that every subject has had count, a round that was begun does not.

    Args:
        subjects: what to time.
        schedule: how long.
        advance: called before each process.
        time_once: times one subject for one round.
        now_s: the clock of the time-out.
    """
    race = _Race(schedule, list(subjects), now_s)
    order = range(len(subjects))
    for number in range(schedule.rounds):
        for index in in_turn(order, number):
            advance(subjects[index])
            if index not in race.failures and not race.take_turn(index, time_once):
                return race.outcomes()
        race.complete += 1
    return race.outcomes()


class _Race:
    """Who has had how many turns, and what is left of the time for the others."""

    def __init__(self, schedule: Schedule, subjects: list[Subject], now_s: Callable[[], float]) -> None:
        self._schedule, self._subjects, self._now_s = schedule, subjects, now_s
        self._until_s = now_s() + schedule.timeout_s
        self._timings: list[list[Timing]] = [[] for _ in subjects]
        self._longest_s = [_LEAST_S] * len(subjects)
        self.failures: dict[int, str] = {}
        self.complete = 0

    def take_turn(self, index: int, time_once: TimeOnce) -> bool:
        """One round of one subject; False where the time of all together is up."""
        granted_s, start_s = self._share_s(index), self._now_s()
        if granted_s <= 0:
            return False
        try:
            self._timings[index].append(time_once(self._subjects[index], self._schedule.length, granted_s))
        except TooSlowError as error:
            if self.complete and granted_s < _HANG * self._longest_s[index]:
                return False
            self.failures[index] = str(error)
        except BackendError as error:
            self.failures[index] = str(error)
        self._longest_s[index] = max(self._longest_s[index], self._now_s() - start_s)
        return True

    def outcomes(self) -> list[Outcome]:
        """Of every subject, in order."""
        return [
            Outcome(subject, () if index in self.failures else tuple(timings[: self.complete]), self.failures.get(index))
            for index, (subject, timings) in enumerate(zip(self._subjects, self._timings, strict=True))
        ]

    def _share_s(self, index: int) -> float:
        """Seconds that one process may take, so that a hang costs its own candidate's time and nobody else's: in the first round equal
        parts of everything, then of what is left a part as large as its longest turn is of those that still have turns."""
        if not self.complete:
            return self._schedule.timeout_s / len(self._subjects)
        waiting = [
            number
            for number, timings in enumerate(self._timings)
            if number not in self.failures and len(timings) < self._schedule.rounds
        ]
        left_s = self._until_s - self._now_s()
        return left_s * self._longest_s[index] / sum(self._longest_s[number] for number in waiting)


def timed_record(
    bench: str,
    outcome: Outcome,
    *,
    thermal: dict[str, float],
    stages: dict[str, Percentiles] | None = None,
    energy_j: dict[str, float] | None = None,
    notes: tuple[str, ...] = (),
) -> Record:
    """Percentiles over all queries of all rounds. Its stages are "cold_start", from the start of a process to its first result, and
    "load", one lap a round; its memory "resident_before" the model, "resident" after the queries, and "peak", the highest of all
    rounds."""
    timings = outcome.timings
    times = [time_ms for timing in timings for time_ms in timing.times_ms]
    rounds = [Round(queries=t.answered, seconds=t.seconds, p50_ms=median(t.times_ms)) for t in timings]
    return record_of(
        bench,
        outcome.subject,
        rounds,
        whole=percentiles_of(times),
        max_ms=max(times),
        stages=(stages or {})
        | {"cold_start": percentiles_of([t.first_ms for t in timings]), "load": percentiles_of([t.load_ms for t in timings])},
        memory={name: max(getattr(t, name) for t in timings) for name in ("resident_before", "resident", "peak")},
        thermal=thermal,
        energy_j=energy_j,
        notes=notes,
    )


def missing_of(outcome: Outcome, what: str) -> Missing:
    """The row of a subject, a candidate of ``what``, that could not be timed."""
    name = f"{what}/{outcome.subject.candidate.name}/{outcome.subject.threads}t"
    return Missing(name=name, reason=outcome.failure or "was not timed")


def ratios_within(records: Sequence[Record]) -> list[Ratio]:
    """Each record's time ÷ the first's, of records whose rounds alternated: below 1 is faster than the first."""
    found = []
    for record in records[1:]:
        first = records[0]
        name = f"{record.model.model}: time of {record.model.candidate} ÷ {first.model.candidate}, {record.runtime.threads}t"
        found.append(ratio_of(name, record, first, (round_medians(record), round_medians(first))))
    return found


def round_medians(record: Record) -> list[float]:
    """The median query of each round, ms."""
    return [item.p50_ms for item in record.rounds if item.p50_ms is not None]
