"""A provider that a site names is meant: whether it can be had at all is known before anything is measured."""

from __future__ import annotations

from edge.backends.attempt import available_providers, fault
from edge.backends.providers import EXECUTION_PROVIDERS, FIX
from edge.bundle.manifest import Model
from edge.choice.places import ORDER, Wanted, accelerators, on_cpu
from edge.errors import ProviderError


def refuse_missing(site: Wanted, model: Model) -> None:
    """Raises ProviderError if the site insists on a provider that nothing installed here can give to any candidate of the model."""
    candidates = [c for c in model.candidates if site.candidate in (None, c.name)]
    if not site.insists or site.provider == "delegate" or any(on_cpu(c, site) for c in candidates):
        return
    available = available_providers()
    asked = {EXECUTION_PROVIDERS[place] for c in candidates for place in accelerators(c, site, available)}
    if not asked:
        raise ProviderError(f"model.provider: no candidate of model {model.name!r} can run on {site.provider!r}", fix=FIX)
    if not asked & set(available):
        found = ", ".join(available) or "no onnxruntime"
        raise ProviderError(f"model.provider: {site.provider!r} cannot be had: there is {found}", fix=FIX)


def insist(site: Wanted, model: Model) -> None:
    """``refuse_missing``, and a provider of ONNX Runtime that the site names is tried, in another process. Raises ProviderError."""
    refuse_missing(site, model)
    place = next((place for place in ORDER if site.insists and place == site.provider), None)
    reason = None if place is None or any(on_cpu(c, site) for c in model.candidates) else fault(place)
    if reason is not None:
        raise ProviderError(f"model.provider: {site.provider!r} cannot be had: {reason}", fix=FIX)
