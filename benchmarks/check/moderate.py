"""How much rounds scatter, learnt from all records at once: three rounds of one record say next to nothing about it, three rounds of
forty records do. Pure.

Empirical Bayes as in limma's ``squeezeVar``: G. K. Smyth, Linear models and empirical Bayes methods for assessing differential expression
in microarray experiments, Statistical Applications in Genetics and Molecular Biology 3(1), 2004, article 3, section 6.2. The records' true
variances are taken to be scaled inverse χ² around a common one; its value and how closely they keep to it (the prior's degrees of
freedom) come from the mean and the variance of the logarithms of what was seen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.record.rounds import Change, probability

_STILL = 1e-9  # standard errors below it are of rounds that do not scatter at all: the same numbers twice, which say nothing of noise


@dataclass(frozen=True, slots=True)
class Prior:
    """What all records together say about one: the ``variance`` of the logarithm of one round's ratio, and the degrees of freedom that
    this knowledge is worth; infinite where the records differ no more than chance makes them differ."""

    variance: float
    freedom: float


def moderated(changes: Sequence[Change]) -> list[Change]:
    """The same changes, their scatter drawn towards what all records have in common, and ``p`` by it.

    A record's variance becomes the mean of its own and the prior's, weighted by their degrees of freedom, which add up; never to more
    than all records have together, so that records without differences are held against the plain pooled deviation. Other than in
    limma, it is never less than what the record showed itself: a network that is noisier than the others, beside few of them, would
    be called changed two or three times as often as promised. A single record has nothing to learn from and stays as it is.
    """
    seen = [(change.scatter**2 * change.rounds, change.freedom) for change in changes if change.scatter > _STILL]
    if len(seen) < 2:
        return list(changes)
    prior = prior_of([variance for variance, _ in seen], [freedom for _, freedom in seen])
    most = sum(freedom for _, freedom in seen)
    return [_moderate(change, prior, most) for change in changes]


def prior_of(variances: Sequence[float], freedoms: Sequence[float]) -> Prior:
    """Of at least two positive variances with their degrees of freedom, by matching moments of log variance."""
    logs = [math.log(v) - digamma(d / 2) + math.log(d / 2) for v, d in zip(variances, freedoms, strict=True)]
    mean = sum(logs) / len(logs)
    spread = sum((log - mean) ** 2 for log in logs) / (len(logs) - 1) - sum(trigamma(d / 2) for d in freedoms) / len(freedoms)
    if spread <= 0:
        pooled = sum(v * d for v, d in zip(variances, freedoms, strict=True)) / sum(freedoms)
        return Prior(pooled, math.inf)
    freedom = 2 * inverse_trigamma(spread)
    return Prior(math.exp(mean + digamma(freedom / 2) - math.log(freedom / 2)), freedom)


def digamma(x: float) -> float:
    """Derivative of the logarithm of Γ at ``x`` > 0: Abramowitz and Stegun, Handbook of Mathematical Functions (1964), 6.3.5 and 6.3.18."""
    total = 0.0
    while x < 10:
        total -= 1 / x
        x += 1
    y = 1 / x**2
    return total + math.log(x) - 1 / (2 * x) - y * (1 / 12 - y * (1 / 120 - y * (1 / 252 - y / 240)))


def trigamma(x: float) -> float:
    """Its derivative, ``x`` > 0: the same, 6.4.6 and 6.4.12."""
    total = 0.0
    while x < 10:
        total += 1 / x**2
        x += 1
    y = 1 / x**2
    return total + 1 / x + y / 2 + y / x * (1 / 6 - y * (1 / 30 - y * (1 / 42 - y / 30)))


def inverse_trigamma(y: float) -> float:
    """The x > 0 whose trigamma is ``y`` > 0, by bisection of its logarithm: trigamma falls."""
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if trigamma(math.exp(middle)) > y else (low, middle)
    return math.exp(high)


def _moderate(change: Change, prior: Prior, most: float) -> Change:
    own, freedom = change.scatter**2 * change.rounds, change.freedom
    weight = 1.0 if math.isinf(prior.freedom) else prior.freedom / (prior.freedom + freedom)
    variance = max(own, weight * prior.variance + (1 - weight) * own)
    scatter, known = math.sqrt(variance / change.rounds), min(freedom + prior.freedom, most)
    return replace(change, scatter=scatter, freedom=known, p=probability(change.mean, scatter, known))
