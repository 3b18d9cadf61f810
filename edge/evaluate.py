"""How well a bundle does on labelled pictures, through the camera's own code."""

from __future__ import annotations

import csv
import difflib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from edge.data import Region
from edge.errors import DataError, InputMissingError
from edge.images import read_rgb
from edge.manifest import Answer
from edge.preprocess import preprocess
from edge.stages.base import ActiveModel
from edge.tasks import task_of
from edge.tasks.base import Scored, first_indices
from edge.text import from_csv_cell

COLUMNS = ("path", "label")
_NO_PIXELS = np.empty((0, 0, 3), dtype=np.uint8)  # an empty view would keep the whole picture in memory


class Sample(msgspec.Struct, frozen=True):
    """A row of the list: the picture's path below the image directory and its class index."""

    path: str
    label: int


class Unreadable(msgspec.Struct, frozen=True):
    """A picture that could not be used, and why."""

    path: str
    reason: str


_NOTHING = "(nothing)"
"""What a picture is taken for in which nothing was seen."""


class ClassResult(msgspec.Struct, frozen=True):
    """``recall``: the share of this label's ``images`` that were taken for it."""

    label: str
    images: int
    recall: float


class Confusion(msgspec.Struct, frozen=True):
    """``count`` pictures of ``label`` were taken for ``predicted``; right answers included."""

    label: str
    predicted: str
    count: int


class CandidateResult(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate on all readable pictures. ``scores``: the task's, the headline first (``top1``, ``top5``; of an embedder
    ``recall_at_1``). ``per_class`` is in the order of the labels, ``confusion`` the most frequent first."""

    candidate: str
    images: int
    scores: dict[str, float]
    per_class: tuple[ClassResult, ...]
    confusion: tuple[Confusion, ...]


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """``agreement``: for each pair of candidates "a vs b", the share of pictures that both take for the same class."""

    images: int
    unreadable: tuple[Unreadable, ...]
    candidates: tuple[CandidateResult, ...]
    agreement: dict[str, float]


def read_list(path: Path, labels: Sequence[str]) -> list[Sample]:
    """The rows of a CSV with the columns ``path,label``; the label is the text of labels.txt.

    Raises:
        InputMissingError: no such file.
        DataError: no such columns, an empty list, or a label that the model does not have (names line and nearest label).
    """
    index = first_indices(labels)
    return [_sample(row, line, path, index) for row, line in _rows(path)]


def listed_labels(path: Path) -> tuple[str, ...]:
    """The labels of a list, sorted: for a model that has none of its own. Raises as ``read_list``."""
    return tuple(sorted({from_csv_cell(row["label"]) for row, _ in _rows(path) if row["label"] is not None}))


def _rows(path: Path) -> list[tuple[dict[str, str], int]]:
    """Each row with its line."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                raise DataError(f"{path}: no column {missing[0]!r}", fix="the first line must be: path,label")
            rows = [(row, reader.line_num) for row in reader]
    except OSError as error:
        raise InputMissingError(f"{path}: {error.strerror or error}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a CSV in UTF-8: {error}") from error
    if not rows:
        raise DataError(f"{path}: no rows")
    return rows


def evaluate(
    models: Sequence[Callable[[], ActiveModel]],
    answer: Answer,
    labels: Sequence[str],
    samples: Sequence[Sample],
    images: Path,
    *,
    advance: Callable[[], None],
) -> Evaluation:
    """Run every candidate over every picture that can be read.

    Args:
        models: one loader per candidate; one candidate is in memory at a time.
        answer: which of the model's.
        labels: that the samples' indices are of.
        samples: the list.
        images: the directory that the list's paths are below.
        advance: called once per picture and candidate.

    Raises:
        DataError: not one picture could be read.
    """
    unreadable: dict[str, Unreadable] = {}
    results, predicted = [], {}
    truth = np.empty(0, dtype=np.int64)
    for load in models:
        active = load()
        seen = list(_see(active, answer, samples, images, unreadable=unreadable, advance=advance))
        active.backend.close()
        if not seen:
            first = next(iter(unreadable.values()))
            raise DataError(f"{images}: none of the {len(samples)} pictures can be read; first: {first.reason}")
        truth = np.asarray([sample.label for sample, _ in seen], dtype=np.int64)
        try:
            scored = task_of(answer.task).score(truth, [region for _, region in seen], labels)
        except ValueError as error:
            raise DataError(f"{images}: {error}") from error
        predicted[active.candidate] = scored.predicted
        results.append(_summary(active.candidate, truth, scored, labels))
    names = list(predicted)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    agreement = {f"{a} vs {b}": float((predicted[a] == predicted[b]).mean()) for a, b in pairs}
    return Evaluation(images=len(truth), unreadable=tuple(unreadable.values()), candidates=tuple(results), agreement=agreement)


def _sample(row: dict[str, str], line: int, path: Path, index: dict[str, int]) -> Sample:
    if not row["path"] or row["label"] is None:
        raise DataError(f"{path}:{line}: a row needs a path and a label")
    label, name = from_csv_cell(row["label"]), from_csv_cell(row["path"])
    if label not in index:
        near = difflib.get_close_matches(label, index, n=1)
        raise DataError(
            f"{path}:{line}: label {label!r} is not one of the model's {len(index)}",
            fix=f"did you mean {near[0]!r}?" if near else None,
        )
    return Sample(name, index[label])


def _see(
    active: ActiveModel,
    answer: Answer,
    samples: Sequence[Sample],
    images: Path,
    *,
    unreadable: dict[str, Unreadable],
    advance: Callable[[], None],
) -> Iterator[tuple[Sample, Region]]:
    """Each readable sample with what was seen in it; without its pixels, of which there may be many."""
    for sample in samples:
        advance()
        try:
            region = Region(sample.path, read_rgb(images / sample.path), wants=frozenset({answer.name}))
        except (DataError, InputMissingError) as error:
            unreadable[sample.path] = Unreadable(sample.path, str(error))
            continue
        (seen,) = active.decoder.decode(active.backend.run(preprocess([region], active.input)), [region])
        yield sample, replace(seen, pixels=_NO_PIXELS)


def _summary(candidate: str, truth: npt.NDArray[np.int64], scored: Scored, labels: Sequence[str]) -> CandidateResult:
    per_class = []
    for label in sorted(set(truth.tolist())):
        mine = truth == label
        per_class.append(ClassResult(labels[label], int(mine.sum()), float((scored.predicted[mine] == label).mean())))
    pairs = Counter(zip(truth.tolist(), scored.predicted.tolist(), strict=True))
    return CandidateResult(
        candidate=candidate,
        images=len(truth),
        scores=scored.scores,
        per_class=tuple(per_class),
        confusion=tuple(Confusion(labels[t], labels[p] if p >= 0 else _NOTHING, n) for (t, p), n in pairs.most_common()),
    )
