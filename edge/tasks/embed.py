"""Embedding: one vector per region, by which it is told whether two show the same thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from edge.data import F32, Embedding, RawOutputs, Region
from edge.gate import Measured
from edge.manifest import Answer, Candidate, OutputSpec
from edge.tasks.base import Scored, dequantized, only


class Decoder:
    """Reads N×D values, float or quantized."""

    def __init__(self, answer: Answer, candidate: Candidate, labels: Sequence[str], top_k: int) -> None:
        self._answer = answer.name
        (self._index,) = answer.outputs
        self._output = candidate.outputs[self._index]

    def decode(self, raw: RawOutputs, regions: Sequence[Region]) -> list[Region]:
        """Each region with its vector."""
        vectors = dequantized(raw[self._index], self._output)
        return [
            replace(region, answers=(*region.answers, Embedding(self._answer, vector)))
            for region, vector in zip(regions, vectors, strict=True)
        ]


def check(answer: Answer, outputs: Sequence[OutputSpec]) -> None:
    """One vector; labels belong to a gallery."""
    only(answer, outputs, ("embedding",))
    if answer.labels is not None:
        raise ValueError("labels: an embedder has none")


def row_shape(outputs: Sequence[OutputSpec]) -> tuple[int, ...]:
    """D."""
    return (outputs[0].width,)


def rows(raw: RawOutputs, outputs: Sequence[OutputSpec]) -> F32:
    """N×D float32."""
    return dequantized(raw[0], outputs[0])


def shown(expected: F32, outputs: Sequence[OutputSpec]) -> F32:  # noqa: ARG001 - of a Task
    """An output holds any vector as well as its quantization allows, which is what is judged."""
    return expected


def compare(ours: F32, expected: F32, answer: Answer | None = None) -> Measured:  # noqa: ARG001 - of a Task
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


def score(truth: npt.NDArray[np.int64], seen: Sequence[Region], labels: Sequence[str]) -> Scored:  # noqa: ARG001 - of a Task
    """Recall at 1: whether the nearest other picture, by cosine, is of the same class (Jegou et al., Product Quantization for Nearest
    Neighbor Search, 2011)."""
    vectors = np.stack([region.vector for region in seen if region.vector is not None])
    if len(vectors) < 2:
        raise ValueError("to find the nearest other picture there must be two")
    predicted = truth[_nearest(_unit(vectors.astype(np.float64)))]
    return Scored({"recall_at_1": float((predicted == truth).mean())}, predicted)


def _unit(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0))


def _nearest(unit: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Of each row the index of the most similar other one."""
    similar = unit @ unit.T
    np.fill_diagonal(similar, -np.inf)
    return np.asarray(similar.argmax(axis=1), dtype=np.int64)
