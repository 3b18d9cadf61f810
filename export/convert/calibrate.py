"""Pictures for calibration and for judging: never the same ones, and all through ``edge.preprocess``.

A directory is split by each file's content, so a photo lands on the same side in every run and a copy of it under another name
cannot be on both. The photos of the scikit-image package are split by hand: the two sides show different things.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.data import Region, U8Image
from edge.errors import DataError, InputMissingError
from edge.evaluate import Sample
from edge.images import list_images, read_rgb
from edge.manifest import InputSpec
from edge.preprocess import preprocess
from edge.scene.rendered import golden_scenes
from export.convert.quiet import quiet
from export.skimage_photos import random_crops

MIN_IMAGES = 16
"""Fewer calibration images than this leave activation ranges to chance."""

_FLAT = 2.0  # grey levels of 255

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
    ``sha256`` is of the pixels, in order. ``truth``: the class index of each, where a list names it."""

    images: U8Image
    name: str
    sha256: str
    truth: npt.NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """What ranges are taken from, and what the result is judged on; ``skipped`` pictures could not be read."""

    calibration: Samples
    held_out: Samples
    skipped: int


@dataclass(frozen=True, slots=True)
class Folders:
    """Where the pictures lie. Without ``held_out`` a third of ``calibration`` judges.

    ``calibration_paths``: only these below ``calibration``, if given. ``held_out_list``: only these below ``held_out``, with their
    class indices.
    """

    calibration: Path
    held_out: Path | None = None
    calibration_paths: tuple[str, ...] | None = None
    held_out_list: tuple[Sample, ...] | None = None


@dataclass(frozen=True, slots=True)
class SplitCounts:
    """How many pictures each side shall have at most, and the seed of the choice."""

    calibration: int
    held_out: int
    seed: int


def from_directory(folders: Folders, spec: InputSpec, wanted: SplitCounts, skip: Skip) -> Split:
    """Photos for calibration, and others for judging. A picture that is among both judges only, and ``skip`` is told.

    Raises:
        InputMissingError: a directory is missing or holds no picture.
        DataError: too few pictures can be read on a side.
    """
    gate = _Gatekeeper(skip)
    directory, held_out = folders.calibration, folders.held_out
    everything = _shuffled(_listed(directory, folders.calibration_paths), wanted.seed)
    if held_out is None:
        ours, theirs = _sides(everything, wanted, gate)
        calibration = _samples(ours, spec, directory.name, f"{directory}: calibration")
        judging = _samples(theirs, spec, f"{directory.name}, files not used for calibration", f"{directory}: judging")
    else:  # these first: what judges must not calibrate
        judging = _held_out(held_out, folders.held_out_list, spec, wanted, gate)
        ours = list(_take(gate.read(everything), wanted.calibration))
        calibration = _samples(ours, spec, directory.name, f"{directory}: calibration")
    if _all_alike(calibration.images):
        skip(f"{directory}: the calibration pictures are all (nearly) the same: ranges will not fit what the camera sees")
    return Split(calibration, judging, gate.skipped)


def from_skimage(spec: InputSpec, wanted: SplitCounts) -> Split:
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
            except (DataError, InputMissingError, OSError) as error:
                self.skipped += 1
                self._skip(str(error))
                continue
            if digest in self._seen:
                self._skip(f"{path}: a copy of a picture that judges or is used already: left out")
                continue
            self._seen.add(digest)
            yield digest, pixels


def _sides(paths: Sequence[Path], wanted: SplitCounts, gate: _Gatekeeper) -> tuple[list[U8Image], list[U8Image]]:
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


def _held_out(
    directory: Path, listed: Sequence[Sample] | None, spec: InputSpec, wanted: SplitCounts, gate: _Gatekeeper
) -> Samples:
    """Pictures that judge: those of the list with their classes, or any."""
    if listed is None:
        paths = _shuffled(list_images(directory), wanted.seed)
        return _samples(_take(gate.read(paths), wanted.held_out), spec, directory.name, f"{directory}: judging")
    order = np.random.default_rng(wanted.seed).permutation(len(listed))
    classes: list[int] = []

    def known() -> Iterator[U8Image]:
        for index in order:
            if len(classes) == wanted.held_out:
                return
            for _, pixels in gate.read([directory / listed[index].path]):
                classes.append(listed[index].label)
                yield pixels

    samples = _samples(known(), spec, directory.name, f"{directory}: judging")
    return replace(samples, truth=np.asarray(classes, dtype=np.int64))


def _listed(directory: Path, paths: Sequence[str] | None) -> list[Path]:
    return list_images(directory) if paths is None else [directory / path for path in paths]


def _all_alike(images: U8Image) -> bool:
    """Whether pictures differ from one grey level, or from the first of them, by next to nothing."""
    small = images[:, ::8, ::8].astype(np.float32)
    return bool(small.std(axis=(1, 2, 3)).max() < _FLAT or np.abs(small - small[:1]).max() < _FLAT)


def _samples(pictures: Iterable[U8Image], spec: InputSpec, name: str, what: str) -> Samples:
    """Through the camera's own preprocessing, one by one; ``what`` is named if they are too few."""
    rows = [preprocess([Region("calibration", pixels)], spec) for pixels in pictures]
    if len(rows) < MIN_IMAGES:
        raise DataError(
            f"{what}: {len(rows)} pictures can be used, at least {MIN_IMAGES} are needed",
            fix="give a directory with more photos of what the camera will see: 100 are good",
        )
    images = np.concatenate(rows)
    return Samples(images, name, hashlib.sha256(images.tobytes()).hexdigest())


def _shuffled(paths: Sequence[Path], seed: int) -> list[Path]:
    return [paths[i] for i in np.random.default_rng(seed).permutation(len(paths))]


def _take(pairs: Iterator[tuple[bytes, U8Image]], count: int) -> Iterator[U8Image]:
    for _, (_, pixels) in zip(range(count), pairs, strict=False):
        yield pixels
