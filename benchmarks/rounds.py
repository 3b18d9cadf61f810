"""Two things that were measured in rounds: is one slower, beyond what the rounds themselves scatter? Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.spec import Round
from benchmarks.stats import paired_ratio

ROUNDS_MIN = 3
_SURE = 1e-9  # logarithms that differ by less are the same number


@dataclass(frozen=True, slots=True)
class Change:
    """Numerator ÷ denominator over ``rounds`` paired rounds. ``value``: the median of the rounds' ratios, ``low`` and ``high`` its 95 %
    bootstrap interval (``benchmarks.stats.paired_ratio``). ``p``: how probable so large a change, in either direction, is by the
    rounds' scatter alone; ``scatter``: standard error of the mean of the ratios' logarithms."""

    value: float
    low: float
    high: float
    p: float
    scatter: float
    rounds: int

    def detectable(self, alpha: float) -> float:
        """The smallest slowdown, as a share, that rounds that scatter like these would show with ``p`` ≤ ``alpha``."""
        return math.expm1(_t_quantile(alpha, self.rounds - 1) * self.scatter)


def round_ms(rounds: Sequence[Round]) -> list[float]:
    """Milliseconds a query of each round: its median, or where single queries were not timed its mean."""
    return [r.p50_ms if r.p50_ms is not None else 1000 * r.seconds / r.queries for r in rounds if r.queries > 0]


def change_of(numerators: Sequence[float], denominators: Sequence[float]) -> Change | None:
    """Compare rounds, k with k: what a run's course does to both (warming up, throttling) then cancels out. Surplus rounds of
    the longer side are left out.

    The bootstrap interval of a few rounds cannot be made as wide as tens of comparisons at once need, so ``p`` is that of Student's
    t for the mean of the ratios' logarithms (Student, 1908), which can.

    Returns:
        None for fewer than ROUNDS_MIN pairs, or a time that is not positive.
    """
    count = min(len(numerators), len(denominators))
    ours, theirs = numerators[:count], denominators[:count]
    if count < ROUNDS_MIN or min(*ours, *theirs) <= 0:
        return None
    logs = [math.log(a / b) for a, b in zip(ours, theirs, strict=True)]
    mean = sum(logs) / count
    scatter = math.sqrt(sum((log - mean) ** 2 for log in logs) / (count - 1) / count)
    alike = 1.0 if abs(mean) < _SURE else 0.0  # of rounds that do not scatter
    p = two_sided_p(mean / scatter, count - 1) if scatter > _SURE else alike
    return Change(*paired_ratio(ours, theirs), p=p, scatter=scatter, rounds=count)


def two_sided_p(t: float, freedom: int) -> float:
    """Probability that Student's t with ``freedom`` ≥ 1 degrees of freedom is at least as far from 0: the finite series of
    Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 26.7.3 and 26.7.4."""
    angle = math.atan2(abs(t), math.sqrt(freedom))
    cosine, sine = math.cos(angle), math.sin(angle)
    odd = freedom % 2 == 1
    term, total = (cosine, cosine) if odd else (1.0, 1.0)
    for k in range(3 if odd else 2, freedom - 1, 2):
        term *= cosine**2 * (k - 1) / k
        total += term
    if not odd:
        return max(0.0, 1.0 - sine * total)
    return max(0.0, 1.0 - 2 / math.pi * (angle + (sine * total if freedom > 1 else 0.0)))


def _t_quantile(alpha: float, freedom: int) -> float:
    """The t whose two-sided p is ``alpha``, by bisection."""
    low, high = 0.0, 1.0
    while two_sided_p(high, freedom) > alpha and high < 1e6:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided_p(middle, freedom) > alpha else (low, middle)
    return high
