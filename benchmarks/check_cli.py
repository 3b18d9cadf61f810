"""``shelfcam bench check`` as a command."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from benchmarks.baseline import default_path, differences, read_baseline, refuse_unlike, write_baseline
from benchmarks.baseline_judge import TOGETHER, Judged, judge, regressions
from benchmarks.spec import Report, read_report
from edge import console
from edge.commands import options
from edge.errors import DataError

_SHOWN = 5  # names in the error; the table has all


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What ``--json`` prints. ``passes``: nothing is slower or lost."""

    schema: int = 1
    result: str
    baseline: str
    passes: bool
    rows: list[Judged]
    differences: list[str]


class RegressionError(DataError):
    """Something has become slower, or cannot be measured any more: whoever changed it acts."""


def check_command(
    result: Annotated[Path, Parameter(help="Report of bench zoo or bench latency, as --json prints it.")],
    /,
    *,
    baseline: Annotated[
        Path | None, Parameter(help="What to compare with; without it the board's own in benchmarks/baselines/.")
    ] = None,
    write: Annotated[
        bool, Parameter(negative="", help="Keep this result as the baseline, in place of an earlier one.")
    ] = False,
    json: options.JsonOption = False,
) -> None:
    """Has this machine become slower than its baseline, beyond the noise of both runs?

    Exit code 0: nothing is slower. 65: something is, or cannot be measured any more; the table names it. 64: the two cannot be
    compared (another board, CPU, major version of a runtime, or thread count). 66: there is no baseline.

    **Examples**

        shelfcam bench check out/latency.json
        shelfcam bench check out/latency.json --baseline kept/pi-5.json --json
        shelfcam bench check out/latency.json --write
    """
    report = read_report(result)
    path = baseline or default_path(report, name=str(result))
    if write:
        write_baseline(path, report)
        console.stderr().print(f"{path}: kept as the baseline of {report.records[0].host.board}", soft_wrap=True)
        return
    kept = read_baseline(path, result)
    refuse_unlike(report, kept, names=(str(result), str(path)))
    rows = judge(report.records, kept.records, report.missing)
    worse = regressions(rows)
    told = differences(report, kept)
    if json:
        console.print_json(Checked(result=str(result), baseline=str(path), passes=not worse, rows=rows, differences=told))
    else:
        show(rows, told, report)
    if worse:
        names = ", ".join(row.name for row in worse[:_SHOWN]) + (
            f" and {len(worse) - _SHOWN} more" if len(worse) > _SHOWN else ""
        )
        raise RegressionError(
            f"{result}: slower than {path}, or lost: {names}",
            fix="find what changed; if it is meant, keep this result as the baseline with --write",
        )


def show(rows: list[Judged], told: list[str], report: Report) -> None:
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
