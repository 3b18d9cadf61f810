"""The parts of ``shelfcam bench loop``: each measures one thing and adds its records, ratios and checks to the findings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measure.agreement import agreement
from benchmarks.measure.children import run_child
from benchmarks.measure.memory import memory_record, watch_memory
from benchmarks.measure.precision import alternate_processes, onnx_candidates
from benchmarks.measure.service import Site
from benchmarks.measure.share import ShareResult
from benchmarks.measure.start import start_record, time_start, write_picture
from benchmarks.record import targets
from benchmarks.record.facts import Subject, series_record
from benchmarks.record.host import read_thermal, thermal_change
from benchmarks.record.spec import Check, Ratio, Record, ratio_of
from edge.board.boards import thread_count
from edge.bundle.manifest import Model
from edge.bundle.reader import Bundle
from edge.config import AUTO
from edge.models import find_candidate, find_model

_RUNS_PER_SECOND = 100  # of a probe, roughly: how a round's seconds become a number of runs
_SPARE_S = 300.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure, and how long. ``seconds``: wall time of one side of one round. ``candidate`` may be "auto"."""

    bundle: Bundle
    model: Model
    candidate: str
    threads: tuple[int, ...]
    rounds: int
    seconds: float
    starts: int
    frames: int
    fp32_bundle: Bundle


@dataclass(slots=True)
class Findings:
    """What was found so far. ``chosen``: candidate and reason by thread count."""

    records: list[Record] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    chosen: dict[int, tuple[str, str]] = field(default_factory=dict)

    def judge(self, ratio: Ratio, sense: targets.Sense, limit: float) -> None:
        """Add a ratio and hold it against its target."""
        self.ratios.append(ratio)
        self.checks.append(targets.check_ratio(ratio, sense, limit))


@dataclass(frozen=True, slots=True)
class Say:
    """Progress for people. ``now``: what is being done; ``line``: a line that stays."""

    now: Callable[[str], None]
    line: Callable[[str], None]

    def __call__(self, text: str) -> None:
        """Both."""
        self.now(text)
        self.line(text)


def share(plan: Plan, site: Site, threads: int, found: Findings, say: Say) -> None:
    """The loop's throughput ÷ the bare backend's, and preprocessing ÷ inference, at one thread count."""
    candidate, why = _choose(plan, site, threads, found, say)
    say(f"loop beside bare backend: {candidate}, {_threads(threads)}, {plan.rounds} rounds")
    subject = Subject(plan.bundle, plan.model, find_candidate(plan.model, candidate), threads)
    before = read_thermal()
    arguments = [
        str(plan.bundle.directory.resolve()),
        plan.model.name,
        candidate,
        str(threads),
        str(plan.rounds),
        str(plan.seconds),
    ]
    result = run_child("benchmarks.measure.share", arguments, ShareResult, timeout_s=_SPARE_S + 10 * plan.rounds * plan.seconds)
    thermal = thermal_change(before, read_thermal())
    bare = series_record("bare", subject, result.bare, thermal=thermal, notes=(why,))
    looped = series_record("loop", subject, result.loop, stages=result.stages, thermal=thermal, notes=(why,))
    prepared = series_record("preprocess", subject, result.preprocess, thermal=thermal, notes=(why,))
    inferred = series_record("inference", subject, result.inference, thermal=thermal, notes=(why,))
    found.records += [bare, looped, prepared, inferred]
    name = f"loop ÷ bare throughput, {_threads(threads)}"
    found.judge(ratio_of(name, looped, bare, (_rates(looped), _rates(bare))), "≥", targets.SHARE_MIN)
    name = f"preprocessing ÷ inference, {_threads(threads)}"
    found.judge(ratio_of(name, prepared, inferred, (_medians(prepared), _medians(inferred))), "≤", targets.PREPROCESS_MAX)


def start(plan: Plan, site: Site, place: Path, found: Findings, say: Say) -> None:
    """CPU seconds of ``shelfcam run`` from nothing to its first event, with the choice remembered."""
    threads = thread_count(0)
    _choose(plan, site, threads, found, say)
    picture = write_picture(place / "shelf.png")
    say(f"start to first event: {plan.starts} starts")
    time_start(site, picture)  # the first start of this site, which fills the caches, is not the one in question
    before = read_thermal()
    starts = [time_start(site, picture) for _ in range(plan.starts)]
    subject = Subject(plan.bundle, plan.model, find_candidate(plan.model, starts[-1].candidate), threads)
    record = start_record(subject, starts, thermal_change(before, read_thermal()))
    found.records.append(record)
    value, wall_s = record.stages["cpu"].p50_ms / 1e3, record.stages["first_event"].p50_ms / 1e3
    low, high = min(s.cpu_s for s in starts), max(s.cpu_s for s in starts)
    note = (
        f"median of {len(starts)}, {low:.2f} to {high:.2f}; until the process ended; {wall_s:.2f} s of wall time to the event"
    )
    found.checks.append(targets.check("start to first event", value, "≤", targets.START_CPU_MAX_S, unit="CPU s", note=note))


def memory(plan: Plan, site: Site, found: Findings, say: Say) -> None:
    """Resident memory of ``shelfcam run`` at its peak, and how much it grew."""
    threads = thread_count(0)
    _choose(plan, site, threads, found, say)
    say(f"memory over {plan.frames:,} frames")
    before = read_thermal()
    run = watch_memory(site, plan.frames, lambda seen: say.now(f"memory: {seen:,} of {plan.frames:,} frames"))
    subject = Subject(plan.bundle, plan.model, find_candidate(plan.model, run.candidate), threads)
    found.records.append(memory_record(subject, run, thermal_change(before, read_thermal())))
    at = f"{run.resident_bytes[run.early] / 1e6:.1f} MB → {run.resident_bytes[run.frames] / 1e6:.1f} MB"
    name = f"memory growth, frame {run.early:,} to {run.frames:,}"
    found.checks.append(targets.check(name, run.growth, "≤", targets.GROWTH_MAX, unit="share", note=at))
    found.checks.append(
        targets.check("memory peak", run.peak_bytes / 1e6, "≤", targets.PEAK_MAX_MB, unit="MB", note="resident")
    )


def size(plan: Plan, found: Findings, say: Say) -> None:
    """Bytes of the int8 ONNX candidates, how far they agree with fp32, and their speed ÷ its at one thread."""
    name = "int8 ÷ fp32 speed, 1 thread"
    small = onnx_candidates(plan.bundle, plan.model, "int8")
    if not small:
        why = "this model has no int8 ONNX candidate"
        found.checks.append(targets.unmeasured("int8 ONNX", "≤", targets.INT8_MAX_MB, unit="MB", why=why))
        found.checks.append(targets.unmeasured(name, "≥", targets.INT8_SPEED_MIN, unit="×", why=why))
        return
    largest = max(small, key=lambda placed: placed.candidate.model_file.bytes).candidate
    megabytes = largest.model_file.bytes / 1e6
    found.checks.append(targets.check("int8 ONNX", megabytes, "≤", targets.INT8_MAX_MB, unit="MB", note=largest.name))
    full = onnx_candidates(plan.fp32_bundle, find_model(plan.fp32_bundle, plan.model.name), "fp32")
    if not full:
        why = "no fp32 ONNX candidate to compare with: give one with --fp32-bundle"
        found.checks.append(targets.unmeasured(name, "≥", targets.INT8_SPEED_MIN, unit="×", why=why))
        return
    say("agreement of int8 with fp32")
    for one in agreement(full[0], small):
        placed, measured = one.placed.candidate, one.measured
        guarded = placed.runtime_options.get("session.x64quantprecision") == "1"
        note = f"{measured.images} crops of photos, logit cosine {measured.logit_cosine:.4f}"
        what = f"top-1 agreement with fp32: {placed.name}"
        found.checks.append(
            targets.check(what, measured.top1_agreement, "≥", targets.AGREEMENT_MIN[guarded], unit="share", note=note)
        )
    say(f"int8 beside fp32: 1 thread, {plan.rounds} rounds")
    places = [full[0], *small]
    runs = max(5, round(plan.seconds * _RUNS_PER_SECOND))
    series = alternate_processes(places, threads=1, rounds=plan.rounds, runs=runs)
    subjects = [Subject(placed.bundle, placed.model, placed.candidate, 1) for placed in places]
    records = [series_record("inference-alone", *pair) for pair in zip(subjects, series, strict=True)]
    found.records += records
    for record in records[1:]:
        speed = ratio_of(f"{name}: {record.model.candidate}", record, records[0], (_speeds(record), _speeds(records[0])))
        found.judge(speed, "≥", targets.INT8_SPEED_MIN)


def _choose(plan: Plan, site: Site, threads: int, found: Findings, say: Say) -> tuple[str, str]:
    """(Candidate, why): the one that was named, or what ``shelfcam choose`` finds, once; the site then remembers it."""
    if plan.candidate != AUTO:
        return find_candidate(plan.model, plan.candidate).name, "candidate named by the user"
    if threads not in found.chosen:
        say(f"choosing a candidate for {_threads(threads)}")
        choice = site.choose(threads)
        found.chosen[threads] = choice.candidate, f"candidate chosen by shelfcam choose: {choice.reason}"
    return found.chosen[threads]


def _rates(record: Record) -> list[float]:
    return [item.queries / item.seconds for item in record.rounds]


def _medians(record: Record) -> list[float]:
    return [item.p50_ms for item in record.rounds if item.p50_ms is not None]


def _speeds(record: Record) -> list[float]:
    return [1 / time_ms for time_ms in _medians(record)]


def _threads(count: int) -> str:
    return f"{count} thread" if count == 1 else f"{count} threads"
