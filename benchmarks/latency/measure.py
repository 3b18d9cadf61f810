"""``shelfcam bench latency``: one bundle's candidates, in the order in which they are measured.

1. ``latency``: the bare backend, SingleStream: one query after the other, rounds alternating between candidates.
2. ``latency-loop`` (or ``latency-camera`` at a fixed rate): the same through the real loop, from frame to written event.
3. ``latency-sustained``: the fastest candidate of each thread count without a pause, minute by minute: what heat leaves of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from benchmarks.measure.alternation import (
    Outcome,
    Schedule,
    alternate,
    missing_of,
    need_memory,
    ratios_within,
    request_fields,
    time_in_child,
    time_in_process,
    timed_record,
)
from benchmarks.measure.loop_timing import LoopTiming, LoopTimingRequest
from benchmarks.measure.peak import NETS, export_peak, peak_records
from benchmarks.measure.single_stream import RunLength, single_stream
from benchmarks.measure.timing import Timing
from benchmarks.measure.watch import BoardRecorder
from benchmarks.record import targets
from benchmarks.record.draft import ReportDraft, Say
from benchmarks.record.facts import Subject
from benchmarks.record.host import describe_host
from benchmarks.record.schema import Check, Missing, Percentiles, Record, Report, Round
from benchmarks.record.stats import median
from edge.bundle.limits import WORKSTATION
from edge.bundle.reader import open_bundle
from edge.errors import BackendError, ShelfcamError
from edge.manifest import MANIFEST_NAME
from edge.models import find_model

QUERIES, SECONDS = 1024, 60.0
"""The least of MLPerf's SingleStream (https://github.com/mlcommons/inference_policies/blob/master/inference_rules.adoc)."""
OVERHEAD_MAX_US = 50.0
"""One hundredth of an inference of 5 ms."""
_MINUTE_MS = 60_000.0
_EMPTY_QUERIES = 20_000
_PEAK_TIMEOUT_S = 1800.0


@dataclass(frozen=True, slots=True)
class LatencyPlan:
    """``fps`` 0: the loop takes frames as fast as it can; ``sustained_s`` 0: no long run; ``peaks``: folder of the bundles that the
    machine's peak is measured with, made there if they are missing, or None."""

    subjects: tuple[Subject, ...]
    schedule: Schedule
    fps: float
    sustained_s: float
    peaks: Path | None
    quick: bool


@dataclass(slots=True)
class Energies:
    """Watches every process and keeps, by candidate and threads, the joules of each, the rails that were lost, and the first, last
    and worst thermal readings."""

    joules: dict[tuple[str, int], list[dict[str, float]]] = field(default_factory=dict)
    lost: dict[tuple[str, int], frozenset[str]] = field(default_factory=dict)
    thermal: dict[tuple[str, int], dict[str, float]] = field(default_factory=dict)

    def watched(
        self, once: Callable[[Subject, RunLength, float], Timing], subject: Subject, length: RunLength, left_s: float
    ) -> Timing:
        """``once`` under a watch."""
        key = subject.candidate.name, subject.threads
        with BoardRecorder() as watch:
            timing = once(subject, length, left_s)
        self.joules.setdefault(key, []).append(watch.energy_j)
        self.lost[key] = self.lost.get(key, frozenset()) | watch.lost
        first = self.thermal.get(key, watch.thermal)
        worst = {name: value for name, value in (*first.items(), *watch.thermal.items()) if name.endswith("_max")}
        self.thermal[key] = {
            **{name: value for name, value in first.items() if name.endswith("_before")},
            **{name: value for name, value in watch.thermal.items() if name.endswith("_after")},
            **{name: max(value, first.get(name, value)) for name, value in worst.items()},
        }
        return timing

    def total(self, key: tuple[str, int]) -> tuple[dict[str, float], frozenset[str]]:
        """Joules of all processes by rail, and the rails of which there is no such sum, because readings failed."""
        rounds = self.joules.get(key, [])
        seen = {rail for one in rounds for rail in one}
        whole = {rail: sum(one[rail] for one in rounds) for rail in sorted(seen) if all(rail in one for one in rounds)}
        return whole, self.lost.get(key, frozenset()) | (seen - whole.keys())


def measure(plan: LatencyPlan, step: Say) -> Report:
    """Everything, one after the other; ``step`` is called before each process. What fails is missing with its reason."""
    host, draft = describe_host(), ReportDraft()
    records, missing = draft.records, draft.missing
    if plan.peaks is not None:
        records += _peaks(plan, step, missing)
    bare = _alternate("latency", time_in_process, plan, step, missing)
    looped = _alternate("latency-camera" if plan.fps else "latency-loop", _loop_once(plan.fps), plan, step, missing)
    for threads in _thread_counts(plan):
        draft.ratios += ratios_within([record for record in bare if record.runtime.threads == threads])
    records += [*bare, *looped, *(_sustained(plan, bare, step, missing) if plan.sustained_s else [])]
    report = draft.finish(Report, "latency", quick=plan.quick)
    governor = describe_host().governor
    if governor != host.governor:
        note = f"the CPU's governor changed meanwhile: {host.governor} to {governor}"
        noted = tuple(msgspec.structs.replace(record, notes=(*record.notes, note)) for record in records)
        report = msgspec.structs.replace(report, records=noted)
    return msgspec.structs.replace(report, checks=(overhead_check(time.perf_counter_ns),))


def processes(plan: LatencyPlan) -> int:
    """How many ``measure`` starts, for a bar."""
    peak = plan.schedule.rounds * len(NETS) * 4 * len(_thread_counts(plan)) if plan.peaks is not None else 0
    return 2 * plan.schedule.rounds * len(plan.subjects) + peak + (len(_thread_counts(plan)) if plan.sustained_s else 0)


def overhead_check(now_ns: Callable[[], int]) -> Check:
    """What timing an empty query costs, in microseconds of wall time a query."""
    start = now_ns()
    single_stream(lambda _: None, RunLength(_EMPTY_QUERIES, 0.0), now_ns)
    cost_us = (now_ns() - start) / 1e3 / _EMPTY_QUERIES
    return targets.check("timing an empty query", cost_us, "≤", OVERHEAD_MAX_US, unit="µs", note="1 % of an inference of 5 ms")


def minutes(timing: Timing) -> tuple[Round, ...]:
    """The queries of a long run by the minute in which they ended: at least one, and a last part of less than half a minute counts
    with the minute before it."""
    parts: list[list[float]] = [[]]
    filled = 0.0
    for time_ms in timing.times_ms:
        if filled >= _MINUTE_MS:
            parts.append([])
            filled = 0.0
        parts[-1].append(time_ms)
        filled += time_ms
    if len(parts) > 1 and filled < _MINUTE_MS / 2:
        last = parts.pop()
        parts[-1] += last
    return tuple(Round(queries=len(part), seconds=sum(part) / 1e3, p50_ms=median(part)) for part in parts)


def _alternate(
    bench: str, once: Callable[[Subject, RunLength, float], Timing], plan: LatencyPlan, step: Say, missing: list[Missing]
) -> list[Record]:
    energies = Energies()
    outcomes = alternate(
        plan.subjects,
        plan.schedule,
        lambda one: step(f"{bench} {one.candidate.name} {one.threads}t"),
        time_once=lambda subject, length, left_s: energies.watched(once, subject, length, left_s),
    )
    missing += [missing_of(outcome, bench) for outcome in outcomes if outcome.failure is not None]
    return [_record(bench, outcome, energies, plan) for outcome in outcomes if outcome.timings]


def _record(bench: str, outcome: Outcome, energies: Energies, plan: LatencyPlan) -> Record:
    key = outcome.subject.candidate.name, outcome.subject.threads
    looped = [timing for timing in outcome.timings if isinstance(timing, LoopTiming)]
    joules, lost = energies.total(key)
    notes = ["energy of whole processes, their start and warm-up included"] if joules else []
    notes += _lost_note(lost)
    if plan.fps and looped:
        due, dropped = sum(len(t.times_ms) for t in looped), sum(t.dropped for t in looped)
        notes.append(f"{plan.fps:g} frames a second were due: {due}, of which {dropped} were passed over; a latency counts from when "
                     "its frame was due to the event of the first frame after it")  # fmt: skip
    return timed_record(
        bench,
        outcome,
        thermal=energies.thermal.get(key, {}),
        stages=merge_stages([timing.stages for timing in looped]),
        energy_j=joules,
        notes=tuple(notes),
    )


def _lost_note(rails: frozenset[str]) -> list[str]:
    names = ", ".join(sorted(rails))
    return [f"no joules of {names}: it could not be read for too long"] if rails else []


def merge_stages(rounds: Sequence[dict[str, Percentiles]]) -> dict[str, Percentiles]:
    """The rounds' stopwatches in one: the median of their percentiles, and all laps."""
    merged = {}
    for name in rounds[0] if rounds else ():
        stages = [stages[name] for stages in rounds if name in stages]
        p50, p90, p99 = (median([getattr(stage, key) for stage in stages]) for key in ("p50_ms", "p90_ms", "p99_ms"))
        merged[name] = Percentiles(p50_ms=p50, p90_ms=p90, p99_ms=p99, laps=sum(stage.laps for stage in stages))
    return merged


def _loop_once(fps: float) -> Callable[[Subject, RunLength, float], Timing]:
    def once(subject: Subject, length: RunLength, timeout_s: float) -> Timing:
        need_memory(subject.candidate)
        request = LoopTimingRequest(**request_fields(subject, length), fps=fps)
        return time_in_child("benchmarks.measure.loop_timing", request, LoopTiming, timeout_s)

    return once


def _sustained(plan: LatencyPlan, bare: Sequence[Record], step: Say, missing: list[Missing]) -> list[Record]:
    """The candidate with the lowest p90 of each thread count."""
    found = []
    for threads in _thread_counts(plan):
        able = [record for record in bare if record.runtime.threads == threads and record.p90_ms is not None]
        if not able:
            continue
        fastest = min(able, key=lambda record: record.p90_ms or 0.0).model.candidate
        subject = next(s for s in plan.subjects if s.candidate.name == fastest and s.threads == threads)
        step(f"sustained {fastest} {threads}t, {plan.sustained_s / 60:g} minutes")
        length = replace(plan.schedule.length, queries=1, seconds=plan.sustained_s)
        try:
            with BoardRecorder() as watch:
                timing = time_in_process(subject, length, plan.sustained_s + plan.schedule.timeout_s)
        except BackendError as error:
            missing.append(Missing(name=f"latency-sustained/{fastest}/{threads}t", reason=str(error)))
            continue
        record = timed_record(
            "latency-sustained", Outcome(subject, (timing,)), thermal=watch.thermal, energy_j=watch.energy_j,
        )  # fmt: skip
        parts = minutes(timing)
        change = (parts[-1].p50_ms or 0.0) / (parts[0].p50_ms or 1.0)
        note = f"a round is a minute; the last one's median is {change:.3f} of the first one's"
        found.append(msgspec.structs.replace(record, rounds=parts, notes=(note, *_lost_note(watch.lost))))
    return found


def _peaks(plan: LatencyPlan, step: Say, missing: list[Missing]) -> list[Record]:
    assert plan.peaks is not None
    formats = {subject.candidate.format for subject in plan.subjects}
    subjects = []
    for name in NETS:
        try:
            if not (plan.peaks / name / MANIFEST_NAME).is_file():
                step(f"exporting {name}")
                export_peak(name, plan.peaks, _PEAK_TIMEOUT_S)
            bundle = open_bundle(plan.peaks / name, WORKSTATION)
            model = find_model(bundle, None)
        except ShelfcamError as error:
            missing.append(Missing(name=name, reason=str(error)))
            continue
        able = [candidate for candidate in model.candidates if candidate.format in formats]
        subjects += [Subject(bundle, model, candidate, threads) for candidate in able for threads in _thread_counts(plan)]
    length = replace(plan.schedule.length, queries=10, seconds=min(1.0, plan.schedule.length.seconds))
    schedule = replace(plan.schedule, length=length)
    with BoardRecorder() as watch:
        outcomes = alternate(subjects, schedule, lambda one: step(f"peak {one.candidate.name} {one.threads}t"))
    missing += [missing_of(outcome, "peak") for outcome in outcomes if outcome.failure is not None]
    return peak_records(outcomes, watch.thermal)


def _thread_counts(plan: LatencyPlan) -> tuple[int, ...]:
    return tuple(dict.fromkeys(subject.threads for subject in plan.subjects))
