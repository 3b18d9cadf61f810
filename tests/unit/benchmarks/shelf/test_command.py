"""``shelfcam bench shelf``: its structure and its verdicts, never its speed."""

from __future__ import annotations

from pathlib import Path

import pytest
from cyclopts import App

from benchmarks.cli import register
from benchmarks.record.draft import Draft
from benchmarks.record.spec import read_struct, record_id
from benchmarks.shelf import parts
from benchmarks.shelf.parts import ShelfReport
from benchmarks.shelf.score import ShelfScore
from edge.errors import UsageError


def call(*arguments: str) -> object:
    app = App(name="shelfcam", result_action="return_value")
    register(app)
    return app(["bench", "shelf", *arguments], exit_on_error=False, print_error=False)


def score_of(**facts: int) -> ShelfScore:
    zeros = dict.fromkeys(
        ("true", "reported", "right", "named", "faults", "faults_reported", "false_faults", "false_empties"), 0
    )
    return ShelfScore(**(zeros | facts), missed=(), invented=(), unseen=())


def verdicts(*scores: ShelfScore) -> dict[str, bool | None]:
    draft = Draft()
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


def test_a_report_with_its_scripts_is_read_again(
    capfd: pytest.CaptureFixture[str], colour_bundle: Path, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    words = ["--only", "scripts,idle,busy", "--scripts", "faults", "--seeds", "3", "--minutes", "0.5"]
    call(*words, "--quick", "--bundle", str(colour_bundle), "--json")
    path = tmp_path / "report.json"
    path.write_text(capfd.readouterr().out, encoding="utf-8")
    report = read_struct(path, ShelfReport)
    assert [record.bench for record in report.records] == ["shelf-idle", "shelf-every-slot", "shelf-busy", "shelf-bare"]
    assert [ratio.numerator for ratio in report.ratios] == [record_id(report.records[0]), record_id(report.records[2])]
    assert [(one.script, one.seed) for one in report.played] == [("faults", 3)]
    assert [check.name for check in report.checks][-2:] == [ratio.name for ratio in report.ratios]
    assert all(one.cpu_s is not None for record in report.records[:2] for one in record.rounds)


def test_memory_is_read_from_a_service_that_watches_slots(capfd: pytest.CaptureFixture[str], colour_bundle: Path) -> None:
    pytest.importorskip("onnxruntime")
    call("--only", "memory", "--frames", "600", "--bundle", str(colour_bundle))
    shown = capfd.readouterr().out
    assert "memory growth with slots, frame 60 to 600" in shown
    assert "1 of 1 targets hold" in shown or "MISSED" in shown


@pytest.mark.parametrize(
    ("arguments", "message"), [(["--only", "weight"], "unknown: 'weight'"), (["--seeds", "x"], "whole numbers")]
)
def test_bad_arguments(arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call(*arguments)
