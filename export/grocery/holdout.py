"""How ``holdout.txt`` was chosen: photos to choose a recipe by, none of them with a twin among the rest.

    python -m export.grocery.holdout --data grocery > export/grocery/holdout.txt

All of the data set's own validation photos are in it: they were taken in other shops than the training photos, as the test photos were, so
they tell what a new shop will show (a linear head on frozen features has .74 of them right, and .91 of photos held back from the
training shops). They cover 60 of the 81 classes; so every class is filled up to ``PER_CLASS`` by a run of consecutive training photos,
which are of the same shelf, and by the training photos that look like one of them.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

from export.grocery.lists import Photo, read_photos

PER_CLASS = 7
TWIN_COSINE = 0.92
"""Of the features before the head of EfficientNet-Lite2: above it two photos of a class show the same things from nearly the same place;
neighbours on a shelf have .74 in the median, and 1 % of pairs that are five or more photos apart exceed .93."""

F32 = npt.NDArray[np.float32]


def choose(photos: list[Photo], features: F32) -> list[Photo]:
    """The holdout, in the order of ``photos``; ``features`` N×D, rows of length 1."""
    held = np.array([photo.path.startswith("val/") for photo in photos])
    fine = np.array([photo.fine for photo in photos])
    for label in sorted(set(fine.tolist())):
        missing = PER_CLASS - int(held[fine == label].sum())
        if missing > 0:
            rest = sorted(np.flatnonzero((fine == label) & ~held), key=lambda i: _number(photos[i].path))
            held[_least_alike(np.asarray(rest), features, missing)] = True
        mine = np.flatnonzero(fine == label)
        alike = features[mine] @ features[mine].T
        while True:  # a twin of a twin is held out too
            grown = (alike[:, held[mine]] > TWIN_COSINE).any(axis=1) & ~held[mine]
            if not grown.any():
                break
            held[mine[grown]] = True
    return [photo for photo, out in zip(photos, held, strict=True) if out]


def _least_alike(rest: npt.NDArray[np.int64], features: F32, length: int) -> npt.NDArray[np.int64]:
    """The run of ``length`` neighbours in ``rest`` that is least like the photos outside it."""
    alike = features[rest] @ features[rest].T
    runs = [np.arange(start, start + length) for start in range(len(rest) - length + 1)]
    likeness = [float(alike[np.ix_(run, np.setdiff1d(np.arange(len(rest)), run))].max()) for run in runs]
    return np.asarray(rest[runs[int(np.argmin(likeness))]])


def _number(path: str) -> int:
    found = re.search(r"_(\d+)\.\w+$", path)
    return int(found.group(1)) if found else 0


def features_of(photos: list[Photo], directory: Path) -> F32:
    """N×1280 float32, rows of length 1."""
    import torch

    from edge.evaluate import Sample
    from export.load.assemble import load
    from export.load.spec import ModelSpec
    from export.train.finetune import normalised
    from export.train.photos import as_input, load_photos

    model = load(ModelSpec("efficientnet_lite2", pretrained=True))
    loaded = load_photos([Sample(p.path, p.fine) for p in photos], directory, max(model.size_hw_px), print)
    pixels = as_input(loaded, model)
    rows = []
    with torch.inference_mode():
        for start in range(0, len(pixels), 32):
            views = normalised(pixels[start : start + 32].astype(np.float32), model)
            rows.append(model.module.extract_features(views).mean(dim=(2, 3)).numpy())
    features = np.concatenate(rows)
    return np.asarray(features / np.linalg.norm(features, axis=1, keepdims=True), dtype=np.float32)


def main() -> None:
    """Print the holdout's paths, one a line."""
    parser = argparse.ArgumentParser(
        prog="python -m export.grocery.holdout", description="Choose the grocery photos to judge by."
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="the Grocery Store Dataset's folder with train.txt and val.txt"
    )
    data = parser.parse_args().data
    photos = read_photos(data)
    for photo in choose(photos, features_of(photos, data)):
        sys.stdout.write(f"{photo.path}\n")


if __name__ == "__main__":
    main()
