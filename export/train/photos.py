"""Labelled photos in memory."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

import cv2
import numpy as np
import numpy.typing as npt

from edge.data import Region, U8Image
from edge.errors import DataError, InputMissingError
from edge.evaluate import Sample
from edge.images import read_rgb
from edge.preprocess import preprocess
from export.candidates import input_spec
from export.load.model import FloatModel

_KEPT_ABOVE_INPUT = 1.6
"""Photos are kept at most so many times larger than the network's input: a random crop of 0.4 of the area still has every pixel."""


@dataclass(frozen=True, slots=True)
class OnDisk(Sequence[U8Image]):
    """Photos that are read each time they are looked at."""

    paths: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, place: int) -> U8Image: ...

    @overload
    def __getitem__(self, place: slice) -> OnDisk: ...

    def __getitem__(self, place: int | slice) -> U8Image | OnDisk:
        """H×W×3 uint8 RGB. Raises DataError or InputMissingError."""
        return OnDisk(self.paths[place]) if isinstance(place, slice) else read_rgb(self.paths[place])


@dataclass(frozen=True, slots=True)
class Photos:
    """``images``: each H×W×3 uint8 RGB, of its own size; ``truth``: N class indices; ``digests``: SHA-256 of each photo's pixels as they
    were read; ``sha256`` of all digests and labels, in order."""

    images: Sequence[U8Image]
    truth: npt.NDArray[np.int64]
    digests: tuple[bytes, ...]
    skipped: int

    def __len__(self) -> int:
        return len(self.images)

    @property
    def sha256(self) -> str:
        """Hex; the same photos with the same labels in the same order have the same."""
        return hashlib.sha256(b"".join(self.digests) + self.truth.tobytes()).hexdigest()

    def without(self, others: Photos) -> Photos:
        """Those that are not among ``others``, by their pixels."""
        seen = set(others.digests)
        return self.at([i for i, digest in enumerate(self.digests) if digest not in seen])

    def at(self, places: Sequence[int]) -> Photos:
        """Those at ``places``, in that order."""
        images, digests = tuple(self.images[i] for i in places), tuple(self.digests[i] for i in places)
        return Photos(images, self.truth[list(places)], digests, self.skipped)


def load_photos(
    samples: Sequence[Sample], directory: Path, side_px: int, skip: Callable[[str], None], *, judging: bool = False
) -> Photos:
    """Read the listed photos below ``directory``; those that cannot be read are left out, and ``skip`` is told why.

    Args:
        samples: paths and class indices.
        directory: that the paths are below.
        side_px: the network's shorter input side: larger photos are reduced to a multiple of it.
        skip: called with the reason.
        judging: the photos go through ``edge.preprocess`` as a camera's frames do, untouched, and so are read again when they are
            needed. Otherwise random views are cut out of them, for which any reduction will do.

    Raises:
        DataError: no photo can be read.
    """
    images, paths, truth, digests = [], [], [], []
    for sample in samples:
        path = directory / sample.path
        try:
            pixels = read_rgb(path)
        except (DataError, InputMissingError) as error:
            skip(str(error))
            continue
        if judging:
            paths.append(path)
        else:
            images.append(_reduced(pixels, side_px))
        truth.append(sample.label)
        digests.append(hashlib.sha256(pixels.tobytes()).digest())
    if not truth:
        raise DataError(
            f"{directory}: none of the {len(samples)} listed photos can be read", fix="check --images and the list's paths"
        )
    return Photos(
        OnDisk(tuple(paths)) if judging else tuple(images),
        np.asarray(truth, dtype=np.int64),
        tuple(digests),
        len(samples) - len(truth),
    )


def as_input(photos: Photos, model: FloatModel) -> U8Image:
    """N×H×W×3 uint8 RGB at the model's size, through the camera's own preprocessing."""
    spec = input_spec(model.size_hw_px, "onnx", fit=model.fit)
    return np.concatenate([preprocess([Region("photo", image)], spec) for image in photos.images])


def _reduced(pixels: U8Image, side_px: int) -> U8Image:
    height, width = pixels.shape[:2]
    factor = min(height, width) / (side_px * _KEPT_ABOVE_INPUT)
    if factor <= 1:
        return pixels
    size = (math.ceil(width / factor), math.ceil(height / factor))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
