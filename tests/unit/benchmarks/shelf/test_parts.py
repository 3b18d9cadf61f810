"""What is made of the measurements of a shelf."""

from __future__ import annotations

from benchmarks.record.draft import ReportDraft
from benchmarks.shelf import parts
from benchmarks.shelf.score import ShelfScore


def score_of(**facts: int) -> ShelfScore:
    zeros = dict.fromkeys(
        ("true", "reported", "right", "named", "faults", "faults_reported", "false_faults", "false_empties"), 0
    )
    return ShelfScore(**(zeros | facts), missed=(), invented=(), unseen=())


def verdicts(*scores: ShelfScore) -> dict[str, bool | None]:
    draft = ReportDraft()
    parts.judge_scores(scores, draft)
    return {check.name: check.holds for check in draft.checks}


def test_goals_are_held_against_the_sums_of_all_scripts() -> None:
    good = score_of(true=60, reported=60, right=60, faults=5, faults_reported=5)
    assert all(verdicts(good, good).values())
    assert verdicts(good, score_of(true=40, reported=40, right=37))["recall of events"] is False
    assert verdicts(good, score_of(true=0, reported=3, right=0))["precision of events"] is False
    assert verdicts(good, score_of(faults=1))["faults of the view reported in 5 s"] is False
    assert verdicts(good, score_of(false_empties=1))["called empty unseen"] is False
    assert verdicts(score_of())["recall of events"] is None
