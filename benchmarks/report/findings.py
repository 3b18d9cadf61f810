"""Does the number of weights decide speed? In numbers, for every runtime, precision, thread count and input size. Pure.

The rules and why they are these: docs/adr/0020-weight-and-latency.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmarks.record.schema import threads_in_words
from benchmarks.report.correlate import Correlation, Estimate, correlate, draw, draw_whole, interval
from benchmarks.report.points import Point, comparable, families, fastest, largest

R2_MIN = 0.8
"""The least share of the variance of log latency that a quantity must explain to be said to decide it …"""
R2_LOW_MIN = 0.6
"""… and the least lower end of that share's interval."""
NETWORKS_MIN = 8
"""Below it no verdict: with fewer, no interval can tell a rival that is better from one that is as good."""
FAMILIES_MIN = 5
"""Below it no verdict over families: with four, more than one sample in a hundred would be of a single family."""
FAMILY_MIN = 3  # networks: two always lie on a line
FAMILY_ALONE_MIN = 4  # networks of a family that gets a row of its own

Call = Literal["decides", "goes along", "does not", "too few"]
Drawn = Literal["families", "networks", "networks in families"]
"""What a bootstrap sample is made of: whole families, as the widths of one network are no independent networks; networks; or, where only
differences within families count, networks of each family apart."""
Scope = Literal["overall", "within families", "under 20 MB"]
SCOPES: tuple[Scope, ...] = ("overall", "within families", "under 20 MB")

PREDICTORS: dict[str, Callable[[Point], int | None]] = {
    "weight": lambda point: point.bytes,
    "MACs": lambda point: point.macs,
    "activations": lambda point: point.activation_bytes,
}
"""Bytes of the file, multiply-accumulates, and bytes that the layers write, each of one picture."""


@dataclass(frozen=True, slots=True)
class Group:
    """What may be compared with each other: one number a network. ``size``: "largest", each network at the largest size that was
    measured (usually its own), or one size as height×width."""

    runtime: str
    precision: str
    threads: int
    size: str

    def words(self) -> str:
        """ "onnxruntime int8, 1 thread"; the size where it is not each network's own."""
        size = "" if self.size == "largest" else f", {self.size}"
        return f"{self.runtime} {self.precision}, {threads_in_words(self.threads)}{size}"


@dataclass(frozen=True, slots=True)
class Fit:
    """How one predictor tells the median latency. ``gain``: its R² less the weight's, over the same bootstrap samples; None for the
    weight itself. ``networks``: how many had both numbers."""

    predictor: str
    networks: int
    spearman: Estimate
    r2: Estimate
    slope: float
    gain: Estimate | None


@dataclass(frozen=True, slots=True)
class Finding:
    """One group in one scope; ``family`` where it is one family's own row, which has no call."""

    group: Group
    scope: Scope
    family: str | None
    networks: int
    call: Call | None
    fits: tuple[Fit, ...]

    def fit(self, predictor: str) -> Fit | None:
        """Of that predictor, if it could be computed."""
        return next((fit for fit in self.fits if fit.predictor == predictor), None)


def groups_of(points: Sequence[Point]) -> dict[Group, list[Point]]:
    """Every group with its points, one a network. A single size is a group of its own only where it holds other points than the
    group of the largest sizes."""
    found: dict[Group, list[Point]] = {}
    kinds = sorted({(p.runtime, p.precision, p.threads) for p in points})
    for runtime, precision, threads in kinds:
        same = [p for p in points if (p.runtime, p.precision, p.threads) == (runtime, precision, threads)]
        own = fastest(largest(same))
        found[Group(runtime, precision, threads, "largest")] = own
        for size in sorted({p.size for p in same}, key=lambda text: [int(side) for side in text.split("×")]):
            members = fastest(p for p in same if p.size == size)
            if len(members) >= NETWORKS_MIN and not {p.id for p in members} <= {p.id for p in own}:
                found[Group(runtime, precision, threads, size)] = members
    return found


def findings(points: Sequence[Point]) -> list[Finding]:
    """All scopes of all groups, each followed by the families that are large enough to be looked at alone; of networks that can be
    compared (``comparable``)."""
    found: list[Finding] = []
    for group, members in groups_of(comparable(points)).items():
        found += [_overall(group, "overall", members), _within(group, members)]
        found.append(_overall(group, "under 20 MB", [p for p in members if p.fits]))
        for name, relatives in sorted(families(members, FAMILY_ALONE_MIN).items()):
            fits = _fits(relatives, "networks")
            found.append(Finding(group, "within families", name, len(relatives), None, fits))
    return found


def call_of(fits: Sequence[Fit]) -> Call:
    """What may be said of the weight: it *decides* where it explains at least R2_MIN of the variance of log latency, the interval's low
    end is at least R2_LOW_MIN, heavier is slower, and no other predictor explains clearly more (the interval of the gain lies above
    0). It *goes along* where heavier tends to be slower (the interval of Spearman's correlation lies above 0). Else it *does not*."""
    weight = next((fit for fit in fits if fit.predictor == "weight"), None)
    if weight is None:
        return "does not"  # of one weight, and yet of many speeds
    beaten = any(fit.gain is not None and fit.gain.low > 0 for fit in fits)
    if weight.r2.value >= R2_MIN and weight.r2.low >= R2_LOW_MIN and weight.slope > 0 and not beaten:
        return "decides"
    return "goes along" if weight.spearman.low > 0 else "does not"


def _overall(group: Group, scope: Scope, members: Sequence[Point]) -> Finding:
    if len(members) < NETWORKS_MIN or len(set(_clusters(members))) < FAMILIES_MIN:
        return Finding(group, scope, None, len(members), "too few", ())
    fits = _fits(members, "families")
    return Finding(group, scope, None, len(members), call_of(fits), fits)


def _within(group: Group, members: Sequence[Point]) -> Finding:
    related = families(members, FAMILY_MIN)
    pooled = [point for relatives in related.values() for point in relatives]
    if len(pooled) < NETWORKS_MIN:
        return Finding(group, "within families", None, len(pooled), "too few", ())
    fits = _fits(pooled, "networks in families")
    return Finding(group, "within families", None, len(pooled), call_of(fits), fits)


def _fits(members: Sequence[Point], drawn: Drawn) -> tuple[Fit, ...]:
    """Families of which one member lacks the quantity may fall below FAMILY_MIN, and then out of what is looked at within families."""
    made = []
    for name, quantity in PREDICTORS.items():
        known = [point for point in members if (quantity(point) or 0) > 0]
        if drawn == "networks in families":
            known = [point for relatives in families(known, FAMILY_MIN).values() for point in relatives]
        if drawn == "families" and len(set(_clusters(known))) < FAMILIES_MIN:
            continue
        if len(known) >= (NETWORKS_MIN if drawn == "networks in families" else FAMILY_ALONE_MIN):
            fit = _fit(name, known, drawn)
            made += [fit] if fit is not None else []
    return tuple(made)


def _clusters(members: Sequence[Point]) -> list[str]:
    """Each network's family; one without relatives is a family of its own."""
    return [point.family or point.network for point in members]


def _fit(name: str, known: Sequence[Point], drawn: Drawn) -> Fit | None:
    latency = np.array([point.p50_ms for point in known])
    named = _clusters(known)
    kinds = sorted(set(named))
    groups = np.array([0 if drawn == "networks" else kinds.index(kind) for kind in named])
    # the same networks, the same samples: predictors can be compared sample by sample
    weights = draw_whole(groups) if drawn == "families" else draw(groups)

    def of(predictor: str) -> Correlation | None:
        values = np.array([PREDICTORS[predictor](point) for point in known], dtype=np.float64)
        return correlate(values, latency, weights, groups if drawn == "networks in families" else None)

    ours = of(name)
    if ours is None:
        return None
    gain = None
    if name != "weight" and (base := of("weight")) is not None:
        gain = interval(ours.r2.value - base.r2.value, ours.samples_r2 - base.samples_r2)
    return Fit(name, len(known), ours.spearman, ours.r2, ours.slope, gain)
