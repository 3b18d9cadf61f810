"""Fine and coarse top-1 of the grocery model on a list of the data set's photos, float and every candidate, and its weakest classes.

    python -m export.grocery.score --data grocery --lists lists --list holdout --bundle edge/assets/grocery [--checkpoint X.safetensors]

A coarse answer is right where the class that was named belongs to the right coarse class: "Granny Smith" for another apple is right.
Where the list has photos of both splits, each is scored by itself too: those of val come from other shops than those of train.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edge import console
from edge.bundle.reader import open_bundle
from edge.choice.loader import ModelLoader
from edge.evaluate import Sample, evaluate, read_list
from edge.manifest import Answer
from edge.stages.base import ActiveModel
from export.grocery.lists import read_classes

_WORST = 10

Pairs = list[tuple[str, str, int]]
"""(label, named, how often)."""


@dataclass(frozen=True, slots=True)
class GroceryScore:
    """Shares in [0, 1] of ``images`` photos; ``classes``: fine top-1 by label."""

    name: str
    images: int
    fine: float
    coarse: float
    classes: dict[str, float]


def score(name: str, pairs: Pairs, coarse: dict[str, str]) -> GroceryScore:
    """Of what was named for each label."""
    images = sum(count for *_, count in pairs)
    by_label: dict[str, list[int]] = {}
    for label, named, count in pairs:
        entry = by_label.setdefault(label, [0, 0])
        entry[0] += count if named == label else 0
        entry[1] += count
    return GroceryScore(
        name,
        images,
        sum(count for label, named, count in pairs if named == label) / images,
        sum(count for label, named, count in pairs if coarse[named] == coarse[label]) / images,
        {label: right / count for label, (right, count) in by_label.items()},
    )


def candidate_pairs(
    load: Callable[[], ActiveModel], answer: Answer, labels: Sequence[str], samples: Sequence[Sample], data: Path
) -> Pairs:
    """What a candidate answers."""
    (result,) = evaluate([load], answer, labels, samples, data, advance=lambda: None).candidates
    return [(c.label, c.predicted, c.count) for c in result.confusion]


def float_pairs(checkpoint: Path, samples: Sequence[Sample], data: Path, size_hw_px: tuple[int, int] | None) -> Pairs:
    """What the float network answers, through the camera's preprocessing."""
    from export.convert.core import float_logits
    from export.load.assemble import load
    from export.load.spec import ModelSpec
    from export.train.photos import as_input, load_photos

    model = load(ModelSpec(str(checkpoint), size_hw_px=size_hw_px))
    photos = load_photos(samples, data, max(model.size_hw_px), print, judging=True)
    named = float_logits(model, as_input(photos, model)).argmax(axis=1)
    return [(model.labels[t], model.labels[n], 1) for t, n in zip(photos.truth.tolist(), named.tolist(), strict=True)]


def by_split(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """The samples of each split, by the first folder of their paths."""
    parts: dict[str, list[Sample]] = {}
    for sample in samples:
        parts.setdefault(sample.path.partition("/")[0], []).append(sample)
    return parts


def scores_of(name: str, parts: dict[str, Pairs], coarse: dict[str, str]) -> list[GroceryScore]:
    """Of everything first, then of each part, if there are several."""
    everything = score(name, [pair for pairs in parts.values() for pair in pairs], coarse)
    apart = [score(f"{name}, {split} photos", pairs, coarse) for split, pairs in parts.items()] if len(parts) > 1 else []
    return [everything, *apart]


def main() -> None:
    """Print the scores, then the weakest classes of the first."""
    parser = argparse.ArgumentParser(
        prog="python -m export.grocery.score", description="Fine and coarse top-1 of the grocery model."
    )
    parser.add_argument("--data", type=Path, required=True, help="the Grocery Store Dataset's folder")
    parser.add_argument("--lists", type=Path, required=True, help="what python -m export.grocery.lists wrote")
    parser.add_argument("--list", default="holdout", help="which list: holdout, train or all")
    parser.add_argument("--bundle", type=Path, help="score its candidates")
    parser.add_argument("--checkpoint", type=Path, help="score the float network")
    parser.add_argument("--input-size", type=int, help="of the float network, in pixels; without it the checkpoint's own")
    words = parser.parse_args()
    size_hw_px = (words.input_size, words.input_size) if words.input_size else None
    classes = read_classes(words.data)
    coarse = dict(zip(classes.fine, classes.coarse, strict=True))
    parts = by_split(read_list(words.lists / f"{words.list}.csv", classes.fine))
    scores = []
    if words.checkpoint:
        pairs = {split: float_pairs(words.checkpoint, part, words.data, size_hw_px) for split, part in parts.items()}
        scores += scores_of("float", pairs, coarse)
    if words.bundle:
        bundle = open_bundle(words.bundle)
        (model,) = bundle.manifest.models
        loader = ModelLoader(bundle, model, threads=1, top_k=5)
        for candidate in model.candidates:
            load = partial(loader.load, candidate)
            pairs = {split: candidate_pairs(load, model.first, classes.fine, part, words.data) for split, part in parts.items()}
            scores += scores_of(candidate.name, pairs, coarse)
    rows = [(s.name, s.images, f"{s.fine:.2%}", f"{s.coarse:.2%}") for s in scores]
    console.print_table(f"{words.list}: top-1", ["model", ">photos", ">fine", ">coarse"], rows)
    worst = sorted(scores[0].classes.items(), key=lambda item: item[1])[:_WORST] if scores else []
    console.print_table("weakest classes", ["class", ">top-1"], [(label, f"{value:.0%}") for label, value in worst])


if __name__ == "__main__":
    main()
