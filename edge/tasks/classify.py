"""Classification: one row of class scores per crop → the best k classes with their probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge.bundle.manifest import OutputSpec
from edge.data import Observation, RawOutputs, Region, Score, Tensor
from edge.gate import F32

_LOG_FLOOR = 1e-38  # smallest normal float32 is 1.18e-38: keeps log() finite where a softmax underflowed or was quantized to 0

_HAIR = 1e-4
"""Keeps the best class the best where even it is below what a quantized softmax can show."""

_FEW = 16  # up to here k passes of argmax beat one sort (1,000 classes, k = 5: a fifth of its time)


class Classify:
    """Decodes ``outputs[0]`` of a classifier: N×C logits or probabilities, float or quantized."""

    def __init__(self, output: OutputSpec, labels: Sequence[str], top_k: int) -> None:
        self._output = output
        self._labels = tuple(labels)
        self._top_k = min(top_k, len(self._labels))

    def decode(self, raw: RawOutputs, crops: Sequence[Region]) -> list[Observation]:
        """One observation per crop, the best class first; ties go to the lower index."""
        probabilities = class_probabilities(raw[0], self._output)
        return [
            Observation(crop.slot, tuple(Score(self._labels[i], i, float(row[i])) for i in best_indices(row, self._top_k)))
            for crop, row in zip(crops, probabilities, strict=True)
        ]


def class_probabilities(raw: Tensor, output: OutputSpec) -> F32:
    """N×C float32 in [0, 1]."""
    values = _real(raw, output)
    if output.activation == "softmax":
        return values
    shifted = np.exp(values - values.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), dtype=np.float32)


def class_logits(raw: Tensor, output: OutputSpec) -> F32:
    """N×C float32 logits, up to a constant per row where the graph ends in softmax. A probability below what the output can hold
    counts as half of its smallest step."""
    values = _real(raw, output)
    if output.activation != "softmax":
        return values
    return np.asarray(np.log(np.maximum(values, np.float32(_floor(output)))), dtype=np.float32)


def shown_logits(logits: F32, output: OutputSpec) -> F32:
    """What ``class_logits`` would give if ``output`` held the float model's N×C ``logits`` as well as it can: a quantized softmax says
    nothing of classes below half a step, so nobody can be judged by how it orders them. All others hold them as they are."""
    if output.activation != "softmax" or output.quantization is None:
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


def _real(raw: Tensor, output: OutputSpec) -> F32:
    rows = raw.reshape(len(raw), -1)
    if output.quantization is None:
        return np.asarray(rows, dtype=np.float32)
    zero = np.float32(output.quantization.zero_point)
    return np.asarray((rows.astype(np.float32) - zero) * np.float32(output.quantization.scale), dtype=np.float32)
