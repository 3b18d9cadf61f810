"""Random views of a photo for training: geometry and colour in one warp and one matrix; and two photos mixed into one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.data import U8Image

F32 = npt.NDArray[np.float32]

# Luma of ITU-R BT.601: what a picture without colour keeps.
_LUMA = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How far a view may differ from the photo.

    ``area_min``: the smallest share of the photo's area that a view shows. ``turn_deg``: turned by at most that, half of the time.
    ``brightness``, ``contrast``, ``saturation``, ``tint``: factors within 1 ± that. ``erase``: how often a square is hidden.
    ``mix``: how often a whole batch is mixed, half of the time by mixup (Zhang et al. 2018, https://arxiv.org/abs/1710.09412), else
    by CutMix (Yun et al. 2019, https://arxiv.org/abs/1905.04899). ``flip``: left and right may be exchanged.
    """

    area_min: float = 0.35
    turn_deg: float = 15.0
    brightness: float = 0.3
    contrast: float = 0.3
    saturation: float = 0.4
    tint: float = 0.1
    erase: float = 0.25
    mix: float = 0.5
    flip: bool = True


def random_view(photo: U8Image, size_hw_px: tuple[int, int], how: Augmentation, rng: np.random.Generator) -> U8Image:
    """H×W×3 uint8 RGB of that size, from a photo of any size."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    matrix = _geometry(photo.shape[:2], size_hw_px, how, rng)
    warped = cv2.warpAffine(photo, matrix, size_hw_px[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    view: U8Image = np.asarray(warped, dtype=np.uint8)
    view = np.asarray(cv2.transform(view, _colour(view, how, rng)), dtype=np.uint8)
    if rng.random() < how.erase:
        _erase(view, rng)
    return view


def mixed(views: F32, targets: F32, how: Augmentation, rng: np.random.Generator) -> tuple[F32, F32]:
    """N×H×W×3 views and N×C target probabilities, perhaps mixed with another order of themselves."""
    if len(views) < 2 or rng.random() >= how.mix:
        return views, targets
    other = rng.permutation(len(views))
    if rng.random() < 0.5:
        keep = np.float32(rng.beta(0.4, 0.4))
        return views * keep + views[other] * (1 - keep), targets * keep + targets[other] * (1 - keep)
    height, width = views.shape[1:3]
    side = math.sqrt(rng.random())
    h, w = int(height * side), int(width * side)
    top, left = int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1))
    pasted = views.copy()
    pasted[:, top : top + h, left : left + w] = views[other, top : top + h, left : left + w]
    keep = np.float32(1 - h * w / (height * width))
    return pasted, targets * keep + targets[other] * (1 - keep)


def _geometry(photo_hw: tuple[int, int], size_hw: tuple[int, int], how: Augmentation, rng: np.random.Generator) -> F32:
    """2×3 matrix from the view's pixels to the photo's: a random crop, turned and perhaps flipped."""
    height, width = photo_hw
    area = height * width * rng.uniform(how.area_min, 1.0)
    ratio = math.exp(rng.uniform(math.log(0.8), math.log(1.25))) * size_hw[1] / size_hw[0]
    w, h = min(width, math.sqrt(area * ratio)), min(height, math.sqrt(area / ratio))
    left, top = rng.uniform(0, width - w), rng.uniform(0, height - h)
    angle = math.radians(rng.uniform(-how.turn_deg, how.turn_deg)) if rng.random() < 0.5 else 0.0
    flip = -1.0 if how.flip and rng.random() < 0.5 else 1.0
    step_x, step_y = w / size_hw[1], h / size_hw[0]
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    linear = turn @ np.diag([step_x * flip, step_y])
    middle = np.array([left + w / 2 - 0.5, top + h / 2 - 0.5])
    offset = middle - linear @ np.array([(size_hw[1] - 1) / 2, (size_hw[0] - 1) / 2])
    return np.column_stack([linear, offset]).astype(np.float32)


def _colour(view: U8Image, how: Augmentation, rng: np.random.Generator) -> F32:
    """3×4 matrix: saturation, then contrast around the view's mean, then brightness and a tint; a fifth of views keep their colours."""
    if rng.random() < 0.2:
        return np.eye(3, 4, dtype=np.float32)
    saturation, contrast, brightness = (
        rng.uniform(1 - spread, 1 + spread) for spread in (how.saturation, how.contrast, how.brightness)
    )
    tint = rng.uniform(1 - how.tint, 1 + how.tint, 3)
    matrix = saturation * np.eye(3) + (1 - saturation) * np.tile(_LUMA, (3, 1))
    mean = float(_LUMA @ np.asarray(cv2.mean(view)[:3]))
    gain = (brightness * tint)[:, None]
    return np.hstack([gain * contrast * matrix, gain * (1 - contrast) * mean]).astype(np.float32)


def _erase(view: U8Image, rng: np.random.Generator) -> None:
    height, width = view.shape[:2]
    side = int(min(height, width) * rng.uniform(0.1, 0.35))
    top, left = int(rng.integers(0, height - side + 1)), int(rng.integers(0, width - side + 1))
    view[top : top + side, left : left + side] = rng.integers(0, 256, (side, side, 3), dtype=np.uint8)
