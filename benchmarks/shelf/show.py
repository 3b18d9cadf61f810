"""The findings of ``shelfcam bench shelf`` for people."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.record.show import show_report
from benchmarks.shelf.parts import Played, ShelfReport
from edge import console


def show_shelf(report: ShelfReport) -> None:
    """What was reported of each script, what was missed and invented; then the checks and records."""
    if report.played:
        _show_scripts(report.played)
    show_report(report)


def _show_scripts(played: Sequence[Played]) -> None:
    rows = []
    for one in played:
        s = one.score
        reported = (
            s.true,
            s.reported,
            s.right,
            f"{s.named} of {s.right}",
            f"{s.faults_reported} of {s.faults}",
            s.false_faults,
            s.false_empties,
        )
        rows.append((f"{one.script}, seed {one.seed}", f"{one.minutes:g}", *reported))
    columns = [
        "script",
        ">minutes",
        ">true events",
        ">reported",
        ">right",
        ">with the right product",
        ">faults reported in 5 s",
    ]
    console.print_table("Scripted shelves", [*columns, ">false faults", ">called empty unseen"], rows)
    out = console.stdout()
    for one in played:
        where = f"{one.script}, seed {one.seed}"
        for missed in one.score.missed:
            out.print(f"{where}: missed {missed}", soft_wrap=True, markup=False)
        for time_s, event in one.score.invented:
            said = f"{event.slot} {event.type} {event.before} → {event.after}"
            out.print(f"{where}: invented at {time_s:.1f} s: {said}", soft_wrap=True, markup=False)
        for fault in one.score.unseen:
            out.print(f"{where}: not reported {fault}", soft_wrap=True, markup=False)
