"""What a latency report holds besides a median to plot: the loop, the long run, stages, cold starts, heat, energy. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.record.schema import PEAK, Record
from benchmarks.report import tables
from benchmarks.report.points import plotted

_LATENCIES = ["what", "candidate", ">threads", ">p50 ms", ">p90 ms", ">p99 ms", ">max ms", ">a second", ">queries"]
_STAGES = ["what", "candidate", ">threads", "stage", ">p50 ms", ">p90 ms", ">p99 ms", ">count"]
_BOARD = ["what", "candidate", ">threads", "reading", ">value"]
_DIGITS = 2


def measured(records: Iterable[Record]) -> list[Record]:
    """Those of ``bench latency``, in their order: each has stages, and some have no place in a plot."""
    return [record for record in records if record.bench not in ("zoo", PEAK)]


def measured_tables(records: Sequence[Record]) -> list[str]:
    """HTML tables of ``measured`` records: what is not plotted, every stage (cold start and load are two of them), heat and energy; and
    what was noted. Nothing for no records."""
    from export.report import page

    latencies = [
        [*_names(r), *(tables.number(ms, _DIGITS) for ms in (r.p50_ms, r.p90_ms, r.p99_ms, r.max_ms)),
         f"{r.throughput:.1f}", str(r.queries)]
        for r in records if not plotted(r)
    ]  # fmt: skip
    stages = [
        [*_names(r), name, *(tables.number(ms, _DIGITS) for ms in (s.p50_ms, s.p90_ms, s.p99_ms)), str(s.laps)]
        for r in records
        for name, s in r.stages.items()
    ]
    board = [[*_names(r), name.replace("_", " "), f"{value:.1f}"] for r in records for name, value in r.thermal.items()]
    board += [[*_names(r), f"{rail}, J", f"{joules:.2f}"] for r in records for rail, joules in r.energy_j.items()]
    shown = [
        tables.html_table(columns, rows)
        for columns, rows in ((_LATENCIES, latencies), (_STAGES, stages), (_BOARD, board))
        if rows
    ]
    return [*shown, *(page.note(f"{r.bench} {r.model.candidate}: {words}") for r in records for words in r.notes)]


def _names(record: Record) -> list[str]:
    return [record.bench, record.model.candidate, str(record.runtime.threads)]
