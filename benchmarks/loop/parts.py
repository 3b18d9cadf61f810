"""The parts of ``shelfcam bench loop``: each measures one thing and adds its records, ratios and checks to the draft of the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measure.agreement import agreement
from benchmarks.measure.alternation import Schedule, alternate, timed_record
from benchmarks.measure.children import run_child
from benchmarks.measure.frame_cost import FLOORS, FrameCost
from benchmarks.measure.memory import growth_check, memory_record, watch_memory
from benchmarks.measure.service import Installation
from benchmarks.measure.share import ShareResult
from benchmarks.measure.single_stream import RunLength
from benchmarks.measure.start import start_record, time_start, write_picture
from benchmarks.record import targets
from benchmarks.record.draft import ProgressBar, ReportDraft
from benchmarks.record.facts import Placed, Subject, record_of, series_record
from benchmarks.record.host import read_thermal, thermal_change
from benchmarks.record.rounds import round_ms, round_rates
from benchmarks.record.schema import Percentiles, Record, Round, ratio_of, threads_in_words
from edge.board.boards import thread_count
from edge.bundle.reader import Bundle
from edge.config import AUTO
from edge.errors import BackendError
from edge.manifest import Model, Precision
from edge.models import find_candidate, find_model

_LEAST_QUERIES = 5  # of a round of one candidate alone
_SPARE_S = 300.0
_NO_SPEED = "a query is one drawn frame through shelfcam run, its events read from a pipe: not a speed to quote"
_PROCESSES_TIMEOUT_S = 3600.0


@dataclass(frozen=True, slots=True)
class LoopPlan:
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
class LoopDraft(ReportDraft):
    """``chosen``: candidate and reason by thread count."""

    chosen: dict[int, tuple[str, str]] = field(default_factory=dict)


def share(plan: LoopPlan, installation: Installation, threads: int, draft: LoopDraft, progress: ProgressBar) -> None:
    """The loop's throughput ÷ the bare backend's, and preprocessing ÷ inference, at one thread count."""
    candidate, why = _choose(plan, installation, threads, draft, progress)
    progress.both(f"loop beside bare backend: {candidate}, {threads_in_words(threads)}, {plan.rounds} rounds")
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
    draft.records += [bare, looped, prepared, inferred]
    name = f"loop ÷ bare throughput, {threads_in_words(threads)}"
    limit = targets.SHARE_MIN if threads == 1 else targets.SHARE_MIN_OF_SEVERAL
    draft.judge(ratio_of(name, looped, bare, (round_rates(looped.rounds), round_rates(bare.rounds))), "≥", limit)
    name = f"preprocessing ÷ inference, {threads_in_words(threads)}"
    draft.judge(
        ratio_of(name, prepared, inferred, (round_ms(prepared.rounds), round_ms(inferred.rounds))), "≤", targets.PREPROCESS_MAX
    )


def frame(plan: LoopPlan, installation: Installation, draft: LoopDraft, progress: ProgressBar) -> None:
    """What a frame costs beside inference, at one thread: each part ÷ its floor."""
    candidate, why = _choose(plan, installation, 1, draft, progress)
    progress.both(f"a frame beside inference: {candidate}, {plan.rounds} rounds")
    subject = Subject(plan.bundle, plan.model, find_candidate(plan.model, candidate), 1)
    seconds = plan.seconds / len(FLOORS)
    arguments = [str(plan.bundle.directory.resolve()), plan.model.name, candidate, str(plan.rounds), str(seconds)]
    timeout_s = _SPARE_S + 10 * plan.rounds * plan.seconds
    cost = run_child("benchmarks.measure.frame_cost", arguments, FrameCost, timeout_s=timeout_s).parts
    stages: dict[str, Percentiles] = {}
    for part, (spent, floor) in cost.items():
        stages |= {part: spent.all, f"{part}: floor": floor.all}
    once = [spent.rounds for part, (spent, _) in cost.items() if part != "cold read"]  # "resize" holds it
    rounds = [_sum_of(parts) for parts in zip(*once, strict=True)]
    note = "a query is the parts of one frame, after one another"
    record = record_of("frame", subject, rounds, stages=stages, notes=(why, note))
    draft.records.append(record)
    for part, (spent, floor) in cost.items():
        values = round_ms(spent.rounds), round_ms(floor.rounds)
        draft.ratios.append(ratio_of(f"{part} ÷ {FLOORS[part]}", record, record, values))


def _sum_of(parts: Sequence[Round]) -> Round:
    """One round of them all, by their medians."""
    p50_ms = sum(round_ms(parts))
    return Round(queries=parts[0].queries, seconds=p50_ms * parts[0].queries / 1e3, p50_ms=p50_ms)


def start(plan: LoopPlan, installation: Installation, place: Path, draft: LoopDraft, progress: ProgressBar) -> None:
    """CPU seconds of ``shelfcam run`` from nothing to its first event, with the choice remembered."""
    threads = thread_count(0)
    _choose(plan, installation, threads, draft, progress)
    picture = write_picture(place / "shelf.png")
    progress.both(f"start to first event: {plan.starts} starts")
    time_start(installation, picture)  # the first start, which fills the caches, is not the one in question
    before = read_thermal()
    starts = [time_start(installation, picture) for _ in range(plan.starts)]
    subject = Subject(plan.bundle, plan.model, find_candidate(plan.model, starts[-1].candidate), threads)
    record = start_record(subject, starts, thermal_change(before, read_thermal()))
    draft.records.append(record)
    value, wall_s = record.stages["cpu"].p50_ms / 1e3, record.stages["first_event"].p50_ms / 1e3
    low, high = min(s.cpu_s for s in starts), max(s.cpu_s for s in starts)
    note = (
        f"median of {len(starts)}, {low:.2f} to {high:.2f}; until the process ended; {wall_s:.2f} s of wall time to the event"
    )
    draft.checks.append(targets.check("start to first event", value, "≤", targets.START_CPU_MAX_S, unit="CPU s", note=note))


def memory(plan: LoopPlan, installation: Installation, draft: LoopDraft, progress: ProgressBar) -> None:
    """Resident memory of ``shelfcam run`` at its peak, and how much it grew."""
    threads = thread_count(0)
    _choose(plan, installation, threads, draft, progress)
    progress.both(f"memory over {plan.frames:,} frames")
    before = read_thermal()
    run = watch_memory(installation, plan.frames, lambda seen: progress.now(f"memory: {seen:,} of {plan.frames:,} frames"))
    subject = Subject(plan.bundle, plan.model, find_candidate(plan.model, run.candidate), threads)
    draft.records.append(memory_record("memory", subject, run, _NO_SPEED, thermal_change(before, read_thermal())))
    draft.checks.append(growth_check("memory growth", run, targets.GROWTH_MAX))
    draft.checks.append(
        targets.check("memory peak", run.peak_bytes / 1e6, "≤", targets.PEAK_MAX_MB, unit="MB", note="resident")
    )


def size(plan: LoopPlan, draft: LoopDraft, progress: ProgressBar) -> None:
    """Bytes of the int8 ONNX candidates, how far they agree with fp32, and their speed ÷ its at one thread."""
    name = "int8 ÷ fp32 speed, 1 thread"
    small = onnx_candidates(plan.bundle, plan.model, "int8")
    if not small:
        why = "this model has no int8 ONNX candidate"
        draft.checks.append(targets.unmeasured("int8 ONNX", "≤", targets.INT8_MAX_MB, unit="MB", why=why))
        draft.checks.append(targets.unmeasured(name, "≥", targets.INT8_SPEED_MIN, unit="×", why=why))
        return
    largest = max(small, key=lambda placed: placed.candidate.model_file.bytes).candidate
    megabytes = largest.model_file.bytes / 1e6
    draft.checks.append(targets.check("int8 ONNX", megabytes, "≤", targets.INT8_MAX_MB, unit="MB", note=largest.name))
    full = onnx_candidates(plan.fp32_bundle, find_model(plan.fp32_bundle, plan.model.name), "fp32")
    if not full:
        why = "no fp32 ONNX candidate to compare with: give one with --fp32-bundle"
        draft.checks.append(targets.unmeasured(name, "≥", targets.INT8_SPEED_MIN, unit="×", why=why))
        return
    progress.both("agreement of int8 with fp32")
    for one in agreement(full[0], small):
        placed, measured = one.placed.candidate, one.measured
        guarded = placed.runtime_options.get("session.x64quantprecision") == "1"
        note = f"{measured.images} crops of photos, logit cosine {measured.logit_cosine:.4f}"
        what = f"top-1 agreement with fp32: {placed.name}"
        draft.checks.append(
            targets.check(what, measured.top1_agreement, "≥", targets.AGREEMENT_MIN[guarded], unit="share", note=note)
        )
    progress.both(f"int8 beside fp32: 1 thread, {plan.rounds} rounds")
    subjects = [Subject(placed.bundle, placed.model, placed.candidate, 1) for placed in (full[0], *small)]
    schedule = Schedule(plan.rounds, RunLength(_LEAST_QUERIES, plan.seconds), _PROCESSES_TIMEOUT_S)
    before = read_thermal()
    outcomes = alternate(subjects, schedule, lambda one: progress.now(f"{one.candidate.name}: {plan.rounds} rounds"))
    for outcome in outcomes:
        if not outcome.timings:
            raise BackendError(f"candidate {outcome.subject.candidate.name}: {outcome.failure or 'was not timed'}")
    thermal = thermal_change(before, read_thermal())
    records = [timed_record("inference-alone", outcome, thermal=thermal) for outcome in outcomes]
    draft.records += records
    for record in records[1:]:
        speed = ratio_of(f"{name}: {record.model.candidate}", record, records[0], (_speeds(record), _speeds(records[0])))
        draft.judge(speed, "≥", targets.INT8_SPEED_MIN)


def onnx_candidates(bundle: Bundle, model: Model, precision: Precision) -> list[Placed]:
    """The model's ONNX candidates of that precision, in the manifest's order."""
    return [Placed(bundle, model, c) for c in model.candidates if c.format == "onnx" and c.precision == precision]


def _choose(
    plan: LoopPlan, installation: Installation, threads: int, draft: LoopDraft, progress: ProgressBar
) -> tuple[str, str]:
    """(Candidate, why): the one that was named, or what ``shelfcam choose`` finds, once; the installation then remembers it."""
    if plan.candidate != AUTO:
        return find_candidate(plan.model, plan.candidate).name, "candidate named by the user"
    if threads not in draft.chosen:
        progress.both(f"choosing a candidate for {threads_in_words(threads)}")
        choice = installation.choose(threads)
        draft.chosen[threads] = choice.candidate, f"candidate chosen by shelfcam choose: {choice.reason}"
    return draft.chosen[threads]


def _speeds(record: Record) -> list[float]:
    return [1 / time_ms for time_ms in round_ms(record.rounds)]
