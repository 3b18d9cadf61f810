"""A report while it is measured."""

from __future__ import annotations

import pytest

from benchmarks.record import draft
from benchmarks.record.draft import ProgressBar, ReportDraft
from benchmarks.record.host import Busyness
from benchmarks.record.schema import Missing, Ratio, Report


class SeededReport(Report, frozen=True, kw_only=True):
    """A report with a field of its own."""

    seed: int


def ratio(value: float) -> Ratio:
    return Ratio(name="a ÷ b", numerator="a", denominator="b", value=value, low=value - 0.01, high=value + 0.01)


def test_what_others_took_counts_from_its_beginning_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter([Busyness(1.0, 10, 0, 100, 5), Busyness(2.0, 40, 10, 200, 15)])
    monkeypatch.setattr(draft, "read_busyness", lambda: next(moments))
    begun = ReportDraft(_before=draft.read_busyness())
    report = begun.finish(Report, "loop", quick=True)
    assert (report.bench, report.quick) == ("loop", True)
    conditions = report.conditions
    assert (conditions.load_before, conditions.load_after) == (1.0, 2.0)
    assert (conditions.others_share, conditions.steal_share) == (0.2, 0.1)


def test_a_ratio_that_is_judged_has_a_check_and_a_bench_adds_its_own_fields() -> None:
    begun = ReportDraft()
    begun.judge(ratio(0.95), "≥", 0.9)
    begun.judge(ratio(0.85), "≥", 0.9)
    begun.missing.append(Missing(name="c", reason="absent"))
    report = begun.finish(SeededReport, "soak", quick=False, seed=7)
    assert [check.holds for check in report.checks] == [True, False]
    assert [one.value for one in report.ratios] == [0.95, 0.85]
    assert (report.missing[0].name, report.seed) == ("c", 7)


def test_where_there_is_no_terminal_only_lines_that_stay_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar("first", total=3) as progress:
        progress.now("passing by")
        progress.step("another")
        progress.at(3)
        progress.line("kept [1/3]")
        progress.both("kept too")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.split("\n")[:2] == ["kept [1/3]", "kept too"]
    assert "passing by" not in shown.err
