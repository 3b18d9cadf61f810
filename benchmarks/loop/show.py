"""The findings of ``shelfcam bench loop`` for people."""

from __future__ import annotations

from benchmarks.record.conditions import show_conditions
from benchmarks.record.spec import Check, Record, Report, record_id
from benchmarks.record.targets import summary
from edge import console

_VERDICTS = {True: "holds", False: "MISSED", None: "not measured"}
_SHARE_UNITS = {"×": "{:.3f}", "share": "{:.2%}"}


def show(report: Report) -> None:
    """Tables on standard output: checks, records, the loop's stages, and what disturbed the measurement."""
    rows = [
        (c.name, _figure(c, c.value), f"{c.sense} {_figure(c, c.limit)}", _VERDICTS[c.holds], c.note) for c in report.checks
    ]
    title = "Checks (quick: fewer rounds and frames than a figure to quote needs)" if report.quick else "Checks"
    console.print_table(title, ["check", ">measured", ">target", "verdict", "note"], rows)
    lines = [
        (record_id(r), *(console.milliseconds(v) for v in (r.p50_ms, r.p90_ms, r.p99_ms)), f"{r.throughput:.1f}", r.queries)
        for r in report.records
    ]
    console.print_table("Records, ms", ["record", ">p50", ">p90", ">p99", ">per second", ">queries"], lines)
    for record in report.records:
        if record.stages:
            _show_stages(record)
    show_conditions(report)
    console.stdout().print(summary(report.checks))


def _figure(check: Check, value: float | None) -> str:
    if value is None:
        return "–"
    return _SHARE_UNITS.get(check.unit, f"{{:.2f}} {check.unit}").format(value)


def _show_stages(record: Record) -> None:
    rows = [(name, *(f"{v:.3f}" for v in (s.p50_ms, s.p90_ms, s.p99_ms)), s.laps) for name, s in record.stages.items()]
    console.print_table(f"{record_id(record)} by stage, ms", ["stage", ">p50", ">p90", ">p99", ">laps"], rows)
