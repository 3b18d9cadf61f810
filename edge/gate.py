"""The gate: what a candidate's measured quality must reach. Pure; each task compares in its own way (``edge.tasks``)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge.manifest import Gate


@dataclass(frozen=True, slots=True)
class Measured:
    """A candidate against the float model: ``logit_cosine`` in [-1, 1], ``top1_agreement`` and ``accuracy`` in [0, 1]."""

    images: int
    logit_cosine: float
    top1_agreement: float
    accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """``margin``: the smallest share of the way from a threshold (0) to perfect (1) that is left; negative when one is missed."""

    passes: bool
    margin: float
    reason: str


def judge(measured: Measured, gate: Gate) -> Verdict:
    """Hold a measurement against the thresholds; the reason names each one that is missed."""
    checks = [("logit cosine", measured.logit_cosine, gate.logit_cosine_min)]
    if gate.top1_agreement_min > 0:
        checks.append(("top-1 agreement", measured.top1_agreement, gate.top1_agreement_min))
    if gate.accuracy_min is not None and measured.accuracy is not None:
        checks.append(("accuracy", measured.accuracy, gate.accuracy_min))
    margin = min((value - limit) / (1.0 - limit) if limit < 1.0 else value - limit for _, value, limit in checks)
    missed = [f"{name} {value:.3f} < {limit:.3f}" for name, value, limit in checks if value < limit or np.isnan(value)]
    return Verdict(not missed, float(margin), "; ".join(missed) or "passes")
