"""A figure beside its target, told as it is."""

from __future__ import annotations

from benchmarks.record.schema import Ratio
from benchmarks.record.targets import check, check_ratio, summary, unmeasured


def ratio(value: float, low: float, high: float) -> Ratio:
    return Ratio(name="r", numerator="a", denominator="b", value=value, low=low, high=high)


def test_both_senses_and_the_limit_itself() -> None:
    assert check("a", 0.9, "≥", 0.9, unit="×").holds is True
    assert check("a", 0.899, "≥", 0.9, unit="×").holds is False
    assert check("a", 0.9, "≤", 0.9, unit="×").holds is True
    assert check("a", 0.901, "≤", 0.9, unit="×").holds is False


def test_an_interval_that_holds_the_target_says_so() -> None:
    assert "not settled" in check_ratio(ratio(0.91, 0.88, 0.93), "≥", 0.9).note
    clear = check_ratio(ratio(0.95, 0.92, 0.97), "≥", 0.9)
    assert clear.note == "95 % interval 0.920 to 0.970"


def test_summary_counts_only_what_was_measured() -> None:
    checks = [check("a", 1.0, "≥", 0.9, unit="×"), check("b", 0.1, "≥", 0.9, unit="×")]
    assert summary(checks) == "1 of 2 targets hold"
    assert summary([*checks, unmeasured("c", "≤", 1.0, unit="MB", why="-")]) == "1 of 2 targets hold, 1 not measured"
