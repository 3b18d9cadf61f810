"""How well one quantity tells another: rank and log-log correlation, with bootstrap intervals over networks or their families. Pure.

A bootstrap sample (Efron, 1979) is handled as weights, how often each network was drawn, so that all samples are computed at once.
Samples in which nothing varies have no correlation and are left out of the interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.record.stats import LEVEL

F64 = npt.NDArray[np.float64]

RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value and its 95 % percentile-bootstrap interval; NaN-free: ``None`` in its place where nothing varies."""

    value: float
    low: float
    high: float

    def words(self) -> str:
        """ "0.91 (0.83–0.96)"."""
        return f"{self.value:.2f} ({self.low:.2f}–{self.high:.2f})"


@dataclass(frozen=True, slots=True)
class Correlation:
    """``spearman`` of the values, ``r2`` and ``slope`` of the straight line through their logarithms. ``samples_r2``: R² of every
    bootstrap sample, to be compared with another predictor's of the same samples."""

    spearman: Estimate
    r2: Estimate
    slope: float
    samples_r2: F64


def draw(strata: npt.NDArray[np.int64], *, seed: int = 0, resamples: int = RESAMPLES) -> F64:
    """Bootstrap samples as weights.

    Args:
        strata: one number a network; networks are drawn with replacement within their own stratum, so that each keeps its size.
        seed: the same networks always give the same samples.
        resamples: how many.

    Returns:
        resamples × networks, whole numbers that add up to the number of networks.
    """
    generator = np.random.default_rng(seed)
    weights = np.zeros((resamples, len(strata)), dtype=np.float64)
    for stratum in np.unique(strata):
        members = np.flatnonzero(strata == stratum)
        drawn = members[generator.integers(0, len(members), (resamples, len(members)))]
        np.add.at(weights, (np.arange(resamples)[:, None], drawn), 1.0)
    return weights


def draw_whole(clusters: npt.NDArray[np.int64], *, seed: int = 0, resamples: int = RESAMPLES) -> F64:
    """Bootstrap samples of whole clusters, as weights: members of one cluster are no independent cases, clusters are (Field and Welsh,
    Bootstrapping clustered data, 2007, the "cluster bootstrap").

    Args:
        clusters: one number a network; as many clusters as there are, are drawn with replacement, each with all its networks.
        seed: the same clusters always give the same samples.
        resamples: how many.

    Returns:
        resamples × networks, how often each was drawn; clusters differ in size, and so do samples.
    """
    names, places = np.unique(clusters, return_inverse=True)
    drawn = np.random.default_rng(seed).integers(0, len(names), (resamples, len(names)))
    times = np.zeros((resamples, len(names)), dtype=np.float64)
    np.add.at(times, (np.arange(resamples)[:, None], drawn), 1.0)
    return times[:, places]


def correlate(x: F64, y: F64, weights: F64, groups: npt.NDArray[np.int64] | None = None) -> Correlation | None:
    """Correlation of positive quantities.

    Args:
        x: the predictor, one value a network, > 0.
        y: what it shall tell, > 0.
        weights: bootstrap samples of ``draw`` or ``draw_whole``.
        groups: where given, each group's mean logarithm is taken off first (in every sample anew), so that only differences within
            groups count: the "within" estimator of panel data (Wooldridge, Econometric Analysis, chapter 10).

    Returns:
        None where one of them does not vary.
    """
    all_once = np.ones((1, len(x)))
    logs = np.log(x), np.log(y)
    whole_x, whole_y = (_centred(values, all_once, groups) for values in logs)
    r = _pearson(whole_x, whole_y, all_once)[0]
    if np.isnan(r):
        return None
    some_x, some_y = (_centred(values, weights, groups) for values in logs)
    rho = _pearson(weighted_ranks(whole_x, all_once), weighted_ranks(whole_y, all_once), all_once)[0]
    samples_rho = _pearson(weighted_ranks(some_x, weights), weighted_ranks(some_y, weights), weights)
    samples_r2 = _pearson(some_x, some_y, weights) ** 2
    slope = float((whole_x * whole_y).sum() - whole_x.mean() * whole_y.sum()) / float(((whole_x - whole_x.mean()) ** 2).sum())
    return Correlation(interval(rho, samples_rho), interval(r**2, samples_r2), slope, samples_r2)


def interval(value: float, samples: F64) -> Estimate:
    """The central 95 % of the samples that have a value; without any, the value itself."""
    kept = samples[~np.isnan(samples)]
    if not len(kept):
        return Estimate(float(value), float(value), float(value))
    low, high = np.percentile(kept, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return Estimate(float(value), float(low), float(high))


def weighted_ranks(values: F64, weights: F64) -> F64:
    """Ranks from 1 in samples × networks, ties sharing their mean rank (Kendall, Rank Correlation Methods, 1948, chapter 3), of
    values that each occur ``weights`` times. Pearson's correlation of them is Spearman's (1904)."""
    below = (values[:, None, :] < values[:, :, None]) + 0.5 * (values[:, None, :] == values[:, :, None])
    ranks: F64 = np.einsum("sij,sj->si", below, weights) + 0.5
    return ranks


def _centred(values: F64, weights: F64, groups: npt.NDArray[np.int64] | None) -> F64:
    """Samples × networks: the values, less their group's weighted mean."""
    if groups is None:
        return np.broadcast_to(values, weights.shape).astype(np.float64)
    member = (groups[:, None] == np.unique(groups)[None, :]).astype(np.float64)
    means = ((weights * values) @ member) / np.maximum(weights @ member, 1e-12)
    # rounded, or copies of one value would differ in their last bit and have ranks
    rounded: F64 = np.round(values - means @ member.T, 12)
    return rounded


def _pearson(x: F64, y: F64, weights: F64) -> F64:
    """One correlation a sample; NaN where a side does not vary."""
    total = weights.sum(axis=1, keepdims=True)
    dx = x - (weights * x).sum(axis=1, keepdims=True) / total
    dy = y - (weights * y).sum(axis=1, keepdims=True) / total
    xx, yy, xy = ((weights * a * b).sum(axis=1) for a, b in ((dx, dx), (dy, dy), (dx, dy)))
    flat = (xx < 1e-12) | (yy < 1e-12)
    return np.where(flat, np.nan, xy / np.sqrt(np.where(flat, 1.0, xx * yy)))
