"""Which part of a photo the model sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge.data import U8Image
from edge.manifest import Fit
from edge.preprocess import resize_into


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the photo. With the ``letterbox`` rule it is larger than the photo: the model also sees the padding."""

    left: float
    top: float
    width: float
    height: float


def seen_box(photo_hw_px: tuple[int, int], size_hw_px: tuple[int, int], fit: Fit) -> Box:
    """The part of a photo that fills the model's input, by the same arithmetic as ``edge.preprocess.resize_into``."""
    (src_h, src_w), (height, width) = photo_hw_px, size_hw_px
    if fit == "stretch":
        return Box(0, 0, src_w, src_h)
    if fit == "centre_crop":
        part_w, part_h = min(src_w, max(1, round(src_h * width / height))), min(src_h, max(1, round(src_w * height / width)))
        return Box((src_w - part_w) // 2, (src_h - part_h) // 2, part_w, part_h)
    scale = min(height / src_h, width / src_w)
    inner_h, inner_w = min(height, max(1, round(src_h * scale))), min(width, max(1, round(src_w * scale)))
    top, left = (height - inner_h) // 2, (width - inner_w) // 2
    per_x, per_y = src_w / inner_w, src_h / inner_h
    return Box(-left * per_x, -top * per_y, width * per_x, height * per_y)


def fitted(photo: U8Image, size_hw_px: tuple[int, int], fit: Fit) -> U8Image:
    """What the model sees of an H×W×3 photo: h×w×3 uint8 RGB, h×w being ``size_hw_px``."""
    out = np.empty((*size_hw_px, 3), dtype=np.uint8)
    resize_into(photo, fit, out)
    return out


def photo_point(box: Box, size_hw_px: tuple[int, int], point_xy_px: tuple[float, float]) -> tuple[float, float]:
    """(x, y) in the model's input → (x, y) in the photo."""
    x, y = point_xy_px
    return box.left + x * box.width / size_hw_px[1], box.top + y * box.height / size_hw_px[0]
