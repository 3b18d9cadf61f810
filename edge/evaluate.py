"""How well a bundle does on labelled pictures, through the camera's own code."""

from __future__ import annotations

import csv
import difflib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from edge.data import Region
from edge.errors import DataError, InputMissingError
from edge.images import read_rgb
from edge.preprocess import preprocess
from edge.tasks.base import ActiveModel
from edge.text import from_csv_cell

TOP_K = 5
COLUMNS = ("path", "label")


class Sample(msgspec.Struct, frozen=True):
    """A row of the list: the picture's path below the image directory and its class index."""

    path: str
    label: int


class Unreadable(msgspec.Struct, frozen=True):
    """A picture that could not be used, and why."""

    path: str
    reason: str


class ClassResult(msgspec.Struct, frozen=True):
    """``top1`` is recall: the share of this label's ``images`` that were called by it."""

    label: str
    images: int
    top1: float


class Confusion(msgspec.Struct, frozen=True):
    """``count`` pictures of ``label`` were called ``predicted``; right answers included."""

    label: str
    predicted: str
    count: int


class CandidateResult(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate on all readable pictures. ``per_class`` is in the order of the labels, ``confusion`` the most frequent first."""

    candidate: str
    images: int
    top1: float
    top5: float
    per_class: tuple[ClassResult, ...]
    confusion: tuple[Confusion, ...]


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """``agreement``: for each pair of candidates "a vs b", the share of pictures with the same best class."""

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
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                raise DataError(f"{path}: no column {missing[0]!r}", fix="the first line must be: path,label")
            index = first_indices(labels)
            samples = [_sample(row, reader.line_num, path, index) for row in reader]
    except OSError as error:
        raise InputMissingError(f"{path}: {error.strerror or error}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path}: not a CSV in UTF-8: {error}") from error
    if not samples:
        raise DataError(f"{path}: no rows")
    return samples


def evaluate(
    models: Sequence[Callable[[], ActiveModel]],
    labels: Sequence[str],
    samples: Sequence[Sample],
    images: Path,
    advance: Callable[[], None],
) -> Evaluation:
    """Run every candidate over every picture that can be read.

    Args:
        models: one loader per candidate; one candidate is in memory at a time.
        labels: of the model.
        samples: the list.
        images: the directory that the list's paths are below.
        advance: called once per picture and candidate.

    Raises:
        DataError: not one picture could be read.
    """
    unreadable: dict[str, Unreadable] = {}
    results, best = [], {}
    truth = np.empty(0, dtype=np.int64)
    for load in models:
        active = load()
        top: list[list[int]] = []
        kept: list[int] = []
        for sample, indices in _predict(active, first_indices(labels), samples, images, unreadable=unreadable, advance=advance):
            top.append(indices)
            kept.append(sample.label)
        active.backend.close()
        if not top:
            first = next(iter(unreadable.values()))
            raise DataError(f"{images}: none of the {len(samples)} pictures can be read; first: {first.reason}")
        truth = np.asarray(kept, dtype=np.int64)
        best[active.candidate] = np.asarray([row[0] for row in top], dtype=np.int64)
        results.append(_summary(active.candidate, truth, top, labels))
    names = list(best)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    agreement = {f"{a} vs {b}": float((best[a] == best[b]).mean()) for a, b in pairs}
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


def first_indices(labels: Sequence[str]) -> dict[str, int]:
    """Label → the first class of that name. ImageNet has two "crane"; a list knows only the text, so both count as that one."""
    return {label: i for i, label in reversed(list(enumerate(labels)))}


def _predict(
    active: ActiveModel,
    index: dict[str, int],
    samples: Sequence[Sample],
    images: Path,
    *,
    unreadable: dict[str, Unreadable],
    advance: Callable[[], None],
) -> Iterator[tuple[Sample, list[int]]]:
    """Each readable sample with its best TOP_K class indices."""
    for sample in samples:
        advance()
        try:
            crop = Region(sample.path, read_rgb(images / sample.path))
        except (DataError, InputMissingError) as error:
            unreadable[sample.path] = Unreadable(sample.path, str(error))
            continue
        observation = active.task.decode(active.backend.run(preprocess([crop], active.input)), [crop])[0]
        yield sample, [index[score.label] for score in observation.top[:TOP_K]]


def _summary(candidate: str, truth: npt.NDArray[np.int64], top: list[list[int]], labels: Sequence[str]) -> CandidateResult:
    first = np.asarray([row[0] for row in top], dtype=np.int64)
    per_class = []
    for label in sorted(set(truth.tolist())):
        mine = truth == label
        per_class.append(ClassResult(labels[label], int(mine.sum()), float((first[mine] == label).mean())))
    pairs = Counter(zip(truth.tolist(), first.tolist(), strict=True))
    return CandidateResult(
        candidate=candidate,
        images=len(truth),
        top1=float((first == truth).mean()),
        top5=float(np.mean([t in row for t, row in zip(truth.tolist(), top, strict=True)])),
        per_class=tuple(per_class),
        confusion=tuple(Confusion(labels[t], labels[p], n) for (t, p), n in pairs.most_common()),
    )
