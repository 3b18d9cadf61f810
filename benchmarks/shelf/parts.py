"""The parts of ``shelfcam bench shelf``: each measures one thing and adds its records, ratios and checks to the draft of the report."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure.memory import MemoryRun, growth_check, memory_record
from benchmarks.measure.service import Installation
from benchmarks.peers.command import make_settings
from benchmarks.record import targets
from benchmarks.record.draft import ReportDraft, Say
from benchmarks.record.facts import Subject, record_of
from benchmarks.record.rounds import round_rates
from benchmarks.record.schema import Report, Round, ratio_of
from benchmarks.shelf.latency import LatencyRun, time_events
from benchmarks.shelf.memory import watch_shelf_memory
from benchmarks.shelf.play import ScriptRun, busy_rounds, idle_rounds, play
from benchmarks.shelf.score import ShelfScore
from benchmarks.shelf.speed_ratios import speed_ratios
from edge.stages.base import ActiveModel
from edge.strict import Strict

PARTS = ("scripts", "idle", "busy", "latency", "memory", "speed")


class Played(Strict, frozen=True, kw_only=True):
    """One script through the loop."""

    script: str
    seed: int
    minutes: float
    score: ShelfScore


class ShelfReport(Report, frozen=True, kw_only=True):
    """The report of ``shelfcam bench shelf``: a report, and what was reported of each script."""

    played: tuple[Played, ...] = ()


@dataclass(frozen=True, slots=True)
class ShelfPlan:
    """What to play and measure. ``rounds`` of the latency: in each every slot changes once; ``frames`` of the memory run;
    ``envs``: folder of the peers' environments."""

    subject: Subject
    model: ActiveModel
    photos: Path | None
    scripts: Sequence[str]
    seeds: Sequence[int]
    minutes: float
    fps: float
    rounds: int
    frames: int
    envs: Path
    quick: bool


def scripts(plan: ShelfPlan, draft: ReportDraft, say: Say) -> tuple[Played, ...]:
    """Play every script once a seed, and hold the sums against the goals."""
    played = []
    for name in plan.scripts:
        for seed in plan.seeds:
            say(f"{name}, seed {seed}")
            score = play(ScriptRun(name, seed, plan.minutes * 60, plan.fps, plan.photos), plan.model)
            played.append(Played(script=name, seed=seed, minutes=plan.minutes, score=score))
    judge_scores([one.score for one in played], draft)
    return tuple(played)


def judge_scores(scores: Sequence[ShelfScore], draft: ReportDraft) -> None:
    """Recall, precision, faults reported and slots wrongly called empty, over all of them."""
    true, reported, right, faults, faults_reported = (
        sum(getattr(score, key) for score in scores) for key in ("true", "reported", "right", "faults", "faults_reported")
    )
    for name, part, whole, limit, note in (
        ("recall of events", right, true, targets.SHELF_RIGHT_MIN, f"{right} of {true} true events"),
        ("precision of events", right, reported, targets.SHELF_RIGHT_MIN, f"{right} of {reported} reported events"),
        ("faults of the view reported in 5 s", faults_reported, faults, 1.0, f"{faults_reported} of {faults}"),
    ):
        if whole:
            draft.checks.append(targets.check(name, part / whole, "≥", limit, unit="share", note=note))
        else:
            draft.checks.append(targets.unmeasured(name, "≥", limit, unit="share", why="these scripts have none"))
    false_empties = sum(score.false_empties for score in scores)
    draft.checks.append(targets.check("called empty unseen", false_empties, "≤", 0, unit="slots"))


def idle(plan: ShelfPlan, draft: ReportDraft, say: Say) -> None:
    """CPU time of an idle shelf."""
    say("idle shelf")
    pair = idle_rounds(plan.model, plan.photos, lambda: None)
    note = ("a query is a frame of 12 slots in which nothing happens; cpu_s is compared",)
    gated = record_of("shelf-idle", plan.subject, pair.numerator, notes=note)
    whole = record_of("shelf-every-slot", plan.subject, pair.denominator, notes=note)
    spent = [[one.cpu_s or 0.0 for one in rounds] for rounds in (pair.numerator, pair.denominator)]
    draft.records += [gated, whole]
    draft.judge(
        ratio_of("idle shelf ÷ every slot inferred, CPU time", gated, whole, (spent[0], spent[1])), "≤", targets.IDLE_MAX
    )


def busy(plan: ShelfPlan, draft: ReportDraft, say: Say) -> None:
    """Slots a second where all change."""
    say("all slots changing")
    pair = busy_rounds(plan.model, plan.photos, lambda: None)
    note = ("a query is a slot; all 12 of every frame are inferred",)
    looped = record_of("shelf-busy", plan.subject, pair.numerator, notes=note)
    bare = record_of("shelf-bare", plan.subject, pair.denominator, notes=note)
    draft.records += [looped, bare]
    rates = [round_rates(rounds) for rounds in (pair.numerator, pair.denominator)]
    draft.judge(ratio_of("all slots changing ÷ bare backend", looped, bare, (rates[0], rates[1])), "≥", targets.BUSY_MIN)


def latency(plan: ShelfPlan, draft: ReportDraft, say: Say) -> None:
    """From capture to event, in real time."""
    say("capture to event")
    run = time_events(
        plan.model,
        plan.subject.bundle.sha256,
        plan.photos,
        plan.rounds,
        lambda seq: say(f"capture to event: frame {seq}") if seq % 50 == 0 else None,
    )
    judge_latency(run, plan.subject, draft)


def judge_latency(run: LatencyRun, subject: Subject, draft: ReportDraft) -> None:
    """p99 against dwell time + one frame period + twice the batch's p99."""
    events, batch = run.latency, run.batch
    draft.records.append(
        record_of(
            "shelf-capture-to-event",
            subject,
            [Round(queries=len(run.latencies_ms), seconds=run.seconds)],
            whole=events,
            stages={"batch": batch},
            notes=(
                f"{run.fps:g} frames a second, four slots at a time; dwell time {run.dwell_ms:g} ms; a batch is preprocessing, inference "
                f"and decoding; {run.late_frames} of {run.frames} frames were drawn late, by {run.late_ms:.0f} ms at most",
            ),
        )
    )
    note = (
        f"{events.laps} events, {run.missed} without one; {run.dwell_ms:g} ms dwell + {1000 / run.fps:.1f} ms frame + 2 × "
        f"{batch.p99_ms:.1f} ms batch p99"
    )
    if run.late_frames > run.frames // 100:
        note += f"; {run.late_frames} of {run.frames} frames were late: this machine was too busy for this figure"
    check = targets.check("capture to event, p99", events.p99_ms, "≤", run.limit_ms, unit="ms", note=note)
    draft.checks.append(check)
    draft.checks.append(targets.check("changes without an event", run.missed, "≤", 0, unit="changes"))


def memory(plan: ShelfPlan, draft: ReportDraft, say: Say) -> None:
    """Resident memory over many frames."""
    say(f"memory over {plan.frames:,} frames")
    with tempfile.TemporaryDirectory(prefix="shelfcam-bench-") as place:
        subject = plan.subject
        installation = Installation(subject.bundle.directory, subject.model.name, subject.candidate.name, Path(place) / "state")
        run = watch_shelf_memory(installation, plan.frames, lambda seen: say(f"memory: {seen:,} of {plan.frames:,} frames"))
    judge_memory(run, subject, draft)


def judge_memory(run: MemoryRun, subject: Subject, draft: ReportDraft) -> None:
    """Growth from the first reading that counts to the last."""
    note = "a query is one drawn frame of eight slots through shelfcam run: not a speed to quote"
    draft.records.append(memory_record("shelf-memory", subject, run, note))
    draft.checks.append(growth_check("memory growth with slots", run, targets.SHELF_GROWTH_MAX))


def speed(plan: ShelfPlan, draft: ReportDraft, say: Say) -> None:
    """The loop beside MediaPipe's classifier and beside a plain loop, in environments of their own, on one core."""
    settings = make_settings(1, 3 if plan.quick else 7, 0.3 if plan.quick else 2.0, 1, plan.quick)
    records, ratios, checks = speed_ratios(plan.subject.bundle, plan.subject.model, settings, plan.envs, say)
    draft.records += records
    draft.ratios += ratios
    draft.checks += checks
