"""The findings of ``shelfcam bench latency`` for people."""

from __future__ import annotations

from benchmarks.measure.peak import show_beside_peaks
from benchmarks.record.schema import PEAK, Record, Report
from benchmarks.record.show import show_conditions, show_missing
from edge import console

_ONCE = ("cold_start", "load")
_FLAGS = ("throttled_", "happened_")
_COLUMNS = ["what", "candidate", ">t", ">p90", ">p50", ">p99", ">max", ">per s", ">start", ">MB peak", ">of peak", ">queries"]


def show_latency(report: Report) -> None:
    """Tables on standard output."""
    others = [record for record in report.records if record.bench != PEAK]
    show_beside_peaks(report, "Latency, ms", _COLUMNS, _line)
    stages = [
        (_name(record), name, *(f"{v:.3f}" for v in (s.p50_ms, s.p90_ms, s.p99_ms)), s.laps)
        for record in others
        for name, s in record.stages.items()
        if name not in _ONCE
    ]
    if stages:
        waits = any(record.bench == "latency-camera" for record in others)
        aside = "; capture is mostly the wait for the next frame, sink writes the event" if waits else "; sink writes the event"
        console.print_table(f"By stage of the loop, ms{aside}", ["what", "stage", ">p50", ">p90", ">p99", ">count"], stages)
    board = [(_name(record), name, value) for record in others for name, value in _board(record.thermal)]
    board += [(_name(record), f"{rail}, J", f"{value:.2f}") for record in others for rail, value in record.energy_j.items()]
    if board:
        console.print_table("The board", ["what", "reading", ">value"], board)
    out = console.stdout()
    for record in others:
        for note in record.notes:
            out.print(f"{_name(record)}: {note}", soft_wrap=True, markup=False)
    for ratio in report.ratios:
        out.print(f"{ratio.name}: {ratio.value:.3f} ({ratio.low:.3f} to {ratio.high:.3f})", soft_wrap=True)
    for check in report.checks:
        out.print(
            f"{check.name}: {check.value or 0.0:.2f} {check.unit} ({check.sense} {check.limit:g}: {check.note})", soft_wrap=True
        )
    show_missing(report)
    show_conditions(report)


def _line(record: Record, share: float | None) -> tuple[object, ...]:
    bare = record.bench in ("latency", "latency-sustained")
    times = [console.milliseconds(value) for value in (record.p90_ms, record.p50_ms, record.p99_ms, record.max_ms)]
    return (
        record.bench,
        record.model.candidate,
        record.runtime.threads,
        *times,
        f"{record.throughput:.1f}",
        f"{record.stages['cold_start'].p50_ms:.0f}",
        f"{record.memory['peak'] / 1e6:.0f}",
        "–" if share is None or not bare else f"{share:.0%}",
        record.queries,
    )


def _board(thermal: dict[str, float]) -> list[tuple[str, str]]:
    """Heat and clock; of what slows a board down only that which did, "throttling none" if nothing did, and nothing if none can tell."""
    flags = {name: value for name, value in thermal.items() if name.startswith(_FLAGS)}
    rows = [(name, f"{value:.1f}") for name, value in thermal.items() if name not in flags]
    active = [(name, f"{value:.0f}") for name, value in flags.items() if value]
    return rows + (active or ([("throttling", "none")] if flags else []))


def _name(record: Record) -> str:
    return f"{record.bench} {record.model.candidate} {record.runtime.threads}t"
