"""One photo, one model, one method → a heat map with its numbers."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edge.data import F32, U8Image
from edge.data import Score as ClassScore
from edge.errors import UsageError
from edge.manifest import Fit
from edge.tasks.classify import best_indices
from export.explain import heat
from export.explain.probabilities import Score
from export.explain.seen_part import Box, fitted, photo_point, seen_box
from export.progress import Progress

Method = Literal["occlusion", "rise", "grad-cam"]
Fill = Literal["grey", "blur"]

TOP = 5
HIDDEN_SHARE = 0.2
_CELLS = 7
_PATCH_SHARE = 1 / 7  # of the shorter side: 32 of 224 pixels
_STRIDES = 4  # to a patch: 625 of them for 224 pixels


@dataclass(frozen=True, slots=True)
class ExplainedModel:
    """What is explained: a model by its ``name``, with its input size, how photos are brought to it, its labels, and its scores.
    ``gradient`` gives the Grad-CAM map of (picture, class); None for a model without gradients."""

    name: str
    size_hw_px: tuple[int, int]
    fit: Fit
    labels: Sequence[str]
    score: Score
    gradient: Callable[[U8Image, int], F32] | None = None


@dataclass(frozen=True, slots=True)
class ExplainSettings:
    """``patch_px`` and ``stride_px`` are of occlusion (None: a seventh of the shorter side, and a quarter of that), ``masks`` and ``seed``
    of RISE; ``fill`` is what hidden pixels become."""

    method: Method
    patch_px: int | None = None
    stride_px: int | None = None
    masks: int = 1000
    seed: int = 0
    fill: Fill = "grey"


@dataclass(frozen=True, slots=True)
class Explanation:
    """The numbers. Places are in pixels of the photo, (x, y); ``seen`` is the part of it that fills the model's input.

    ``score`` is the probability of ``label``; ``score_hidden`` what is left of it when the hottest ``hidden_share`` of the pixels is
    hidden, and ``drop`` the difference. ``peak_value`` is the map's highest value (a loss of probability for occlusion, a mean
    probability above the average for RISE, a weighted activation for Grad-CAM).
    """

    model: str
    method: Method
    label: str
    index: int
    score: float
    top: tuple[ClassScore, ...]
    peak_xy_px: tuple[float, float]
    peak_value: float
    seen: Box
    hidden_share: float
    score_hidden: float
    drop: float
    deletion: heat.Deletion


def explain(
    subject: ExplainedModel, photo: U8Image, label: str | None, settings: ExplainSettings, progress: Progress
) -> tuple[Explanation, F32]:
    """Explain why ``label`` (or the best class) was said; with the map, h×w at the model's size.

    Args:
        subject: the model.
        photo: H×W×3 uint8 RGB.
        label: the class, by its name.
        settings: how.
        progress: told of every batch.

    Raises:
        UsageError: no such label; Grad-CAM of a model without gradients; a patch that does not fit.
    """
    image = fitted(photo, subject.size_hw_px, subject.fit)
    row = subject.score(image[None])[0]
    index = int(row.argmax()) if label is None else label_index(subject.labels, label)
    hidden = _hidden(image, settings.fill)
    map_ = _map(subject, image, index, settings, progress)
    box = seen_box((photo.shape[0], photo.shape[1]), subject.size_hw_px, subject.fit)
    left = heat.without_hottest(image, subject.score, index, map_, hidden=hidden, share=HIDDEN_SHARE)
    explanation = Explanation(
        model=subject.name,
        method=settings.method,
        label=subject.labels[index],
        index=index,
        score=float(row[index]),
        top=tuple(ClassScore(subject.labels[i], i, float(row[i])) for i in best_indices(row, min(TOP, len(row)))),
        peak_xy_px=photo_point(box, subject.size_hw_px, heat.peak_xy_px(map_)),
        peak_value=float(map_.max()),
        seen=box,
        hidden_share=HIDDEN_SHARE,
        score_hidden=left,
        drop=float(row[index]) - left,
        deletion=heat.deletion(image, subject.score, index, map_, hidden=hidden),
    )
    return explanation, map_


def label_index(labels: Sequence[str], label: str) -> int:
    """Raises UsageError with the nearest labels."""
    if label in labels:
        return list(labels).index(label)
    near = difflib.get_close_matches(label, labels, n=3, cutoff=0.4)
    raise UsageError(
        f"--label {label!r}: the model has no such class", fix=f"did you mean {' or '.join(map(repr, near))}?" if near else None
    )


def _map(subject: ExplainedModel, image: U8Image, index: int, settings: ExplainSettings, progress: Progress) -> F32:
    if settings.method == "grad-cam":
        if subject.gradient is None:
            raise UsageError(
                f"{subject.name}: a deployed model has no gradients",
                fix="give the float network's SPEC, or --method occlusion or rise",
            )
        return subject.gradient(image, index)
    hidden = _hidden(image, settings.fill)
    if settings.method == "rise":
        return heat.rise(
            image,
            subject.score,
            index,
            masks=settings.masks,
            cells=_CELLS,
            seed=settings.seed,
            hidden=hidden,
            advance=progress(f"{settings.masks} random masks", settings.masks),
        )
    patch, stride = _patch(min(subject.size_hw_px), settings)
    runs = heat.occlusion_runs(subject.size_hw_px, patch, stride)
    advance = progress("hiding one patch at a time", runs)
    return heat.occlusion(image, subject.score, index, patch_px=patch, stride_px=stride, hidden=hidden, advance=advance)


def _hidden(image: U8Image, fill: Fill) -> U8Image:
    return heat.grey_like(image) if fill == "grey" else heat.blurred(image)


def _patch(shorter_px: int, settings: ExplainSettings) -> tuple[int, int]:
    """(side, stride)."""
    patch = settings.patch_px or max(1, round(shorter_px * _PATCH_SHARE))
    stride = settings.stride_px or max(1, patch // _STRIDES)
    if patch > shorter_px or stride > patch:
        raise UsageError(
            f"--patch {patch} and --stride {stride} do not fit an input of {shorter_px} pixels",
            fix="the patch must fit, and the stride must not be larger than the patch",
        )
    return patch, stride


def lines(explanation: Explanation) -> list[str]:
    """For people, below the classes."""
    x, y = explanation.peak_xy_px
    return [
        f"method: {explanation.method}",
        f"peak at x {x:.0f}, y {y:.0f} of the photo",
        f"hottest {explanation.hidden_share:.0%} hidden: {explanation.score:.3f} → {explanation.score_hidden:.3f}",
        f"deletion {explanation.deletion.hottest_first:.3f}, coldest first {explanation.deletion.coldest_first:.3f}",
        "dashed: what the model sees of the photo",
        "lines: 50 % and 80 % of the peak",
    ]


def finite(map_: F32) -> bool:
    """Whether there is anything to see: a map that is zero everywhere explains nothing."""
    return bool(np.isfinite(map_).all() and map_.max() > 0)
