"""Photos into one folder a class, unsure ones apart, nothing ever overwritten."""

from __future__ import annotations

import csv
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from edge.data import Region, Score
from edge.errors import DataError, InputMissingError, SinkError, UsageError
from edge.files import sha256_of
from edge.images import read_rgb
from edge.preprocess import preprocess
from edge.stages.base import ActiveModel
from edge.text import csv_line, from_csv_cell, has_control, printable

UNSURE = "_unsure"
LIST_NAME = "sorted.csv"


class SortedPicture(msgspec.Struct, frozen=True):
    """One picture: where it came from, where it lies now (below the output directory), and what it was taken for."""

    source: str
    path: str
    label: str
    score: float
    unsure: bool


class SortReport(msgspec.Struct, frozen=True):
    """``already_there``: of ``placed``, those that an earlier run had put at the same place."""

    placed: tuple[SortedPicture, ...]
    already_there: int
    unreadable: tuple[str, ...]


def sort_images(
    active: ActiveModel, paths: Sequence[Path], out: Path, *, min_score: float, link: bool, advance: Callable[[], None]
) -> SortReport:
    """Put every picture below ``out`` in the folder of its best class, or in ``_unsure`` when that scores below ``min_score``.

    Args:
        active: a classifier.
        paths: pictures; broken ones are listed and left where they are.
        out: made if absent; may hold earlier results. A name that is taken by another picture gets a number.
        min_score: in [0, 1].
        link: hard links instead of copies (same file system only).
        advance: called once per picture.

    Raises:
        SinkError: ``out`` cannot be written.
    """
    placed: list[SortedPicture] = []
    unreadable: list[str] = []
    already_there = 0
    for path in paths:
        advance()
        try:
            best = _best(active, path)
        except (DataError, InputMissingError) as error:
            unreadable.append(str(error))
            continue
        unsure = best.score < min_score
        try:
            target, new = _place(path, out / (UNSURE if unsure else folder_name(best.label)), link=link)
        except OSError as error:
            raise SinkError(f"{error.filename or out}: cannot be written: {error.strerror or error}") from error
        already_there += not new
        placed.append(SortedPicture(str(path), target.relative_to(out).as_posix(), best.label, best.score, unsure))
    if placed:
        _write_list(out / LIST_NAME, placed)
    return SortReport(tuple(placed), already_there, tuple(unreadable))


def folder_name(label: str) -> str:
    """A label as a folder name that every file system takes: letters, digits, dot, dash and underscore."""
    name = re.sub(r"[^\w.-]+", "_", label).strip("._")
    return name or "class"


def _best(active: ActiveModel, path: Path) -> Score:
    region = Region("photo", read_rgb(path))
    (seen,) = active.decoder.decode(active.backend.run(preprocess([region], active.input)), [region])
    if not seen.top:
        raise UsageError(f"candidate {active.candidate!r} names no classes to sort by", fix="give a bundle with a classifier")
    return seen.top[0]


def _place(path: Path, folder: Path, *, link: bool) -> tuple[Path, bool]:
    """Copy or link ``path`` into ``folder``; (where it lies, whether it is new there)."""
    folder.mkdir(parents=True, exist_ok=True)
    name = Path(
        printable(path.name).replace("\\", "_") if has_control(path.name) else path.name
    )  # a list of names is read by people
    number = 0
    while True:
        target = folder / (f"{name.stem}-{number}{name.suffix}" if number else name)
        try:
            if link:
                os.link(path.resolve(), target)
            else:
                _copy_new(path, target)
            return target, True
        except FileExistsError:
            if _same_content(path, target):
                return target, False
            number += 1


def _copy_new(path: Path, target: Path) -> None:
    """Copy, failing if ``target`` exists; a copy that breaks off leaves nothing behind."""
    with path.open("rb") as source, target.open("xb") as copy:
        try:
            shutil.copyfileobj(source, copy)
            copy.flush()
        except OSError:
            target.unlink()
            raise
    shutil.copystat(path, target)


def _same_content(one: Path, other: Path) -> bool:
    return one.stat().st_size == other.stat().st_size and sha256_of(one) == sha256_of(other)


def _write_list(path: Path, placed: Sequence[SortedPicture]) -> None:
    """Append what is new to ``sorted.csv``: the sure ones are a list for ``evaluate`` and fine-tuning once a person has looked."""
    fields = ["path", "label", "score", "source"]
    try:
        known: set[str] = set()
        if path.exists():
            with path.open(encoding="utf-8", newline="") as file:
                known = {from_csv_cell(row["path"]) for row in csv.DictReader(file)}
        with path.open("a", encoding="utf-8", newline="") as file:
            if not known and file.tell() == 0:
                file.write(csv_line(fields))
            for item in placed:
                if item.path not in known and not item.unsure:
                    file.write(csv_line((item.path, item.label, f"{item.score:.4f}", printable(item.source))))
    except (OSError, KeyError) as error:
        raise SinkError(f"{path}: the list cannot be written: {error}") from error
