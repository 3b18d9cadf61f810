"""A provider that a site names is meant: whether it can be had at all is known before anything is measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from edge.backends import runtime_of
from edge.backends.base import PROVIDER_FIX
from edge.choice.places import Wanted, accelerators, on_cpu
from edge.data import Provider
from edge.errors import ProviderError
from edge.manifest import Candidate, Model, RuntimeKey


def refuse_missing(site: Wanted, model: Model) -> None:
    """Raises ProviderError if the site insists on a provider that nothing installed here can give to any candidate of the model."""
    candidates = _in_question(site, model)
    if not candidates:
        return
    asked = [(runtime_of(c), place) for c in candidates for place in accelerators(c, site, ())]
    if not asked:
        raise ProviderError(
            f"model.provider: no candidate of model {model.name!r} can run on {site.provider!r}", fix=PROVIDER_FIX
        )
    if not any(place in runtime.available() for runtime, place in asked):
        there = dict.fromkeys(name for runtime, _ in asked for name in runtime.built_with())
        needed = dict.fromkeys(next(iter(runtime.distributions)) for runtime, _ in asked)
        found = ", ".join(there) or f"no {' or '.join(needed)}"
        raise ProviderError(f"model.provider: {site.provider!r} cannot be had: there is {found}", fix=PROVIDER_FIX)


def require_provider(site: Wanted, model: Model) -> None:
    """``refuse_missing``, and the provider that the site names is tried, without a model. Raises ProviderError."""
    refuse_missing(site, model)
    able = [c for c in _in_question(site, model) if accelerators(c, site, ())]
    reasons = [fault_of(c, cast(Provider, site.provider), site) for c in one_of_each_runtime(able)]
    if reasons and None not in reasons:
        raise ProviderError(f"model.provider: {site.provider!r} cannot be had: {reasons[0]}", fix=PROVIDER_FIX)


def one_of_each_runtime(candidates: Sequence[Candidate]) -> list[Candidate]:
    """The first candidate of each runtime: what is asked of it holds for the others too."""
    first: dict[RuntimeKey, Candidate] = {}
    for candidate in candidates:
        first.setdefault(candidate.runtime_key, candidate)
    return list(first.values())


def fault_of(candidate: Candidate, place: Provider, site: Wanted) -> str | None:
    """Why the candidate's runtime cannot have that place, tried without a model; None if it can."""
    return runtime_of(candidate).fault(site.placement(place))


def _in_question(site: Wanted, model: Model) -> Sequence[Candidate]:
    """The candidates that need the provider which the site names; none where the CPU would do as well. A delegate may be one process's
    alone: that it can be had is seen when it is loaded."""
    candidates = [c for c in model.candidates if site.candidate in (None, c.name)]
    if not site.insists or site.provider == "delegate" or any(on_cpu(c, site) for c in candidates):
        return ()
    return candidates
