"""The Grocery Store Dataset's own files → lists that ``shelfcam finetune`` and ``shelfcam evaluate`` read.

    python -m export.grocery.lists --data grocery --out lists

writes ``labels.txt`` (the 81 fine classes in the order of their ids), ``coarse.csv`` (label,coarse), and lists of path,label: ``all.csv``,
``holdout.csv`` (the photos of ``holdout.txt``) and ``train.csv`` (the others). The data set: Klasson, Zhang and Kjellström, WACV 2019,
https://github.com/marcusklasson/GroceryStoreDataset (MIT).
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from edge import console
from edge.errors import DataError, InputMissingError
from edge.files import write_atomic
from edge.text import csv_line

HOLDOUT = Path(__file__).parent / "holdout.txt"
SPLITS = ("train", "val")
_NAME, _ID, _COARSE = "Class Name (str)", "Class ID (int)", "Coarse Class Name (str)"


@dataclass(frozen=True, slots=True)
class Photo:
    """``path`` below the data set's folder, and the id of its fine class."""

    path: str
    fine: int


@dataclass(frozen=True, slots=True)
class ClassNames:
    """Names by fine id: the class, and the coarse class that it belongs to."""

    fine: tuple[str, ...]
    coarse: tuple[str, ...]


def read_classes(data: Path) -> ClassNames:
    """Raises InputMissingError, DataError."""
    with _open(data / "classes.csv") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row[_ID]))
    if [int(row[_ID]) for row in rows] != list(range(len(rows))):
        raise DataError(f"{data / 'classes.csv'}: class ids are not 0, 1, 2, …")
    return ClassNames(tuple(row[_NAME] for row in rows), tuple(row[_COARSE] for row in rows))


def read_photos(data: Path, splits: Sequence[str] = SPLITS) -> list[Photo]:
    """All photos of those splits, in the order of their lists. Raises InputMissingError, DataError."""
    photos = []
    for split in splits:
        with _open(data / f"{split}.txt") as file:
            for number, line in enumerate(file, start=1):
                cells = [cell.strip() for cell in line.split(",")]
                if len(cells) != 3 or not cells[1].isdigit():
                    raise DataError(f"{data / split}.txt:{number}: not “path, fine id, coarse id”")
                photos.append(Photo(cells[0], int(cells[1])))
    return photos


def write_lists(data: Path, out: Path) -> dict[str, int]:
    """Returns the number of photos in each list. Raises InputMissingError, DataError, SinkError."""
    classes, photos = read_classes(data), read_photos(data)
    held = set(HOLDOUT.read_text(encoding="utf-8").split())
    unknown = held - {photo.path for photo in photos}
    if unknown:
        raise DataError(f"{data}: {len(unknown)} photos of the holdout are missing, for example {sorted(unknown)[0]}")
    lists = {
        "all": photos,
        "holdout": [photo for photo in photos if photo.path in held],
        "train": [photo for photo in photos if photo.path not in held],
    }
    for name, chosen in lists.items():
        _write(out / f"{name}.csv", ("path", "label"), [(photo.path, classes.fine[photo.fine]) for photo in chosen])
    _write(out / "coarse.csv", ("label", "coarse"), zip(classes.fine, classes.coarse, strict=True))
    write_atomic(out / "labels.txt", ("\n".join(classes.fine) + "\n").encode())
    return {name: len(chosen) for name, chosen in lists.items()}


def _open(path: Path) -> TextIO:
    try:
        return path.open(encoding="utf-8", newline="")
    except OSError as error:
        raise InputMissingError(
            f"{path}: {error.strerror or error}", fix="give the folder of the Grocery Store Dataset"
        ) from error


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    write_atomic(path, "".join(map(csv_line, (header, *rows))).encode())


def main() -> None:
    """Write the lists and say how long they are."""
    parser = argparse.ArgumentParser(
        prog="python -m export.grocery.lists", description="Lists of the Grocery Store Dataset's photos."
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="the data set's folder, with classes.csv, train.txt and val.txt"
    )
    parser.add_argument("--out", type=Path, required=True, help="directory for the lists")
    words = parser.parse_args()
    for name, count in write_lists(words.data, words.out).items():
        console.print_line(f"{words.out / name}.csv: {count} photos")


if __name__ == "__main__":
    main()
