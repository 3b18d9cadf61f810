"""Where the candidates of a model may run on a machine, in the order in which the places are tried."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from edge.backends.base import ON_CPU, Placement
from edge.backends.engines import engine_directory, is_built
from edge.backends.providers import EXECUTION_PROVIDERS
from edge.bundle.manifest import Candidate
from edge.data import Provider, WantedProvider

ORDER: tuple[Provider, ...] = ("tensorrt-fp16", "tensorrt", "cuda", "xnnpack", "acl")
"""From the one that gives most. Half precision first: its engine has the full-precision kernels to choose from as well."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a site wants its model run.

    ``candidate``: only this one; None: all. ``order``: providers of ONNX Runtime that are tried on this board. ``cpus``: those that the
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
        """Whether loading takes seconds: TensorRT without its engine takes minutes, which no camera may wait for."""
        if not provider.startswith("tensorrt"):
            return True
        return self.engines is not None and is_built(engine_directory(self.engines, candidate, provider))


CPU_ONLY = Wanted()


def on_cpu(candidate: Candidate, wanted: Wanted) -> bool:
    """Whether the CPU is among the places of this candidate; TFLite's own kernels are XNNPACK's."""
    return wanted.provider in ("auto", "cpu") or (wanted.provider == "xnnpack" and candidate.format == "tflite")


def accelerators(candidate: Candidate, wanted: Wanted, available: Collection[str]) -> tuple[Provider, ...]:
    """The places beside the CPU that are tried for a candidate, in order, until one passes the gate.

    Args:
        candidate: what.
        wanted: what the site wants.
        available: execution providers of the installed ONNX Runtime; one that the site names is tried even if it is not there.
    """
    if candidate.format == "tflite":
        return ("delegate",) if wanted.provider == "delegate" or (wanted.provider == "auto" and wanted.delegate) else ()
    if wanted.provider == "auto":
        places = [place for place in wanted.order if EXECUTION_PROVIDERS[place] in available]
    else:
        places = [place for place in ORDER if family(place) == wanted.provider]
    return tuple(place for place in places if _suits(candidate, place))


def family(place: Provider) -> str:
    """The name that a site gives it: TensorRT's two precisions are one."""
    return place.removesuffix("-fp16")


def label(candidate: str, provider: str) -> str:
    """As tables and reasons name the pair; the CPU goes without saying."""
    return candidate if provider == "cpu" else f"{candidate} on {provider}"


def _suits(candidate: Candidate, place: Provider) -> bool:
    """One precision of TensorRT a file: half for half, both for float; a quantized one keeps what it was calibrated for."""
    if place == "tensorrt-fp16":
        return candidate.precision in ("fp32", "fp16")
    return place != "tensorrt" or candidate.precision != "fp16"
