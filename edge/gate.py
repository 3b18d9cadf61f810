"""The gate: does a candidate, as it runs here, still answer like the float model? Pure functions over arrays.

Logits are compared after subtracting each image's mean, because softmax does not see a constant added to all logits; so a graph
that ends in softmax is judged by the same number as one that ends in logits (log p is the logits less a constant).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.bundle.manifest import Gate, TaskName

F32 = npt.NDArray[np.float32]


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


def compare(logits: F32, expected: F32, truth: npt.NDArray[np.int64] | None = None) -> Measured:
    """Measure N×C ``logits`` against the float model's N×C ``expected``; ``truth`` holds N class indices where they are known.

    Raises:
        ValueError: the shapes differ, or there is no image.
    """
    if logits.shape != expected.shape or logits.ndim != 2 or not len(logits):
        raise ValueError(f"cannot compare logits of shape {logits.shape} with {expected.shape}")
    ours, theirs = (_centred(a.astype(np.float64)) for a in (logits, expected))
    norms = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    cosines = np.divide((ours * theirs).sum(axis=1), norms, out=np.zeros(len(ours)), where=norms > 0)
    best = logits.argmax(axis=1)
    return Measured(
        images=len(logits),
        logit_cosine=float(np.clip(cosines.mean(), -1.0, 1.0)),
        top1_agreement=float((best == expected.argmax(axis=1)).mean()),
        accuracy=None if truth is None else float((best == truth).mean()),
    )


def compare_answers(task: TaskName, ours: F32, expected: F32) -> Measured:
    """``compare``, or for an embedder ``compare_embeddings``."""
    return compare_embeddings(ours, expected) if task == "embed" else compare(ours, expected)


def compare_embeddings(ours: F32, expected: F32) -> Measured:
    """Measure N×D embeddings against the float model's: ``logit_cosine`` is the mean cosine of the rows as they are, and
    ``top1_agreement`` the share of pictures whose nearest other picture, by cosine, is the same one.

    Raises:
        ValueError: the shapes differ, or there are fewer than two images.
    """
    if ours.shape != expected.shape or ours.ndim != 2 or len(ours) < 2:
        raise ValueError(f"cannot compare embeddings of shape {ours.shape} with {expected.shape}")
    one, other = (_unit(rows.astype(np.float64)) for rows in (ours, expected))
    return Measured(
        images=len(ours),
        logit_cosine=float(np.clip((one * other).sum(axis=1).mean(), -1.0, 1.0)),
        top1_agreement=float((_nearest(one) == _nearest(other)).mean()),
    )


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


def _unit(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0))


def _nearest(unit: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Of each row the index of the most similar other one."""
    similar = unit @ unit.T
    np.fill_diagonal(similar, -np.inf)
    return np.asarray(similar.argmax(axis=1), dtype=np.int64)


def _centred(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(logits - logits.mean(axis=1, keepdims=True), dtype=np.float64)
