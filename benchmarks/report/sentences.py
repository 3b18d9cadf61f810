"""The verdict in two plain sentences, made from the findings by fixed rules. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.report.findings import SCOPES, Finding, Scope

_WHERE: dict[Scope, str] = {
    "overall": "over all networks",
    "within families": "within one family of networks",
    "under 20 MB": "among networks under 20 MB",
}
_NAMES = {"MACs": "multiply-accumulates", "activations": "the bytes of the activations"}
_SHOWN = 2  # groups that are named; more are counted


def two_sentences(found: Sequence[Finding]) -> tuple[str, str]:
    """When "the number of weights decides speed" holds, and when it does not. "Explains" is R² between the logarithms. A scope in
    which groups differ is in both sentences, with its groups named; a group whose networks all weigh less than 20 MB is judged over
    all of them alone."""
    large_enough = [f for f in found if f.call is not None and f.call != "too few"]
    judged = [f for f in large_enough if not _repeats(f, large_enough)]
    if not judged:
        return (
            "Too few networks were measured to say when the number of weights decides speed.",
            "Nor can it be said when it does not.",
        )
    holds = [phrase for scope in SCOPES if (phrase := _phrase(judged, scope, decides=True))]
    fails = [phrase for scope in SCOPES if (phrase := _phrase(judged, scope, decides=False))]
    nowhere = "Nowhere in these measurements does the number of weights decide speed."
    first = f"The number of weights decides speed {_listed(holds)}." if holds else nowhere
    if not fails:
        return first, "It failed to do so nowhere that enough networks were measured to judge."
    unknown = [_WHERE[scope] for scope in SCOPES if all(f.scope != scope for f in large_enough)]
    few = f"; too few networks, or families of them, were measured to judge {' and '.join(unknown)}" if unknown else ""
    return first, f"It does not decide speed {_listed(fails)}; {_instead(judged)}{few}."


def _phrase(judged: Sequence[Finding], scope: Scope, *, decides: bool) -> str:
    asked = [f for f in judged if f.scope == scope]
    chosen = [f for f in asked if (f.call == "decides") is decides]
    if not chosen:
        return ""
    some = ""
    if len(chosen) < len(asked):
        named = "; ".join(f.group.words() for f in chosen[:_SHOWN]) + ("; …" if len(chosen) > _SHOWN else "")
        some = f" in {len(chosen)} of {len(asked)} comparisons, {named}"
    explained = f"it explains {_range(chosen, 'weight')} of the differences"
    return f"{_WHERE[scope]}{some} ({explained}{'' if decides else _along(chosen)})"


def _along(chosen: Sequence[Finding]) -> str:
    along = sum(f.call == "goes along" for f in chosen)
    if not along:
        return ""
    return ", and heavier tends to be slower" + (f" in {along} of {len(chosen)}" if along < len(chosen) else "")


def _repeats(one: Finding, found: Sequence[Finding]) -> bool:
    """Whether it is of the light networks of a group that has no others: they are a part of all, so equal in number is equal."""
    return one.scope == "under 20 MB" and any(
        (f.group, f.scope, f.networks) == (one.group, "overall", one.networks) for f in found
    )


def _instead(judged: Sequence[Finding]) -> str:
    """What explains the speed clearly better where the weight does not, in the most comparisons: the interval of what its R² is above
    the weight's lies above 0."""
    failed = [f for f in judged if f.call != "decides"]
    better = {name: [f for f in failed if (fit := f.fit(name)) and fit.gain and fit.gain.low > 0] for name in _NAMES}
    most = max(len(chosen) for chosen in better.values())
    if not most:
        return "nothing else that was counted explains clearly more there"
    best = [name for name, chosen in better.items() if len(chosen) == most]
    told = " and ".join(f"{_NAMES[name]} ({_range(better[name], name)})" for name in best)
    where = f" in {most} of {len(failed)} comparisons" if len(failed) > 1 else ""
    return f"there {told} explain clearly more{where}"


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
