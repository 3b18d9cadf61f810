"""Classification: one row of class scores per region → the best k classes with their probabilities.

Logits are compared after subtracting each picture's mean, because softmax does not see a constant added to all logits; so a graph that ends
in softmax is judged by the same number as one that ends in logits (log p is the logits less a constant).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from edge.data import F32, Classes, RawOutputs, Region, Score, Tensor
from edge.gate import Measured
from edge.manifest import Answer, Candidate, OutputSpec
from edge.tasks.base import Scored, dequantized, first_indices, only

_LOG_FLOOR = 1e-38  # smallest normal float32 is 1.18e-38: keeps log() finite where a softmax underflowed or was quantized to 0

_HAIR = 1e-4
"""Keeps the best class the best where even it is below what a quantized softmax can show."""

TOP_K = 5
"""Classes in which ``score`` looks for the right one."""

_FEW = 16  # up to here k passes of argmax beat one sort (1,000 classes, k = 5: a fifth of its time)


class Decoder:
    """Reads N×C logits or probabilities, float or quantized."""

    def __init__(self, answer: Answer, candidate: Candidate, labels: Sequence[str], top_k: int) -> None:
        self._answer = answer.name
        (self._index,) = answer.outputs
        self._output = candidate.outputs[self._index]
        self._labels = tuple(labels)
        self._top_k = min(top_k, len(self._labels))

    def decode(self, raw: RawOutputs, regions: Sequence[Region]) -> list[Region]:
        """The best class first; ties go to the lower index."""
        probabilities = class_probabilities(raw[self._index], self._output)
        return [
            replace(region, answers=(*region.answers, Classes(self._answer, self._top(row))))
            for region, row in zip(regions, probabilities, strict=True)
        ]

    def _top(self, row: F32) -> tuple[Score, ...]:
        return tuple(Score(self._labels[i], i, float(row[i])) for i in best_indices(row, self._top_k))


def check(answer: Answer, outputs: Sequence[OutputSpec]) -> None:
    """A score a label."""
    output = only(answer, outputs, ("logits", "softmax"))
    if answer.labels is None:
        raise ValueError("labels: a classifier needs them")
    if output.width != answer.labels.count:
        raise ValueError(f"{output.width} outputs for {answer.labels.count} labels")


def row_shape(outputs: Sequence[OutputSpec]) -> tuple[int, ...]:
    """C."""
    return (outputs[0].width,)


def rows(raw: RawOutputs, outputs: Sequence[OutputSpec]) -> F32:
    """``class_logits``."""
    return class_logits(raw[0], outputs[0])


def shown(expected: F32, outputs: Sequence[OutputSpec]) -> F32:
    """``shown_logits``."""
    return shown_logits(expected, outputs[0])


def compare(logits: F32, expected: F32, answer: Answer | None = None) -> Measured:  # noqa: ARG001 - of a Task
    """Measure N×C ``logits`` against the float model's N×C ``expected``.

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
    )


def score(truth: npt.NDArray[np.int64], seen: Sequence[Region], labels: Sequence[str]) -> Scored:
    """Top-1 and top-5."""
    index = first_indices(labels)
    top = [[index[one.label] for one in region.top[:TOP_K]] for region in seen]
    first = np.asarray([row[0] for row in top], dtype=np.int64)
    within = [wanted in row for wanted, row in zip(truth.tolist(), top, strict=True)]
    return Scored({"top1": float((first == truth).mean()), "top5": float(np.mean(within))}, first)


def class_probabilities(raw: Tensor, output: OutputSpec) -> F32:
    """N×C float32 in [0, 1]."""
    values = dequantized(raw, output)
    if output.meaning == "softmax":
        return values
    shifted = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), dtype=np.float32)


def class_logits(raw: Tensor, output: OutputSpec) -> F32:
    """N×C float32 logits, up to a constant per row where the graph ends in softmax. A probability below what the output can hold
    counts as half of its smallest step."""
    values = dequantized(raw, output)
    if output.meaning != "softmax":
        return values
    return np.asarray(np.log(np.maximum(values, np.float32(_floor(output)))), dtype=np.float32)


def shown_logits(logits: F32, output: OutputSpec) -> F32:
    """What ``class_logits`` would give if ``output`` held the float model's N×C ``logits`` as well as it can: a quantized softmax says
    nothing of classes below half a step, so nobody can be judged by how it orders them. All others hold them as they are."""
    if output.meaning != "softmax" or output.quantization is None:
        return logits
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    shown = np.asarray(np.maximum(log_p, np.log(np.float32(_floor(output)))), dtype=np.float32)
    shown[np.arange(len(shown)), logits.argmax(axis=1)] += _HAIR
    return shown


def _floor(output: OutputSpec) -> float:
    return _LOG_FLOOR if output.quantization is None else output.quantization.scale / 2


def best_indices(row: F32, k: int) -> list[int]:
    """Indices of the k largest of C values, largest first; ties go to the lower index."""
    if k > _FEW:
        order: list[int] = np.argsort(-row, kind="stable")[:k].tolist()
        return order
    left = row.copy()
    best = []
    for _ in range(min(k, len(row))):
        index = int(left.argmax())
        best.append(index)
        left[index] = -np.inf
    return best


def _centred(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(logits - logits.mean(axis=1, keepdims=True), dtype=np.float64)
