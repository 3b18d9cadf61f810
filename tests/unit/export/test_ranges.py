"""What each method makes of values whose spread is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from export.convert.ranges import BINS, ValueHistogram, clip, passes, ranges

METHODS = ("min-max", "percentile", "percentile-99.9", "entropy", "mse")


def given_pictures(*pictures):
    return lambda: ({"x": np.asarray(picture, dtype=np.float32)} for picture in pictures)


def with_outlier() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    pictures = [np.abs(rng.normal(0, 1, 20_000)) for _ in range(4)]
    pictures[2][7] = 60.0
    return pictures


def test_min_max_is_the_least_and_the_greatest_of_all_pictures_and_holds_zero() -> None:
    assert ranges(given_pictures([1, 2], [-3, 0.5]), "min-max") == {"x": (-3.0, 2.0)}
    assert ranges(given_pictures([4, 5]), "min-max") == {"x": (0.0, 5.0)}


@pytest.mark.parametrize("method", ["percentile", "percentile-99.9", "entropy"])
def test_one_outlier_does_not_decide(method) -> None:
    low, high = ranges(given_pictures(*with_outlier()), method)["x"]
    assert low == 0.0
    assert 2.0 < high < 45.0, "far from 60, and not down in the bulk"


def test_a_lower_percentile_clips_more() -> None:
    ends = [ranges(given_pictures(*with_outlier()), method)["x"][1] for method in ("min-max", "percentile", "percentile-99.9")]
    assert ends == sorted(ends, reverse=True)
    assert len(set(ends)) == 3


def test_squared_error_takes_the_best_end() -> None:
    values = np.concatenate(with_outlier())
    _, high = ranges(given_pictures(values), "mse")["x"]

    def error(end: float) -> float:
        step = end / 255
        return float((np.clip(np.rint(values / step), 0, 255) * step - values).__pow__(2).mean())

    assert high < 60.0
    assert error(high) <= min(error(end) for end in np.linspace(20.0, 60.0, 41)) * 1.05


@pytest.mark.parametrize("method", METHODS)
def test_constant_and_empty_spreads_are_left_as_they_are(method) -> None:
    assert ranges(given_pictures([0, 0, 0]), method) == {"x": (0.0, 0.0)}
    assert clip(ValueHistogram(-1.0, 2.0, np.zeros(BINS)), method) == (-1.0, 2.0)


@given(st.lists(st.floats(-100, 100, width=32), min_size=3, max_size=60), st.sampled_from(METHODS))
@example([0.0, 0.0, 1.401298464324817e-45], "percentile")
@example([0.0, 0.0, 1.401298464324817e-45], "mse")
@example([0.0, -1.401298464324817e-45, 0.0], "entropy")
def test_a_range_lies_within_the_limits_and_holds_zero(values, method) -> None:
    low, high = ranges(given_pictures(values), method)["x"]
    assert min(0.0, *values) - 1e-4 <= low <= 0.0 <= high <= max(0.0, *values) + 1e-4


def test_only_clipping_methods_look_twice() -> None:
    assert [passes(method) for method in METHODS] == [1, 2, 2, 2, 2]
