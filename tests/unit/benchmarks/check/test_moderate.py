"""Scatter that is learnt from all records: against the reference functions, and planted variances."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.check.moderate import digamma, inverse_trigamma, moderated, prior_of, trigamma
from benchmarks.record.rounds import Change, change_of


@pytest.mark.parametrize("x", [0.05, 0.5, 1.0, 3.3, 12.0, 400.0])
def test_functions_as_in_scipy(x: float) -> None:
    special = pytest.importorskip("scipy.special", reason="the reference")
    assert digamma(x) == pytest.approx(special.digamma(x), rel=1e-9, abs=1e-11)
    assert trigamma(x) == pytest.approx(special.polygamma(1, x), rel=1e-9)
    assert inverse_trigamma(trigamma(x)) == pytest.approx(x, rel=1e-9)


def test_a_planted_prior_is_found() -> None:
    """Variances around 0.0004 with 8 degrees of freedom, each seen through 4."""
    generator = np.random.default_rng(0)
    true = 0.0004 * 8 / generator.chisquare(8, 5000)
    seen = true * generator.chisquare(4, 5000) / 4
    prior = prior_of(list(seen), [4] * 5000)
    assert prior.variance == pytest.approx(0.0004, rel=0.05)
    assert prior.freedom == pytest.approx(8, rel=0.2)


def test_variances_that_differ_by_chance_alone_are_pooled() -> None:
    prior = prior_of([1.0, 1.1, 0.9, 1.0], [2, 2, 2, 2])
    assert prior.variance == pytest.approx(1.0)
    assert math.isinf(prior.freedom)


def changes(seed: int, deviations: list[float], rounds: int = 3) -> list[Change]:
    generator = np.random.default_rng(seed)
    found = [change_of(list(np.exp(generator.normal(0, d, rounds))), [1.0] * rounds) for d in deviations]
    assert None not in found
    return found  # type: ignore[return-value]


def test_luck_with_three_rounds_is_not_believed() -> None:
    lucky = change_of([1.0400, 1.0401, 1.0402], [1.0] * 3)
    assert lucky is not None
    assert lucky.p < 1e-5
    (*_, one) = moderated([*changes(1, [0.03] * 20), lucky])
    assert one.p > 0.001
    assert one.scatter > 10 * lucky.scatter
    assert (one.value, one.rounds, one.mean) == (lucky.value, lucky.rounds, lucky.mean)
    assert one.freedom > 2


def test_scatter_is_drawn_together_and_known_no_better_than_by_all_rounds() -> None:
    before = changes(2, [0.02] * 6)
    after = moderated(before)
    assert np.ptp([c.scatter for c in after]) < np.ptp([c.scatter for c in before])
    assert all(2 < c.freedom <= 12 for c in after)


def test_one_record_alone_stays_as_it_is() -> None:
    (alone,) = changes(3, [0.02])
    assert moderated([alone]) == [alone]
    still = change_of([1.0] * 3, [1.0] * 3)
    assert still is not None
    assert moderated([still, still]) == [still, still]
    assert moderated([]) == []
