"""Where the candidates of a model may run on a machine, in the order in which the places are tried."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from edge.backends import runtime_of
from edge.backends.base import ON_CPU, Placement
from edge.data import Provider, WantedProvider
from edge.manifest import Candidate

ORDER: tuple[Provider, ...] = ("tensorrt-fp16", "tensorrt", "cuda", "xnnpack", "acl")
"""From the one that gives most. Half precision first: its engine has the full-precision kernels to choose from as well."""

_DELEGATE: tuple[Provider, ...] = ("delegate",)


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a site wants its model run.

    ``candidate``: only this one; None: all. ``order``: providers that are tried on this board. ``cpus``: those that the
    site binds the process to; empty: all. The delegate and the engine cache are those of ``edge.backends.base.Placement``.
    """

    provider: WantedProvider = "cpu"
    candidate: str | None = None
    order: tuple[Provider, ...] = ORDER
    cpus: tuple[int, ...] = ()
    delegate: str | None = None
    delegate_options: tuple[tuple[str, str], ...] = ()
    engines: Path | None = None

    @property
    def insists(self) -> bool:
        """Whether the site names a provider beside the CPU: another is then no answer."""
        return self.provider not in ("auto", "cpu")

    def facts(self) -> list[str]:
        """What a choice depends on, as text."""
        facts = [
            f"provider={self.provider}",
            f"order={','.join(self.order)}",
            f"candidate={self.candidate}",
            f"cpus={self.cpus}",
        ]
        return [*facts, f"delegate={self.delegate}", f"options={self.delegate_options}"]

    def placement(self, provider: Provider) -> Placement:
        """What a backend is told."""
        if provider == "cpu":
            return ON_CPU
        if provider == "delegate":
            return Placement(provider=provider, delegate=self.delegate, delegate_options=dict(self.delegate_options))
        return Placement(provider=provider, engines=None if self.engines is None else str(self.engines))

    def ready(self, candidate: Candidate, provider: Provider) -> bool:
        """Whether loading takes seconds: no camera may wait for minutes."""
        return runtime_of(candidate).ready(candidate, self.placement(provider))


CPU_ONLY = Wanted()


def on_cpu(candidate: Candidate, wanted: Wanted) -> bool:
    """Whether the CPU is among the places of this candidate."""
    return wanted.provider in ("auto", "cpu", *runtime_of(candidate).own_kernels)


def accelerators(candidate: Candidate, wanted: Wanted, available: Collection[Provider]) -> tuple[Provider, ...]:
    """The places beside the CPU that are tried for a candidate, in order, until one passes the gate.

    Args:
        candidate: what.
        wanted: what the site wants.
        available: places that its installed runtime has; one that the site names, a delegate too, is tried even if it is not there.
    """
    runtime = runtime_of(candidate)
    if wanted.provider == "auto":
        places = [*(place for place in wanted.order if place in available), *(_DELEGATE if wanted.delegate else ())]
    else:
        places = [place for place in (*ORDER, *_DELEGATE) if family(place) == wanted.provider]
    return tuple(place for place in places if place in runtime.providers and runtime.suits(candidate, place))


def family(place: Provider) -> str:
    """The name that a site gives it: TensorRT's two precisions are one."""
    return place.removesuffix("-fp16")


def label(candidate: str, provider: str) -> str:
    """As tables and reasons name the pair; the CPU goes without saying."""
    return candidate if provider == "cpu" else f"{candidate} on {provider}"
