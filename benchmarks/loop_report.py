"""The findings of ``shelfcam bench loop`` for people."""

from __future__ import annotations

from benchmarks.spec import Check, Record, Report, record_id
from benchmarks.targets import summary
from edge import console

_VERDICTS = {True: "holds", False: "MISSED", None: "not measured"}
_DISTURBED = 0.05  # of the CPU time: above this, shares of throughput were seen to move by several points
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


def show_conditions(report: Report) -> None:
    """The machine, the runtimes, and what disturbed the measurement."""
    out = console.stdout()
    for record in report.records[:1]:
        host = record.host
        out.print(
            f"{host.board}, {host.cpu} ({' '.join(host.features)}), {host.kernel}, governor {host.governor}", soft_wrap=True
        )
        runtimes = sorted({f"{r.runtime.name} {r.runtime.version}" for r in report.records})
        out.print(f"{', '.join(runtimes)}; {record.model.bundle}", soft_wrap=True)
    c = report.conditions
    out.print(
        f"load {c.load_before:.2f} before, {c.load_after:.2f} after; other processes had {c.others_share:.1%} of the CPU time, "
        f"other machines (steal) {c.steal_share:.1%}",
        soft_wrap=True,
    )
    if c.others_share + c.steal_share > _DISTURBED:
        out.print(
            "The machine was busy with other things: measure again when it is idle, before quoting a speed.", style="bold"
        )
