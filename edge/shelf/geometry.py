"""Where a slot is in the frame, and its pixels seen from the front."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.data import Box, Region, U8Image

Corners = tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]
"""x, y of the upper left, upper right, lower right and lower left corner."""

_SIDE_MIN_PX = 8


@dataclass(frozen=True, slots=True)
class Place:
    """A slot in a frame of one size.

    ``box_xyxy_px``: the smallest box around it, right and bottom excluded. ``matrix``: 3×3 homography from the frame to the rectified
    picture of ``size_wh_px``; None where the slot is a box, whose pixels are taken as they are.
    """

    box_xyxy_px: Box
    size_wh_px: tuple[int, int]
    matrix: npt.NDArray[np.float64] | None

    def cut(self, pixels: U8Image) -> U8Image:
        """The slot's pixels, H×W×3 uint8: a view into the frame for a box, else a rectified copy."""
        if self.matrix is None:
            x0, y0, x1, y1 = self.box_xyxy_px
            return pixels[y0:y1, x0:x1]
        return np.asarray(cv2.warpPerspective(pixels, self.matrix, self.size_wh_px, flags=cv2.INTER_LINEAR), dtype=np.uint8)

    def region(self, slot: str, pixels: U8Image, wants: frozenset[str] | None = None) -> Region:
        """What a model is asked about, of a frame's ``pixels``."""
        to_frame = None if self.matrix is None else np.asarray(np.linalg.inv(self.matrix), dtype=np.float64)
        return Region(slot, self.cut(pixels), self.box_xyxy_px, to_frame, wants=wants)


def place(corners: Sequence[tuple[float, float]], size_hw_px: tuple[int, int]) -> Place:
    """Find a slot in a frame.

    Args:
        corners: two, the upper left and the lower right of a box; or four, as ``Corners``. In pixels, or relative to the frame's
            width and height if none is above 1.
        size_hw_px: of the frame.

    Raises:
        ValueError: outside the frame, smaller than 8 pixels, or not convex and clockwise.
    """
    height, width = size_hw_px
    scale = (width, height) if all(0 <= v <= 1 for corner in corners for v in corner) else (1, 1)
    points = [(x * scale[0], y * scale[1]) for x, y in corners]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    box = (math.floor(min(xs)), math.floor(min(ys)), math.ceil(max(xs)), math.ceil(max(ys)))
    if box[0] < 0 or box[1] < 0 or box[2] > width or box[3] > height:
        raise ValueError(f"{box} lies outside the frame of {width}×{height} pixels")
    if box[2] - box[0] < _SIDE_MIN_PX or box[3] - box[1] < _SIDE_MIN_PX:
        raise ValueError(f"{box} is smaller than {_SIDE_MIN_PX}×{_SIDE_MIN_PX} pixels")
    if len(points) == 2:
        return Place(box, (box[2] - box[0], box[3] - box[1]), None)
    if not _clockwise(points):
        raise ValueError("the corners must go clockwise from the upper left, around a convex shape")
    wide = max(math.dist(points[0], points[1]), math.dist(points[3], points[2]))
    high = max(math.dist(points[0], points[3]), math.dist(points[1], points[2]))
    size = (max(_SIDE_MIN_PX, round(wide)), max(_SIDE_MIN_PX, round(high)))
    flat = np.array([(0, 0), (size[0], 0), size, (0, size[1])], dtype=np.float32)
    matrix = cv2.getPerspectiveTransform(np.array(points, dtype=np.float32), flat)
    return Place(box, size, np.asarray(matrix, dtype=np.float64))


def _clockwise(points: Sequence[tuple[float, float]]) -> bool:
    """In a picture, where y grows downwards."""
    turns = []
    for i in range(4):
        (ax, ay), (bx, by), (cx, cy) = points[i], points[(i + 1) % 4], points[(i + 2) % 4]
        turns.append((bx - ax) * (cy - by) - (by - ay) * (cx - bx))
    return all(turn > 0 for turn in turns)
