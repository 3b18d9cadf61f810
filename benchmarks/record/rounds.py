"""Two things that were measured in rounds: is one slower, beyond what the rounds themselves scatter? Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import variance

from benchmarks.record.schema import Round
from benchmarks.record.stats import paired_ratio

ROUNDS_MIN = 3
COURSE_ROUNDS = 5
"""From so many rounds on, two runs may have a course in common (warming up, throttling) that is worth half of the degrees of freedom."""
_SURE = 1e-9  # logarithms that differ by less are the same number
_TERMS, _EXACT = 10_000, 1e-15  # of a continued fraction


@dataclass(frozen=True, slots=True)
class Change:
    """Numerator ÷ denominator over ``rounds`` rounds of each. ``value``: the median of the rounds' ratios, k with k; ``low`` and ``high``
    its 95 % bootstrap interval (``benchmarks.record.stats.paired_ratio``). ``p``: how probable so large a change, in either direction,
    is by the rounds' scatter alone; ``mean`` of the ratios' logarithms, ``scatter`` its standard error, known with ``freedom`` degrees
    of freedom."""

    value: float
    low: float
    high: float
    p: float
    mean: float
    scatter: float
    freedom: float
    rounds: int

    def detectable(self, alpha: float) -> float:
        """The smallest slowdown, as a share, that rounds that scatter like these would show with ``p`` ≤ ``alpha``."""
        return math.expm1(_t_quantile(alpha, self.freedom) * self.scatter)


def round_ms(rounds: Sequence[Round]) -> list[float]:
    """Milliseconds a query of each round: its median, or where single queries were not timed its mean."""
    return [r.p50_ms if r.p50_ms is not None else 1000 * r.seconds / r.queries for r in rounds if r.queries > 0]


def round_rates(rounds: Sequence[Round]) -> list[float]:
    """Queries a second of each round."""
    return [r.queries / r.seconds for r in rounds]


def change_of(numerators: Sequence[float], denominators: Sequence[float]) -> Change | None:
    """Compare rounds, k with k: what a run's course does to both then cancels out. Surplus rounds of the longer side are left out.

    The bootstrap interval of a few rounds cannot be made as wide as tens of comparisons at once need, so ``p`` is that of Student's
    t for the mean of the ratios' logarithms (Student, 1908), which can.

    Returns:
        None for fewer than ROUNDS_MIN pairs, or a time that is not positive.
    """
    return _change(numerators, denominators, paired=True)


def change_between_runs(now: Sequence[float], then: Sequence[float]) -> Change | None:
    """The same of two runs, whose rounds did not alternate: fewer than COURSE_ROUNDS are not paired. Each side then scatters around its
    own mean, which is known with twice the degrees of freedom (Student's t of two samples)."""
    return _change(now, then, paired=min(len(now), len(then)) >= COURSE_ROUNDS)


def _change(numerators: Sequence[float], denominators: Sequence[float], *, paired: bool) -> Change | None:
    count = min(len(numerators), len(denominators))
    ours, theirs = numerators[:count], denominators[:count]
    if count < ROUNDS_MIN or min(*ours, *theirs) <= 0:
        return None
    logs = [[math.log(time) for time in side] for side in (ours, theirs)]
    ratios = [a - b for a, b in zip(*logs, strict=True)]
    scattering = [ratios] if paired else logs
    freedom = len(scattering) * (count - 1)
    mean = sum(ratios) / count
    scatter = math.sqrt(sum(variance(values) for values in scattering) / count)
    p = probability(mean, scatter, freedom)
    return Change(*paired_ratio(ours, theirs), p=p, mean=mean, scatter=scatter, freedom=freedom, rounds=count)


def probability(mean: float, scatter: float, freedom: float) -> float:
    """How probable it is that a mean whose standard error is ``scatter`` comes out as far from 0 as this one, by Student's t."""
    if scatter > _SURE:
        return two_sided_p(mean / scatter, freedom)
    return 1.0 if abs(mean) < _SURE else 0.0


def two_sided_p(t: float, freedom: float) -> float:
    """Probability that Student's t with ``freedom`` > 0 degrees of freedom, whole or not, is at least as far from 0: the regularised
    incomplete beta function I(freedom / (freedom + t²); freedom/2, 1/2) (Abramowitz and Stegun, Handbook of Mathematical Functions, 1964,
    26.5.27 and 26.7.1)."""
    a, b, x = freedom / 2, 0.5, freedom / (freedom + t * t)
    if x < (a + 1) / (a + b + 2):
        return _beta_share(a, b, x, t * t / (freedom + t * t))
    return max(0.0, 1.0 - _beta_share(b, a, t * t / (freedom + t * t), x))


def _beta_share(a: float, b: float, x: float, rest: float) -> float:
    """I(x; a, b) with ``rest`` = 1 − x, by its continued fraction (NIST Digital Library of Mathematical Functions, 8.17.22) with the
    method of Lentz (Numerical Recipes, 6.4); quick for x below (a + 1) / (a + b + 2)."""
    if x <= 0:
        return 0.0
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    total = d
    for m in range(1, _TERMS):
        for factor in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d, c = 1 / (1 + factor * d), 1 + factor / c
            total *= d * c
        if abs(d * c - 1) < _EXACT:
            break
    logs = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + (b * math.log(rest) if rest > 0 else 0.0)
    return math.exp(logs) * total / a


def _t_quantile(alpha: float, freedom: float) -> float:
    """The t whose two-sided p is ``alpha``, by bisection."""
    low, high = 0.0, 1.0
    while two_sided_p(high, freedom) > alpha and high < 1e6:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided_p(middle, freedom) > alpha else (low, middle)
    return high
