"""A small picture of each frame, by which rest and the view's health are judged: made once a tick, noise averaged away."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edge.data import F32, Frame, U8Image
from edge.errors import DataError
from edge.sources.lores import GREY_PX, fits

SIDE_PX = 8
"""Pixels of the frame behind each pixel of a glance: noise of σ = 4 becomes 0.5."""
_FULL = 250.0  # at and above this a pixel says nothing about the light any more
_DARK = 12.0  # nor below
_LIGHT_GREY = 160.0
_GAIN_MIN = 0.05


@dataclass(frozen=True, slots=True)
class Glance:
    """``small``: h×w×3 float32 0…255, a pixel for 8×8 of the frame; ``grey``: 2h×2w float32; ``print``: equal for identical frames."""

    small: F32
    grey: F32
    print: int


class Glancer:
    """Keeps the last glance, because several parts ask for the same frame."""

    def __init__(self) -> None:
        self._seq: int | None = None
        self._glance: Glance | None = None
        self._size_hw_px: tuple[int, int] | None = None

    def at(self, frame: Frame) -> Glance:
        """The glance of ``frame``. Raises DataError for one of another size than the first: slots are places in pixels."""
        height, width = frame.pixels.shape[:2]
        self._size_hw_px = self._size_hw_px or (height, width)
        if (height, width) != self._size_hw_px:
            name = frame.name or f"frame {frame.seq}"
            raise DataError(
                f"{name}: is of {width}×{height} pixels, the first was of {self._size_hw_px[1]}×{self._size_hw_px[0]}",
                fix="slots need frames of one size",
            )
        if self._glance is None or self._seq != frame.seq:
            self._seq, self._glance = frame.seq, glance_of(frame.pixels, frame.small)
        return self._glance


def glance_of(pixels: U8Image, small_picture: U8Image | None = None) -> Glance:
    """From H×W×3 uint8 RGB; a rest of fewer than 8 pixels at the right and the bottom is left out.

    ``small_picture``, where it ``fits``, spares the reading of the whole frame: h×w×3 uint8 RGB of the same moment.
    """
    h, w = pixels.shape[0] // SIDE_PX, pixels.shape[1] // SIDE_PX
    whole = pixels[: h * SIDE_PX, : w * SIDE_PX]
    size_wh_px = (w * SIDE_PX // GREY_PX, h * SIDE_PX // GREY_PX)
    if small_picture is not None and fits(small_picture.shape[:2], pixels.shape[:2]):
        reduced = _reduced(small_picture, (pixels.shape[1] // GREY_PX, pixels.shape[0] // GREY_PX))
        quarter = reduced[: size_wh_px[1], : size_wh_px[0]]
    else:
        half = _reduced(whole, (w * SIDE_PX // 2, h * SIDE_PX // 2))
        quarter = _reduced(half, size_wh_px)
    small = cv2.resize(quarter, (w, h), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(quarter, cv2.COLOR_RGB2GRAY)
    return Glance(small.astype(np.float32), grey.astype(np.float32), hash(whole[::17, ::13].tobytes()))


def _reduced(picture: U8Image, size_wh_px: tuple[int, int]) -> U8Image:
    if picture.shape[1::-1] == size_wh_px:
        return picture
    return np.asarray(cv2.resize(picture, size_wh_px, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def gain_between(base: F32, now: F32) -> float:
    """By how much ``now`` is brighter than ``base``: two float32 arrays of one shape, pixels of the same scene.

    The median over all pixels that are neither full nor dark, so that what changed in less than half of them does not count; 1.0
    where there are too few.
    """
    usable = (base > _DARK) & (base < _FULL) & (now > _DARK / 4) & (now < _FULL)
    if np.count_nonzero(usable) < usable.size // 20:
        return 1.0
    return float(np.median(now[usable] / base[usable]))


def in_reference_light(pixels: F32, gain: float) -> F32:
    """``pixels`` as they would be if the light were that of the reference, which is ``gain`` times darker."""
    return np.asarray(pixels / np.float32(max(gain, _GAIN_MIN)), dtype=np.float32)


def difference(one: F32, other: F32, gain: float) -> float:
    """How much ``other`` differs from ``one`` in ``gain`` times the light; both h×w×3 float32.

    The mean over the most different tenth of the pixels, as a share of mid-grey in that light: 0 for equal ones. Pixels that are full
    are taken as equal to all that would be full.
    """
    full = np.float32(_FULL)
    apart = np.abs(np.minimum(one * np.float32(gain), full) - np.minimum(other, full)).max(axis=2)
    count = max(1, apart.size // 10)
    worst = np.partition(apart.ravel(), -count)[-count:]
    return float(worst.mean()) / light_unit(gain)


def light_unit(gain: float) -> float:
    """What differences are measured in: a light grey of the reference in the present light, within the sensor's range."""
    return _LIGHT_GREY * min(max(gain, 0.2), 1.5)
