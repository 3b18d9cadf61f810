"""What every report has, for people: checks, records, what is missing, and what disturbed the measurement."""

from __future__ import annotations

from benchmarks.record.schema import Check, Conditions, Record, Report, record_id
from benchmarks.record.targets import summary
from edge import console

BUSY = "The machine was busy with other things: measure again when it is idle, before quoting a speed."

_DISTURBED = 0.05  # of the CPU time: above this, shares of throughput were seen to move by several points
_RESULTS = {True: "holds", False: "MISSED", None: "not measured"}
_SHARE_UNITS = {"×": "{:.3f}", "share": "{:.2%}"}


def show_report(report: Report) -> None:
    """Tables on standard output: checks, records, their stages, and what disturbed the measurement."""
    rows = [(c.name, _figure(c, c.value), f"{c.sense} {_figure(c, c.limit)}", _RESULTS[c.holds], c.note) for c in report.checks]
    console.print_table(f"Checks{quick_words(report)}", ["check", ">measured", ">target", "result", "note"], rows)
    lines = [
        (record_id(r), *(console.milliseconds(v) for v in (r.p50_ms, r.p90_ms, r.p99_ms)), f"{r.throughput:.1f}", r.queries)
        for r in report.records
    ]
    console.print_table("Records, ms", ["record", ">p50", ">p90", ">p99", ">per second", ">queries"], lines)
    for record in report.records:
        if record.stages:
            _show_stages(record)
    _show_ratios(report)
    show_missing(report)
    show_conditions(report)
    if report.checks:
        console.stdout().print(summary(report.checks))


def _show_ratios(report: Report) -> None:
    """Those that no check holds against a target."""
    judged = {check.name for check in report.checks}
    rows = [(r.name, f"{r.value:.2f}", f"{r.low:.2f} to {r.high:.2f}") for r in report.ratios if r.name not in judged]
    console.print_table("Ratios", ["ratio", ">median", "95 % interval"], rows)


def quick_words(report: Report) -> str:
    """Behind the title of a table whose figures are not to be quoted."""
    return " (quick: fewer rounds and queries than a figure to quote needs)" if report.quick else ""


def show_missing(report: Report) -> None:
    """What was asked for and is not there."""
    if report.missing:
        console.print_table("Missing", ["what", "why"], [(one.name, one.reason) for one in report.missing])


def show_conditions(report: Report) -> None:
    """The machine, the runtimes, and what disturbed the measurement."""
    out = console.stdout()
    for record in report.records[:1]:
        host = record.host
        out.print(
            f"{host.board}, {host.cpu} ({' '.join(host.features)}), {host.kernel}, governor {host.governor}", soft_wrap=True
        )
        runtimes = sorted({f"{r.runtime.name} {r.runtime.version}" for r in report.records})
        bundles = sorted({r.model.bundle for r in report.records})
        out.print("; ".join([", ".join(runtimes), *(bundles if len(bundles) == 1 else [])]), soft_wrap=True)
    out.print(in_words(report.conditions), soft_wrap=True)
    if disturbed_share(report.conditions) is not None:
        out.print(BUSY, style="bold", soft_wrap=True)


def disturbed_share(conditions: Conditions) -> float | None:
    """The share of the CPU time that went elsewhere, if it is more than a measurement stands."""
    share = conditions.others_share + conditions.steal_share
    return share if share > _DISTURBED else None


def in_words(conditions: Conditions) -> str:
    """Load, other processes, other machines."""
    c = conditions
    return (
        f"load {c.load_before:.2f} before, {c.load_after:.2f} after; other processes had {c.others_share:.1%} of the CPU time, "
        f"other machines (steal) {c.steal_share:.1%}"
    )


def _figure(check: Check, value: float | None) -> str:
    if value is None:
        return "–"
    return _SHARE_UNITS.get(check.unit, f"{{:.2f}} {check.unit}").format(value)


def _show_stages(record: Record) -> None:
    rows = [(name, *(f"{v:.3f}" for v in (s.p50_ms, s.p90_ms, s.p99_ms)), s.laps) for name, s in record.stages.items()]
    console.print_table(f"{record_id(record)} by stage, ms", ["stage", ">p50", ">p90", ">p99", ">count"], rows)
