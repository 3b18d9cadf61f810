"""Pictures for calibration and for judging: never the same ones, and all through ``edge.preprocess``.

A directory is split by each file's content, so a photo lands on the same side in every run and a copy of it under another name
cannot be on both. The photos of the scikit-image package are split by hand: the two sides show different things.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.bundle.manifest import InputSpec
from edge.data import Crop, U8Image
from edge.errors import DataError
from edge.images import list_images, read_rgb
from edge.preprocess import preprocess
from edge.scene.golden import golden_scenes
from export.convert.quiet import quiet
from export.photos import random_crops

MIN_IMAGES = 16
"""Fewer calibration images than this leave activation ranges to chance."""

SKIMAGE = "skimage"
_CALIBRATION_PHOTOS = (
    "brick.png", "camera.png", "cell.png", "clock_motion.png", "coins.png", "color.png", "grass.png", "gravel.png",
    "hubble_deep_field.jpg", "ihc.png", "moon.png", "page.png", "retina.jpg", "text.png",
)  # fmt: skip
"""Textures, instruments' pictures and grey ones: they calibrate, together with drawn shelves, which bring the colours."""
HELD_OUT_PHOTOS = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")
"""Photographs of things: they judge. No scene is on both sides."""
_SCENES_SEED_OFFSET = 2000  # away from the golden scenes, which a bundle made from the same seed is judged on

Skip = Callable[[str], None]
"""Called with the reason for each picture that is left out."""


@dataclass(frozen=True, slots=True)
class Samples:
    """``images``: N×H×W×3 uint8 RGB at the model's size. ``name`` says for the manifest where they come from, without a path;
    ``sha256`` is of the pixels, in order."""

    images: U8Image
    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Split:
    """What ranges are taken from, and what the result is judged on; ``skipped`` pictures could not be read."""

    calibration: Samples
    held_out: Samples
    skipped: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many pictures each side shall have at most, and the seed of the choice."""

    calibration: int
    held_out: int
    seed: int


def from_directory(directory: Path, held_out: Path | None, spec: InputSpec, wanted: Wanted, skip: Skip) -> Split:
    """Photos of ``directory`` for calibration; for judging those of ``held_out``, or a third of ``directory``.

    Raises:
        InputMissingError: a directory is missing or holds no picture.
        DataError: too few pictures can be read on a side.
    """
    gate = _Gatekeeper(skip)
    everything = _shuffled(directory, wanted.seed)
    if held_out is None:
        ours, theirs = _sides(everything, wanted, gate)
        other_name = f"{directory.name}, files not used for calibration"
    else:
        ours = list(_take(gate.read(everything), wanted.calibration))
        theirs = list(_take(gate.read(_shuffled(held_out, wanted.seed)), wanted.held_out))
        other_name = held_out.name
    return Split(
        _samples(ours, spec, directory.name, f"{directory}: calibration"),
        _samples(theirs, spec, other_name, f"{held_out or directory}: judging"),
        gate.skipped,
    )


def from_skimage(spec: InputSpec, wanted: Wanted) -> Split:
    """Random square crops, of half to all of a photo's shorter side, from the photos in the scikit-image package. For calibration
    as many drawn shelves are added.

    Raises:
        BackendError: scikit-image is not installed.
    """
    scenes = golden_scenes(wanted.calibration, wanted.seed + _SCENES_SEED_OFFSET, spec.size_hw_px)
    with quiet():  # libpng complains about a colour profile in one of the photos
        ours = [*random_crops(_CALIBRATION_PHOTOS, wanted.calibration, [wanted.seed, 0]), *scenes]
        theirs = list(random_crops(HELD_OUT_PHOTOS, wanted.held_out, [wanted.seed, 1]))
    return Split(
        _samples(ours, spec, "photos of scikit-image and drawn scenes", SKIMAGE),
        _samples(theirs, spec, "other photos of scikit-image", SKIMAGE),
        0,
    )


class _Gatekeeper:
    """Reads pictures, each content once; the broken ones and copies are left out and told."""

    def __init__(self, skip: Skip) -> None:
        self._seen: set[bytes] = set()
        self._skip = skip
        self.skipped = 0

    def read(self, paths: Iterable[Path]) -> Iterator[tuple[bytes, U8Image]]:
        """(SHA-256 of the file, pixels) of each."""
        for path in paths:
            try:
                digest = hashlib.sha256(path.read_bytes()).digest()
                pixels = read_rgb(path)
            except (DataError, OSError) as error:
                self.skipped += 1
                self._skip(str(error))
                continue
            if digest in self._seen:
                self._skip(f"{path}: a copy of a picture that was used already")
                continue
            self._seen.add(digest)
            yield digest, pixels


def _sides(paths: Sequence[Path], wanted: Wanted, gate: _Gatekeeper) -> tuple[list[U8Image], list[U8Image]]:
    """Two thirds of all contents may calibrate, a third may judge; reads no more files than needed."""
    ours: list[U8Image] = []
    theirs: list[U8Image] = []
    for digest, pixels in gate.read(paths):
        side, limit = (theirs, wanted.held_out) if digest[0] % 3 == 0 else (ours, wanted.calibration)
        if len(side) < limit:
            side.append(pixels)
        if len(ours) == wanted.calibration and len(theirs) == wanted.held_out:
            break
    return ours, theirs


def _samples(pictures: Iterable[U8Image], spec: InputSpec, name: str, what: str) -> Samples:
    """Through the camera's own preprocessing, one by one; ``what`` is named if they are too few."""
    rows = [preprocess([Crop("calibration", pixels)], spec) for pixels in pictures]
    if len(rows) < MIN_IMAGES:
        raise DataError(
            f"{what}: {len(rows)} pictures can be used, at least {MIN_IMAGES} are needed",
            fix="give a directory with more photos of what the camera will see: 100 are good",
        )
    images = np.concatenate(rows)
    return Samples(images, name, hashlib.sha256(images.tobytes()).hexdigest())


def _shuffled(directory: Path, seed: int) -> list[Path]:
    paths = list_images(directory)
    return [paths[i] for i in np.random.default_rng(seed).permutation(len(paths))]


def _take(pairs: Iterator[tuple[bytes, U8Image]], count: int) -> Iterator[U8Image]:
    for _, (_, pixels) in zip(range(count), pairs, strict=False):
        yield pixels
