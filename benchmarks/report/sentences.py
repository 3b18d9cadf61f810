"""The verdict in two plain sentences, made from the findings by fixed rules. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.report.verdict import SCOPES, Finding, Scope
from benchmarks.stats import median

CLAIM = "“The number of weights decides speed”"
_WHERE: dict[Scope, str] = {
    "overall": "over all networks",
    "within families": "within one family of networks",
    "under 20 MB": "among networks under 20 MB",
}
_NAMES = {"MACs": "multiply-accumulates", "activations": "the bytes of the activations"}
_EXPLAINS = 0.5  # of the variance, in the middle of the groups: below it, a predictor is not recommended
_SHOWN = 2  # groups that are named; more are counted


def two_sentences(found: Sequence[Finding]) -> tuple[str, str]:
    """When the claim holds, and when it does not. A scope in which groups differ is in both, with its groups named."""
    judged = [f for f in found if f.call is not None and f.call != "too few"]
    if not judged:
        return f"Too few networks were measured to say when {CLAIM} holds.", "Nothing can be said of when it does not."
    holds = [phrase for scope in SCOPES if (phrase := _phrase(judged, scope, decides=True))]
    fails = [phrase for scope in SCOPES if (phrase := _phrase(judged, scope, decides=False))]
    first = f"{CLAIM} holds {_listed(holds)}." if holds else f"Nowhere in these measurements does {CLAIM} hold."
    if not fails:
        return first, "It failed nowhere that enough networks were measured to judge."
    return first, f"It does not hold {_listed(fails)}; {_instead(judged)}."


def _phrase(judged: Sequence[Finding], scope: Scope, *, decides: bool) -> str:
    asked = [f for f in judged if f.scope == scope]
    chosen = [f for f in asked if (f.call == "decides") is decides]
    if not chosen:
        return ""
    if len(chosen) < len(asked):
        named = "; ".join(f.group.words() for f in chosen[:_SHOWN]) + ("; …" if len(chosen) > _SHOWN else "")
        count = f"in {len(chosen)} of {len(asked)} comparisons ({named})"
    else:
        count = f"in all {len(asked)} comparisons" if len(asked) > 1 else "in the one comparison made"
    explained = f"where the weight explains {_range(chosen, 'weight')} of the variance of log latency"
    return f"{_WHERE[scope]} {count}, {explained}{_along(chosen, decides)}"


def _along(chosen: Sequence[Finding], decides: bool) -> str:
    along = sum(f.call == "goes along" for f in chosen)
    if decides or not along:
        return ""
    return ", though heavier tends to be slower" + (f" in {along} of them" if along < len(chosen) else "")


def _instead(judged: Sequence[Finding]) -> str:
    """What explains the speed best where the weight does not."""
    failed = [f for f in judged if f.call != "decides"]
    middles = {name: median(values) for name in _NAMES if (values := _r2(failed, name))}
    best = max(middles, key=lambda name: middles[name], default=None)
    weight = median(_r2(failed, "weight") or [0.0])
    if best is None or middles[best] < _EXPLAINS or middles[best] <= weight:
        return "nothing else that was counted explains the speed there either"
    return f"there {_NAMES[best]} explain more, {_range(failed, best)}"


def _range(chosen: Sequence[Finding], predictor: str) -> str:
    values = _r2(chosen, predictor)
    if not values:
        return "none"
    low, high = f"{min(values):.0%}", f"{max(values):.0%}"
    return low if low == high else f"{low} to {high}"


def _r2(chosen: Sequence[Finding], predictor: str) -> list[float]:
    return [fit.r2.value for f in chosen if (fit := f.fit(predictor)) is not None]


def _listed(phrases: Sequence[str]) -> str:
    return phrases[0] if len(phrases) == 1 else "; ".join(phrases[:-1]) + "; and " + phrases[-1]
