"""What the table and the scatter plots say of each candidate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from export.report.content import Latency, ReportContent

if TYPE_CHECKING:
    from export.candidates import Draft


@dataclass(frozen=True, slots=True)
class CandidateRow:
    """One candidate. Shares in [0, 1]; None where it was not measured."""

    name: str
    bytes: int
    precision: str
    int8_mac_share: float
    logit_cosine: float | None
    top1_agreement: float | None
    accuracy: float | None
    latency: Latency | None
    passes: bool
    verdict: str
    repairs: tuple[str, ...]

    @property
    def quality(self) -> float | None:
        """Accuracy where it is known, else agreement."""
        return self.top1_agreement if self.accuracy is None else self.accuracy


def candidate_rows(content: ReportContent) -> list[CandidateRow]:
    """In the order in which they were tried."""
    return [_row(content, draft) for draft in content.drafts]


def float_accuracy(content: ReportContent) -> float | None:
    """Share of the pictures that the float network gets right; None without labels."""
    if content.truth is not None:
        return float((content.float_logits.argmax(axis=1) == content.truth).mean())
    known = [quality.float_accuracy for draft in content.drafts for quality in draft.candidate.quality[:1]]
    return next((value for value in known if value is not None), None)


def eight_bit(content: ReportContent) -> Draft | None:
    """The candidate that stands for all 8-bit ones: the first that passes, else the first."""
    found = [draft for draft in content.drafts if draft.candidate.precision in ("int8", "mixed")]
    return next((draft for draft in found if draft.passes), found[0] if found else None)


def float_partner(content: ReportContent, draft: Draft) -> Draft | None:
    """The float candidate to compare ``draft`` with: of the same format where there is one."""
    found = [other for other in content.drafts if other.candidate.precision in ("fp32", "fp16")]
    same = [other for other in found if other.candidate.format == draft.candidate.format]
    ordered = sorted(same or found, key=lambda other: other.candidate.precision != "fp32")
    return ordered[0] if ordered else None


def _row(content: ReportContent, draft: Draft) -> CandidateRow:
    candidate, name = draft.candidate, draft.plan.name
    first = candidate.quality[0] if candidate.quality else None
    accuracy = first.accuracy if first else None
    logits = content.candidate_logits.get(name)
    if accuracy is None and content.truth is not None and logits is not None:
        accuracy = float((logits.argmax(axis=1) == content.truth).mean())
    own: Sequence[str] = candidate.recipe.steps if candidate.recipe is not None else ()
    return CandidateRow(
        name=name,
        bytes=candidate.model_file.bytes,
        precision=candidate.precision,
        int8_mac_share=candidate.int8_mac_share,
        logit_cosine=first.logit_cosine if first else None,
        top1_agreement=first.top1_agreement if first else None,
        accuracy=accuracy,
        latency=content.latency.get(name),
        passes=draft.passes,
        verdict=draft.verdict,
        repairs=tuple(content.repairs.get(name, own)),
    )


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A picture that two models answer differently: ``ours`` and ``theirs`` are the best classes with probabilities, ``truth`` the
    right one where it is known."""

    picture: int
    theirs: tuple[tuple[str, float], ...]
    ours: tuple[tuple[str, float], ...]
    truth: str | None


def disagreements(content: ReportContent, name: str, *, most: int, top: int = 3) -> tuple[list[Disagreement], int]:
    """The pictures on which candidate ``name`` and the float network differ, those first of which the float network is surest; at
    most ``most``, and how many there are in all."""
    logits = content.candidate_logits[name]
    theirs, ours = _softmax(content.float_logits), _softmax(logits)
    differ = np.flatnonzero(theirs.argmax(axis=1) != ours.argmax(axis=1))
    order = differ[np.argsort(-theirs[differ].max(axis=1), kind="stable")] if len(differ) else differ
    found = [
        Disagreement(
            picture=int(number),
            theirs=_best(theirs[number], content.labels, top),
            ours=_best(ours[number], content.labels, top),
            truth=None if content.truth is None else content.labels[int(content.truth[number])],
        )
        for number in order[:most]
    ]
    return found, len(differ)


def _best(row: np.ndarray, labels: Sequence[str], top: int) -> tuple[tuple[str, float], ...]:
    return tuple((labels[int(index)], float(row[index])) for index in np.argsort(-row, kind="stable")[:top])


def _softmax(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
