"""The small second picture that a CSI camera's image processor makes of each frame: its size, and what its bytes mean."""

from __future__ import annotations

import cv2
import numpy as np

from edge.data import U8Image
from edge.errors import SourceError

GREY_PX = 4
"""Pixels of the frame behind each pixel of the grey picture of a glance (``edge.shelf.glance``), which must still show edges."""
FORMAT = "YUV420"
"""Of libcamera, planar Y, U, V: what the Pi's image processors up to the Pi 4 make of a second stream (those of the Pi 5 make RGB as
well)."""
OFF: tuple[int, int] = (0, 0)


def default_size_hw_px(frame_hw_px: tuple[int, int]) -> tuple[int, int]:
    """A quarter of each side, from which a glance needs no more reducing; ``OFF`` where that is not whole and even."""
    h, w = frame_hw_px
    even = 2 * GREY_PX
    return (h // GREY_PX, w // GREY_PX) if h % even == 0 and w % even == 0 else OFF


def fits(small_hw_px: tuple[int, int], frame_hw_px: tuple[int, int]) -> bool:
    """Whether a small picture of that size can stand for a frame: of the same shape, and detailed enough for the grey picture."""
    (h, w), (frame_h, frame_w) = small_hw_px, frame_hw_px
    whole = frame_h % GREY_PX == 0 and frame_w % GREY_PX == 0
    return whole and h * frame_w == w * frame_h and frame_h // GREY_PX <= h <= frame_h


def to_rgb(yuv: U8Image, size_hw_px: tuple[int, int], shown: str) -> U8Image:
    """One picture of format ``FORMAT`` in colour.

    Args:
        yuv: (3·h/2)×stride uint8 as picamera2's ``make_array`` gives it, rows padded to the stride: h rows of Y, then U and V, each h/2
            rows of stride/2, two of which share a row. Values of ITU-R BT.601 in the limited range (libcamera's ``Smpte170m``): Y from
            16 to 235.
        size_hw_px: of the picture without the padding, both even.
        shown: what messages call the camera.

    Returns:
        h×w×3 uint8 RGB, owned.

    Raises:
        SourceError: another shape or type.
    """
    h, w = size_hw_px
    if yuv.dtype != np.uint8 or yuv.ndim != 2 or yuv.shape[0] != h * 3 // 2 or yuv.shape[1] < w or yuv.shape[1] % 2:
        raise SourceError(
            f"{shown}: its small picture is of {yuv.shape} {yuv.dtype}, not of {w}x{h} {FORMAT}",
            fix="lores=off does without it",
        )
    # I420, not OpenCV's COLOR_YUV420p2RGB: that is YV12, which takes V for U and so red for blue.
    rgb = cv2.cvtColor(yuv, cv2.COLOR_YUV2RGB_I420)
    return np.ascontiguousarray(rgb[:, :w], dtype=np.uint8)
