"""Several candidates of one network, each round of each in a process of its own, in an order that turns from round to round: what
drifts hits all of them alike, so that their ratios hold where absolute times do not."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from benchmarks.children import run_child
from benchmarks.facts import Subject, record_of
from benchmarks.host import memory_left
from benchmarks.spec import Missing, Ratio, Record, Round, Stage, make_stage, ratio_of
from benchmarks.stats import median
from benchmarks.stream import Limits
from benchmarks.timing import Ask, Timing
from edge.bundle.manifest import Candidate
from edge.errors import BackendError

T = TypeVar("T", bound=Timing)

MEMORY_PER_MODEL_BYTE = 2.0
"""What a process needs for a model, seen with both runtimes: the file's bytes once as read and once as the kernels want them."""
_CHILD_BYTES = 200_000_000  # Python, NumPy, OpenCV, the runtime and the activations of a large network

TimeOnce = Callable[[Subject, Limits, float], Timing]
"""(subject, limits of one round, seconds it may take) → its timing. Raises BackendError."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """``rounds`` of ``limits`` each; everything together may take ``timeout_s``."""

    rounds: int
    limits: Limits
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one subject: a timing a round, or why there are none that count."""

    subject: Subject
    timings: tuple[Timing, ...]
    failure: str | None = None


def time_in_process(subject: Subject, limits: Limits, timeout_s: float) -> Timing:
    """One round of the bare backend in a new process. Raises BackendError if it dies or takes longer."""
    shortage = memory_shortage(subject.candidate)
    if shortage is not None:
        raise BackendError(shortage)
    return ask_child("benchmarks.timing", Ask(**request(subject, limits)), Timing, timeout_s)


def request(subject: Subject, limits: Limits) -> dict[str, Any]:
    """The fields of an ``Ask`` that is sent now."""
    return {
        "bundle": str(subject.bundle.directory.resolve()),
        "model": subject.model.name,
        "candidate": subject.candidate.name,
        "threads": subject.threads,
        "queries": limits.queries,
        "seconds": limits.seconds,
        "warm_up_queries": limits.warm_up_queries,
        "warm_up_s": limits.warm_up_s,
        "started_ns": time.monotonic_ns(),
    }


def ask_child(module: str, ask: Ask, result: type[T], timeout_s: float) -> T:
    """Run ``python -m module`` on one JSON object. Raises BackendError if it fails, dies or takes longer."""
    timing = run_child(module, [msgspec.json.encode(ask).decode()], result, timeout_s=timeout_s)
    if timing.failure is not None:
        raise BackendError(timing.failure)
    return timing


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
    """Time every subject once a round. One that fails is left out from then on; it never stops the others.

    Args:
        subjects: what to time.
        schedule: how long.
        advance: called before each process.
        time_once: times one subject for one round.
        now_s: the clock of the time-out.
    """
    until = now_s() + schedule.timeout_s
    timings: list[list[Timing]] = [[] for _ in subjects]
    failures: dict[int, str] = {}
    order = list(range(len(subjects)))
    for number in range(schedule.rounds):
        for index in order if number % 2 == 0 else reversed(order):
            advance(subjects[index])
            if index in failures:
                continue
            try:
                left_s = until - now_s()
                if left_s <= 0:
                    raise BackendError(f"the network took longer than {schedule.timeout_s / 60:g} minutes")
                timings[index].append(time_once(subjects[index], schedule.limits, left_s))
            except BackendError as error:
                failures[index] = str(error)
    return [
        Outcome(subject, tuple(timings[index]) if index not in failures else (), failures.get(index))
        for index, subject in enumerate(subjects)
    ]


def timed_record(
    bench: str,
    outcome: Outcome,
    *,
    thermal: dict[str, float],
    stages: dict[str, Stage] | None = None,
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
        whole=make_stage(times),
        max_ms=max(times),
        stages=(stages or {})
        | {"cold_start": make_stage([t.first_ms for t in timings]), "load": make_stage([t.load_ms for t in timings])},
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
