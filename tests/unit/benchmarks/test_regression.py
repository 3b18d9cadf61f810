"""Is it slower? A planted slowdown is found, and two runs of the same thing are never told apart."""

from __future__ import annotations

import random

import pytest

from benchmarks.stats import regression

ROUNDS = 7
RUNS = 20


def side_by_side(seed: int, slowdown: float) -> tuple[list[float], list[float]]:
    """(after, before), ms: rounds that drift together by up to a third, with 2 % of noise of their own."""
    chance = random.Random(seed)
    drift = [1 + chance.random() / 3 for _ in range(ROUNDS)]
    before = [5.0 * d * chance.gauss(1, 0.02) for d in drift]
    after = [5.0 * d * slowdown * chance.gauss(1, 0.02) for d in drift]
    return after, before


@pytest.mark.parametrize("seed", range(RUNS))
def test_a_slowdown_of_a_tenth_is_found(seed: int) -> None:
    slower, value, low, high = regression(*side_by_side(seed, 1.10))
    assert slower, (value, low, high)
    assert low <= value <= high
    assert value == pytest.approx(1.10, abs=0.04)


@pytest.mark.parametrize("seed", range(RUNS))
def test_nothing_is_found_between_two_of_the_same(seed: int) -> None:
    assert not regression(*side_by_side(seed, 1.0))[0]


def test_a_speed_up_is_no_regression_and_a_small_slowdown_is_not_called_one() -> None:
    assert not regression([4.0] * 5, [5.0] * 5)[0]
    assert not regression([5.1] * 5, [5.0] * 5)[0], "2 % of 3"
    assert regression([5.1] * 5, [5.0] * 5, least=0.01)[0]
    with pytest.raises(ValueError, match="least"):
        regression([1.0], [1.0], least=-0.1)


def test_noise_asks_for_more() -> None:
    after, before = [5.5, 7.5, 4.0, 9.0, 5.2], [5.0] * 5
    slower, value, _, _ = regression(after, before)
    assert value == pytest.approx(1.10)
    assert not slower
