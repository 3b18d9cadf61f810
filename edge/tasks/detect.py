"""Detection: boxes around things, each with a label and how sure the model is.

Two outputs, in this order: K×4 boxes in pixels of the model's input, and K×C scores in [0, 1], one for each label. A box's label is its
best one. Boxes that overlap a surer one of the same label are left out (greedy non-maximum suppression, by OpenCV).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from edge.data import F32, Boxes, RawOutputs, Region, Score
from edge.gate import Measured
from edge.manifest import Answer, Candidate, Detection, OutputSpec
from edge.tasks.base import Scored, dequantized, first_indices

_SAME_OVERLAP = 0.5
"""Intersection over union from which two boxes of the same label are one thing, as in Pascal VOC (Everingham et al. 2010)."""


class Decoder:
    """Reads K×4 boxes and K×C scores a picture, float or quantized."""

    def __init__(self, answer: Answer, candidate: Candidate, labels: Sequence[str], top_k: int) -> None:
        self._answer = answer
        self._outputs = answer.of(candidate.outputs)
        self._input = candidate.input
        self._labels = tuple(labels)
        self._rules = _rules(answer)

    def decode(self, raw: RawOutputs, regions: Sequence[Region]) -> list[Region]:
        """Each region with the boxes that count, the surest first."""
        found = rows(self._answer.of(raw), self._outputs)
        return [
            replace(region, answers=(*region.answers, self._found(row, region)))
            for region, row in zip(regions, found, strict=True)
        ]

    def _found(self, row: F32, region: Region) -> Boxes:
        from edge.preprocess import fitted  # whoever only checks a manifest needs no OpenCV

        boxes, scores, classes = kept(row, self._rules)
        placed = fitted(region.pixels.shape[:2], self._input).to_region(boxes)
        named = zip(classes.tolist(), scores.tolist(), strict=True)
        return Boxes(self._answer.name, placed, tuple(Score(self._labels[index], index, score) for index, score in named))


def check(answer: Answer, outputs: Sequence[OutputSpec]) -> None:
    """Boxes, and scores of each for each label."""
    if answer.labels is None:
        raise ValueError("labels: a detector needs them")
    if answer.detection is None:
        raise ValueError("detection: a detector needs to know which boxes count")
    if [output.meaning for output in outputs] != ["boxes", "scores"]:
        raise ValueError("a detector reads two outputs: boxes, then scores")
    boxes, scores = outputs
    if len(boxes.shape) != 2 or boxes.shape[1] != 4:
        raise ValueError(f"output {boxes.name}: boxes are K×4")
    if scores.shape != (boxes.shape[0], answer.labels.count):
        raise ValueError(f"output {scores.name}: scores are {boxes.shape[0]}×{answer.labels.count}, one for each box and label")


def row_shape(outputs: Sequence[OutputSpec]) -> tuple[int, ...]:
    """K×(4 + C): a box, then its scores."""
    boxes, scores = outputs
    return boxes.shape[0], 4 + scores.shape[1]


def rows(raw: RawOutputs, outputs: Sequence[OutputSpec]) -> F32:
    """N×K×(4 + C) float32."""
    boxes, scores = (
        dequantized(values, output).reshape(len(values), *output.shape) for values, output in zip(raw, outputs, strict=True)
    )
    return np.concatenate([boxes, scores], axis=2)


def shown(expected: F32, outputs: Sequence[OutputSpec]) -> F32:  # noqa: ARG001 - of a Task
    """Outputs hold any box as well as their quantization allows, which is what is judged."""
    return expected


def compare(ours: F32, expected: F32, answer: Answer | None = None) -> Measured:
    """Measure N×K×(4 + C) against the float model's, by the boxes of each that count by the rules of ``answer``.

    ``top1_agreement``: twice the boxes that both find, of all boxes that either finds (F1; each box is matched at most once, the surest
    first). ``logit_cosine``: the mean intersection over union of those that both find; 0 if there are none.

    Raises:
        ValueError: the shapes differ, or the float model finds nothing in any picture.
    """
    if ours.shape != expected.shape or ours.ndim != 3 or not len(ours):
        raise ValueError(f"cannot compare boxes of shape {ours.shape} with {expected.shape}")
    rules = _rules(answer)
    overlaps: list[float] = []
    found = expected_in_all = 0
    for mine, theirs in zip(ours, expected, strict=True):
        a, b = kept(mine, rules), kept(theirs, rules)
        overlaps += _matched(a, b)
        found, expected_in_all = found + len(a[0]), expected_in_all + len(b[0])
    if not expected_in_all:
        raise ValueError("the float model finds nothing in any of the pictures, so there is nothing to compare")
    return Measured(
        images=len(ours),
        logit_cosine=float(np.mean(overlaps)) if overlaps else 0.0,
        top1_agreement=2 * len(overlaps) / (found + expected_in_all),
    )


def _rules(answer: Answer | None) -> Detection:
    return Detection() if answer is None or answer.detection is None else answer.detection


def score(truth: npt.NDArray[np.int64], seen: Sequence[Region], labels: Sequence[str]) -> Scored:
    """Of pictures of one thing each: the share whose surest box has the right label."""
    index = first_indices(labels)
    predicted = np.asarray([index[region.top[0].label] if region.top else -1 for region in seen], dtype=np.int64)
    return Scored({"top1": float((predicted == truth).mean())}, predicted)


def kept(row: F32, rules: Detection) -> tuple[F32, F32, npt.NDArray[np.int64]]:
    """Of K×(4 + C) the boxes that count, the surest first: n×4, their n scores and the n indices of their labels. A box without an area
    is none."""
    import cv2

    boxes, scores = row[:, :4], row[:, 4:]
    classes = scores.argmax(axis=1)
    best = scores.max(axis=1)
    sides = boxes[:, 2:] - boxes[:, :2]
    whole = np.flatnonzero((sides > 0).all(axis=1) & (best >= rules.score_min))
    if not len(whole):
        return boxes[:0], best[:0], classes[:0].astype(np.int64)
    left_top_sides = np.concatenate([boxes[whole, :2], sides[whole]], axis=1)
    floor = float(
        np.nextafter(np.float32(rules.score_min), np.float32(-1))
    )  # OpenCV wants more than the threshold, not as much
    chosen = cv2.dnn.NMSBoxesBatched(
        left_top_sides.astype(np.float64).tolist(),
        best[whole].tolist(),
        classes[whole].tolist(),
        floor,
        rules.overlap_max,
    )
    order = whole[np.asarray(chosen, dtype=np.int64).reshape(-1)]
    order = order[np.argsort(-best[order], kind="stable")][: rules.most]
    return boxes[order], best[order], classes[order].astype(np.int64)


def _matched(ours: tuple[F32, F32, npt.NDArray[np.int64]], theirs: tuple[F32, F32, npt.NDArray[np.int64]]) -> list[float]:
    """Intersection over union of each pair that is one thing, each box once, ours from the surest on."""
    left = list(range(len(theirs[0])))
    found = []
    for box, index in zip(ours[0], ours[2], strict=True):
        same = [(overlap(box, theirs[0][at]), at) for at in left if theirs[2][at] == index]
        share, at = max(same, default=(0.0, -1))
        if share >= _SAME_OVERLAP:
            found.append(share)
            left.remove(at)
    return found


def overlap(one: F32, other: F32) -> float:
    """Intersection over union of two boxes that have an area."""
    left_top, right_bottom = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    common = float(np.prod(np.maximum(right_bottom - left_top, 0)))
    areas = sum(float(np.prod(box[2:] - box[:2])) for box in (one, other))
    return common / (areas - common)
