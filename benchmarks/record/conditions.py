"""What disturbed a measurement, in words that every report shares."""

from __future__ import annotations

from benchmarks.record.spec import Conditions, Report
from edge import console

BUSY = "The machine was busy with other things: measure again when it is idle, before quoting a speed."

_DISTURBED = 0.05  # of the CPU time: above this, shares of throughput were seen to move by several points


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


def show_conditions(report: Report) -> None:
    """The machine, the runtimes, and what disturbed the measurement, on standard output."""
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
