"""Percentiles are exact, intervals are where they should be. Numbers only, no clock."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.record.stats import median, paired_ratio, percentile


@pytest.mark.parametrize(
    ("values", "q", "expected"),
    [
        ([5.0], 0.99, 5.0),
        ([3.0, 1.0, 2.0], 0.5, 2.0),
        ([1.0, 2.0], 0.5, 1.5),
        ([4.0, 1.0, 3.0, 2.0], 0.5, 2.5),
        ([0.0, 10.0], 0.9, 9.0),
        (list(range(11)), 0.25, 2.5),
        (list(range(101)), 0.99, 99.0),
        ([1.0, 2.0, 3.0], 0.0, 1.0),
        ([1.0, 2.0, 3.0], 1.0, 3.0),
    ],
)
def test_percentile_by_hand(values: list[float], q: float, expected: float) -> None:
    assert percentile(values, q) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), st.floats(0, 1))
def test_percentile_is_numpys_default(values: list[float], q: float) -> None:
    assert percentile(values, q) == pytest.approx(float(np.percentile(values, 100 * q)), rel=1e-9, abs=1e-6)


@pytest.mark.parametrize(("values", "q"), [([], 0.5), ([1.0], 1.5), ([1.0], -0.1)])
def test_percentile_refuses(values: list[float], q: float) -> None:
    with pytest.raises(ValueError, match="quantile"):
        percentile(values, q)


def noisy(rng: np.random.Generator, rounds: int, mean: float) -> list[float]:
    """Rates that drift together with time and differ by 2 % each."""
    drift = 1 + 0.2 * np.sin(np.arange(rounds))
    return list(mean * drift * rng.normal(1, 0.02, rounds))


def coverage(true_ratio: float, comparisons: int = 200) -> tuple[float, float]:
    """Shares of seeded comparisons whose interval holds the truth, and whose interval holds 1."""
    holds_truth = holds_one = 0
    for seed in range(comparisons):
        rng = np.random.default_rng(seed)
        value, low, high = paired_ratio(noisy(rng, 15, 100 * true_ratio), noisy(rng, 15, 100), resamples=1_000)
        assert low <= value <= high
        holds_truth += low <= true_ratio <= high
        holds_one += low <= 1.0 <= high
    return holds_truth / comparisons, holds_one / comparisons


def test_the_same_twice_has_an_interval_around_one() -> None:
    holds_truth, _ = coverage(1.0)
    assert holds_truth > 0.85  # the method covers about 90 % at so few rounds


def test_a_planted_slowdown_of_ten_per_cent_is_found() -> None:
    holds_truth, holds_one = coverage(0.9)
    assert holds_truth > 0.85  # the method covers about 90 % at so few rounds
    assert holds_one == 0.0


def test_an_interval_is_repeatable_and_one_round_has_none() -> None:
    numerators, denominators = [9.0, 8.0, 9.5, 7.0], [10.0, 10.0, 10.0, 10.0]
    assert paired_ratio(numerators, denominators) == paired_ratio(numerators, denominators)
    assert paired_ratio([9.0], [10.0]) == pytest.approx((0.9, 0.9, 0.9))


@pytest.mark.parametrize(("numerators", "denominators"), [([], []), ([1.0], [1.0, 2.0]), ([1.0], [0.0])])
def test_ratio_refuses(numerators: list[float], denominators: list[float]) -> None:
    with pytest.raises(ValueError, match="rounds"):
        paired_ratio(numerators, denominators)


def test_median_ignores_an_outlier() -> None:
    assert median([1.0, 1.0, 100.0]) == 1.0
