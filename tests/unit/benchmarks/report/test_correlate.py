"""Correlations against known values, and intervals that hold what they should."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.report.correlate import correlate, draw, draw_whole, weighted_ranks


def of(x, y, groups=None, resamples=2000):
    strata = np.zeros(len(x), dtype=np.int64) if groups is None else np.asarray(groups)
    found = correlate(
        np.asarray(x, float), np.asarray(y, float), draw(strata, resamples=resamples), None if groups is None else strata
    )
    assert found is not None
    return found


def test_ranks_share_ties_and_count_copies() -> None:
    values = np.array([[3.0, 1.0, 3.0, 2.0]])
    assert weighted_ranks(values, np.ones((1, 4))).tolist() == [[3.5, 1.0, 3.5, 2.0]]
    # 1, 1, 2, 3 as three distinct values of which one was drawn twice and one never
    assert weighted_ranks(values, np.array([[1.0, 2.0, 0.0, 1.0]]))[0, [0, 1, 3]].tolist() == [4.0, 1.5, 3.0]


def test_spearman_as_in_scipy() -> None:
    stats = pytest.importorskip("scipy.stats", reason="the reference")
    generator = np.random.default_rng(5)
    x, y = generator.integers(1, 8, 40).astype(float), generator.integers(1, 8, 40).astype(float)
    found = of(x, y)
    assert found.spearman.value == pytest.approx(stats.spearmanr(x, y).statistic)
    line = stats.linregress(np.log(x), np.log(y))
    assert found.r2.value == pytest.approx(line.rvalue**2)
    assert found.slope == pytest.approx(line.slope)


def test_a_power_law_is_found_exactly() -> None:
    x = np.array([1.0, 2.0, 5.0, 9.0, 30.0])
    found = of(x, 3 * x**0.5)
    assert (found.spearman.value, found.r2.value, found.slope) == pytest.approx((1.0, 1.0, 0.5))
    assert found.r2.low == pytest.approx(1.0)


def test_weighted_samples_are_what_repeating_networks_gives() -> None:
    generator = np.random.default_rng(1)
    x, y = generator.lognormal(size=9), generator.lognormal(size=9)
    weights = draw(np.zeros(9, dtype=np.int64), resamples=20)
    found = correlate(x, y, weights)
    assert found is not None
    for sample, r2 in zip(weights.astype(int), found.samples_r2, strict=True):
        again = np.corrcoef(np.log(np.repeat(x, sample)), np.log(np.repeat(y, sample)))[0, 1] ** 2
        assert r2 == pytest.approx(again)


def test_within_groups_only_differences_inside_count() -> None:
    x = np.array([1.0, 2.0, 4.0, 1.0, 2.0, 4.0, 1.0, 2.0, 4.0])
    groups = [0, 0, 0, 1, 1, 1, 2, 2, 2]
    y = x * np.repeat([1.0, 100.0, 10_000.0], 3)
    assert of(x, y).r2.value < 0.1
    assert of(x, y, groups).r2.value == pytest.approx(1.0)
    assert of(x, y, groups).spearman.value == pytest.approx(1.0)


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(100):
        generator = np.random.default_rng(seed)
        x = generator.normal(size=40)
        y = 0.8 * x + 0.6 * generator.normal(size=40)  # correlation .8: R² .64
        r2 = of(np.exp(x), np.exp(y), resamples=400).r2
        held += r2.low <= 0.64 <= r2.high
    assert 85 <= held <= 100


def test_samples_keep_each_family_at_its_size_and_repeat_by_seed() -> None:
    strata = np.array([0, 0, 0, 1, 1])
    weights = draw(strata, resamples=50)
    assert (weights[:, :3].sum(axis=1) == 3).all()
    assert (weights[:, 3:].sum(axis=1) == 2).all()
    assert (weights == draw(strata, resamples=50)).all()
    assert (weights != draw(strata, seed=1, resamples=50)).any()


def test_whole_families_are_drawn_together_and_repeat_by_seed() -> None:
    clusters = np.array([7, 7, 7, 2, 9])
    weights = draw_whole(clusters, resamples=500)
    assert (weights[:, 0] == weights[:, 1]).all()
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, [0, 3, 4]].sum(axis=1) == 3).all()
    assert weights[:, [0, 3, 4]].mean(axis=0) == pytest.approx([1.0] * 3, abs=0.1)
    assert (weights == draw_whole(clusters, resamples=500)).all()


def test_what_does_not_vary_has_no_correlation() -> None:
    ones = np.ones(6)
    assert correlate(ones, np.arange(1.0, 7.0), draw(np.zeros(6, dtype=np.int64))) is None
