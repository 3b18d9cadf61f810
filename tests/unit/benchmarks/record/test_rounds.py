"""Student's t against the reference, and comparisons of rounds."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.record.rounds import change_between_runs, change_of, round_ms, two_sided_p
from benchmarks.record.schema import Round


@pytest.mark.parametrize("freedom", [0.4, 1, 2, 2.7, 3, 4, 5, 8.5, 9, 30, 101, 4000])
def test_p_as_in_scipy(freedom: float) -> None:
    stats = pytest.importorskip("scipy.stats", reason="the reference")
    for t in (-7.0, 0.0, 0.3, 1.0, 2.5, 4.0, 12.0):
        assert two_sided_p(t, freedom) == pytest.approx(2 * stats.t.sf(abs(t), freedom), rel=1e-9, abs=1e-12)


def test_known_quantiles() -> None:
    """Table 26.10 of Abramowitz and Stegun: t of 4 and 9 degrees of freedom at two-sided 1 %."""
    assert two_sided_p(4.604, 4) == pytest.approx(0.01, rel=1e-3)
    assert two_sided_p(3.250, 9) == pytest.approx(0.01, rel=1e-3)


def test_drift_that_both_share_cancels_out() -> None:
    drift = np.linspace(1.0, 2.0, 8)
    found = change_of(list(11.0 * drift), list(10.0 * drift))
    assert found is not None
    assert (found.value, found.low, found.high) == pytest.approx((1.1, 1.1, 1.1))
    assert found.p == 0.0
    assert change_of([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]).p == 1.0  # type: ignore[union-attr]


def test_what_would_show_is_what_shows() -> None:
    generator = np.random.default_rng(0)
    base = np.exp(generator.normal(0, 0.05, 10))
    scatter = np.exp(generator.normal(0, 0.05, 10))
    scatter /= np.exp(np.log(scatter / base).mean())  # no change at all, only scatter
    same = change_of(list(scatter), list(base))
    assert same is not None
    edge = 1 + same.detectable(0.01)
    assert change_of(list(scatter * edge * 1.001), list(base)).p < 0.01  # type: ignore[union-attr]
    assert change_of(list(scatter * edge * 0.999), list(base)).p > 0.01  # type: ignore[union-attr]


def test_few_rounds_of_two_runs_are_two_samples() -> None:
    stats = pytest.importorskip("scipy.stats", reason="the reference")
    now, then = [11.0, 11.6, 11.2], [10.1, 10.0, 10.4]
    few = change_between_runs(now, then)
    assert few is not None
    assert few.p == pytest.approx(stats.ttest_ind(np.log(now), np.log(then)).pvalue, rel=1e-9)
    assert few.freedom == 4
    more = change_between_runs([*now, 11.1, 11.3], [*then, 10.2, 10.3])
    assert more == change_of([*now, 11.1, 11.3], [*then, 10.2, 10.3])
    assert more.freedom == 4  # type: ignore[union-attr]


def test_too_few_rounds_are_no_comparison() -> None:
    assert change_of([1.0, 1.0], [1.0, 1.0, 1.0]) is None
    assert change_of([], []) is None
    assert change_of([1.0, 1.0, 0.0], [1.0, 1.0, 1.0]) is None


def test_rounds_without_single_times_have_a_mean() -> None:
    assert round_ms([Round(queries=4, seconds=0.1), Round(queries=1, seconds=9.0, p50_ms=3.0)]) == [25.0, 3.0]
