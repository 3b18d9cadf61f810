"""The findings of ``shelfcam bench compare`` for people."""

from __future__ import annotations

from benchmarks.peers.judge import cpu_ms
from benchmarks.record.schema import Record, Report
from benchmarks.record.show import quick_words, show_conditions, show_missing
from edge import console

_KINDS = {
    "loop": "Loops, ms: from a 640×480 RGB frame to the best five classes",
    "bare": "Bare runtimes, ms: one inference of a batch that is ready",
}


def show_comparison(report: Report) -> None:
    """Tables on standard output: loops, bare runtimes, ratios, what is missing, and what disturbed the measurement."""
    for kind, title in _KINDS.items():
        records = sorted((r for r in report.records if r.bench == kind), key=lambda r: -r.throughput)
        if records:
            columns = ["runs on", "candidate", ">per second", ">p50", ">p90", ">p99", ">CPU ms a query"]
            console.print_table(title + quick_words(report), columns, [_speed(record) for record in records])
    columns = ["runs on", "version", "kind, candidate", ">start, ms", ">resident", ">peak", ">disk", ">whole env"]
    console.print_table("What it takes, MB", columns, [_weight(record) for record in report.records])
    rows = [(r.name, f"{r.value:.2f}", f"{r.low:.2f} to {r.high:.2f}") for r in report.ratios]
    console.print_table("Speed of ours ÷ theirs, paired rounds", ["kind, candidate: ratio", ">ratio", "95 % interval"], rows)
    out = console.stdout()
    for record in report.records:
        if record.notes:
            said = "; ".join(record.notes)
            out.print(f"{record.runtime.name}, {record.bench}, {record.model.candidate}: {said}", soft_wrap=True, markup=False)
    out.print("MB are 10⁶ bytes; start: process start to first result; disk: the runtime's own distributions", soft_wrap=True)
    show_missing(report)
    show_conditions(report)


def _speed(record: Record) -> tuple[str, ...]:
    times = (console.milliseconds(value) for value in (record.p50_ms, record.p90_ms, record.p99_ms))
    cpu = console.milliseconds(cpu_ms(record))
    return (record.runtime.name, record.model.candidate, f"{record.throughput:.1f}", *times, cpu)


def _weight(record: Record) -> tuple[str, ...]:
    memory, kind = record.memory, f"{record.bench}, {record.model.candidate}"
    sizes = (_megabytes(memory.get(name)) for name in ("resident", "peak", "disk_runtime", "disk_environment"))
    return (record.runtime.name, record.runtime.version, kind, f"{record.stages['start'].p50_ms:.0f}", *sizes)


def _megabytes(value: int | None) -> str:
    return "–" if value is None else f"{value / 1e6:.0f}"
