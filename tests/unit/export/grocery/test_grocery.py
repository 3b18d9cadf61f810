"""The grocery lists: complete, fixed, and nothing on both sides."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from edge.errors import DataError, InputMissingError
from edge.evaluate import Sample
from export.grocery import holdout, lists
from export.grocery.lists import Photo
from export.grocery.score import by_split, score, scores_of


@pytest.fixture
def grocery(shared_data: Path) -> Path:
    directory = shared_data / "grocery"
    if not directory.is_dir():
        pytest.skip(f"the grocery photos are absent: {directory}")
    return directory


def _rows(path: Path) -> list[tuple[str, str]]:
    with path.open(newline="") as file:
        return [(row["path"], row["label"]) for row in csv.DictReader(file)]


def test_every_photo_is_on_one_side_and_every_class_on_both(grocery: Path, tmp_path: Path) -> None:
    counts = lists.write_lists(grocery, tmp_path)
    held, train, everything = (_rows(tmp_path / f"{name}.csv") for name in ("holdout", "train", "all"))
    assert counts == {"all": len(everything), "holdout": len(held), "train": len(train)}
    assert len(held) >= 500
    assert sorted(held + train) == sorted(everything)
    assert len(set(everything)) == len(everything) == 2936
    labels = (tmp_path / "labels.txt").read_text().splitlines()
    assert len(labels) == 81
    for side in (held, train):
        assert set(Counter(label for _, label in side)) == set(labels)
    assert min(Counter(label for _, label in held).values()) >= holdout.PER_CLASS
    assert labels[0] == "Golden-Delicious"
    assert all((grocery / path).is_file() for path, _ in held)


def test_photos_of_other_shops_and_twins_are_held_out() -> None:
    photos = [Photo(f"train/a_{n:03}.jpg", 0) for n in range(30)] + [Photo("val/a_001.jpg", 0)]
    features = np.eye(40, dtype=np.float32)[:31]
    features[5] = features[30] * 0.99 + features[5] * np.sqrt(1 - 0.99**2)  # a twin of the validation photo
    held = {photo.path for photo in holdout.choose(photos, features)}
    assert "val/a_001.jpg" in held
    assert "train/a_005.jpg" in held
    run = sorted(int(path[-7:-4]) for path in held if path.startswith("train") and path != "train/a_005.jpg")
    assert len(held) >= holdout.PER_CLASS
    assert run == list(range(run[0], run[0] + len(run))), "neighbours on a shelf stay together"


def test_a_missing_photo_or_folder_is_named(grocery: Path, tmp_path: Path) -> None:
    with pytest.raises(InputMissingError, match=r"classes\.csv"):
        lists.write_lists(tmp_path, tmp_path / "out")
    (tmp_path / "classes.csv").write_text((grocery / "classes.csv").read_text())
    (tmp_path / "train.txt").write_text("train/a.jpg, 0, 0\n")
    (tmp_path / "val.txt").write_text("")
    with pytest.raises(DataError, match="of the holdout are missing"):
        lists.write_lists(tmp_path, tmp_path / "out")
    (tmp_path / "val.txt").write_text("val/a.jpg\n")
    with pytest.raises(DataError, match=r"val\.txt:1"):
        lists.write_lists(tmp_path, tmp_path / "out")


def test_a_coarse_answer_counts_by_kind() -> None:
    coarse = {"gala": "apple", "pink": "apple", "lime": "citrus"}
    found = score("x", [("gala", "gala", 2), ("gala", "pink", 1), ("lime", "pink", 1)], coarse)
    assert (found.images, found.fine, found.coarse) == (4, 0.5, 0.75)
    assert found.classes == {"gala": pytest.approx(2 / 3), "lime": 0.0}


def test_photos_of_other_shops_are_scored_apart_too() -> None:
    coarse = {"gala": "apple", "lime": "citrus"}
    samples = [Sample("train/Fruit/a.jpg", 0), Sample("val/Fruit/b.jpg", 1), Sample("train/Fruit/c.jpg", 0)]
    assert {split: len(part) for split, part in by_split(samples).items()} == {"train": 2, "val": 1}
    found = scores_of("x", {"train": [("gala", "gala", 2)], "val": [("lime", "gala", 1)]}, coarse)
    assert [(one.name, one.images, one.fine) for one in found] == [
        ("x", 3, pytest.approx(2 / 3)),
        ("x, train photos", 2, 1.0),
        ("x, val photos", 1, 0.0),
    ]
    assert len(scores_of("x", {"val": [("lime", "gala", 1)]}, coarse)) == 1
