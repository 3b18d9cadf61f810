"""``shelfcam bench check`` as a command."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from benchmarks.check.baseline import default_path, differences, read_baseline, read_result, refuse_unlike, write_baseline
from benchmarks.check.judge import BLIND, TOGETHER, RecordVerdict, blind, judge, regressions, saw_nothing
from benchmarks.record.host import machine_name
from benchmarks.record.schema import Report
from edge import console
from edge.commands import options
from edge.errors import DataError

_SHOWN = 5  # names in the error; the table has all


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """What ``--json`` prints. ``passes``: nothing is slower or lost, and a slowdown would have shown somewhere; ``blind``: records of
    which one by BLIND would not have; ``quick``: one of the two was measured too briefly for a figure to be quoted."""

    schema: int = 1
    result: str
    baseline: str
    passes: bool
    quick: bool
    blind: list[str]
    rows: list[RecordVerdict]
    differences: list[str]


class KeptBaseline(msgspec.Struct, frozen=True, kw_only=True):
    """What ``--write --json`` prints."""

    schema: int = 1
    bench: str
    baseline: str
    quick: bool


class RegressionError(DataError):
    """Something has become slower, or cannot be measured any more: whoever changed it acts."""


class BlindError(DataError):
    """The rounds could not have shown a slowdown: whoever measures acts."""


def check_command(
    result: Annotated[Path, Parameter(help="Report of bench zoo or bench latency, as --json prints it.")],
    /,
    *,
    baseline: Annotated[Path | None, Parameter(help="File that --write made; without it baselines/BOARD.json, here.")] = None,
    write: Annotated[
        bool, Parameter(negative="", help="Keep this result as the baseline of its bench, in place of an earlier one.")
    ] = False,
    json: options.JsonOption = False,
) -> None:
    """Has this machine become slower than its baseline, beyond the noise of both runs?

    Exit code 0: nothing is slower. 65: something is, or cannot be measured any more; the table names it; or the rounds scatter so much
    that a quarter slower would not have shown anywhere. 64: the two cannot be compared (another board, CPU, runtime or its major
    version, or thread count). 66: there is no baseline of this bench.

    **Examples**

        shelfcam bench check out/latency.json
        shelfcam bench check out/latency.json --baseline kept/pi-5.json --json
        shelfcam bench check out/latency.json --write
    """
    report = read_result(result)
    path = baseline or default_path(report, name=str(result))
    if write:
        write_baseline(path, report)
        console.stderr().print(f"{path}: kept as the baseline of {machine_name(report.records[0].host)}", soft_wrap=True)
        if json:
            console.print_json(KeptBaseline(bench=report.bench, baseline=str(path), quick=report.quick))
        return
    kept = read_baseline(path, report.bench, result)
    refuse_unlike(report, kept, names=(str(result), str(path)))
    rows = judge(report.records, kept.records, report.missing)
    worse, unseen, nothing = regressions(rows), blind(rows), saw_nothing(rows)
    quick = report.quick or kept.quick
    told = differences(report, kept)
    if json:
        names = [row.name for row in unseen]
        passes = not worse and not nothing
        console.print_json(
            CheckResult(
                result=str(result), baseline=str(path), passes=passes, quick=quick, blind=names, rows=rows, differences=told
            )
        )
    else:
        show(rows, told, report)
    _warn(rows, unseen, quick=quick)
    _fail(result, path, worse, nothing=nothing)


def _warn(rows: list[RecordVerdict], unseen: list[RecordVerdict], *, quick: bool) -> None:
    """On standard error, with and without ``--json``: what this check could not have seen."""
    records = [row for row in rows if row.name != TOGETHER]
    if unseen:
        words = (
            f"BLIND: {len(unseen)} of {len(records)} records could be {BLIND:.0%} slower without being found: {_names(unseen)}"
        )
        console.stderr().print(f"{words}. Measure them with more rounds, on an idle machine.", style="bold", soft_wrap=True)
    if quick:
        words = "QUICK: few rounds and queries: what passes here may still be slower by as much as each row would show."
        console.stderr().print(words, style="bold", soft_wrap=True)


def _fail(result: Path, path: Path, worse: list[RecordVerdict], *, nothing: bool) -> None:
    if worse:
        raise RegressionError(
            f"{result}: slower than {path}, or lost: {_names(worse)}",
            fix="find what changed; if it is meant, keep this result as the baseline with --write",
        )
    if nothing:
        raise BlindError(
            f"{result}: no record could have shown that it is {BLIND:.0%} slower than {path}",
            fix="measure both again with more rounds, on an idle machine",
        )


def _names(rows: list[RecordVerdict]) -> str:
    more = f" and {len(rows) - _SHOWN} more" if len(rows) > _SHOWN else ""
    return ", ".join(row.name for row in rows[:_SHOWN]) + more


def show(rows: list[RecordVerdict], told: list[str], report: Report) -> None:
    """One line a record, what differs between the runs, and how many have which verdict."""
    lines = []
    for row in rows:
        change = row.change
        figures = (
            ("–", "–", "–")
            if change is None
            else (f"{change.value:.3f}", f"{change.low:.3f}–{change.high:.3f}", f"{change.rounds}")
        )
        seen = "–" if row.detectable is None else f"{row.detectable:.1%}"
        lines.append((row.name, *figures, seen, row.verdict + (f": {row.note}" if row.note else "")))
    console.print_table("Result ÷ baseline", ["record", ">ratio", ">95 % interval", ">rounds", ">would show", "verdict"], lines)
    for words in told:
        console.stdout().print(words, soft_wrap=True)
    c = report.conditions
    console.stdout().print(
        f"other processes had {c.others_share:.1%} of the CPU time, other machines (steal) {c.steal_share:.1%}", soft_wrap=True
    )
    counts = Counter(row.verdict for row in rows if row.name != TOGETHER)
    console.stdout().print(", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()))
