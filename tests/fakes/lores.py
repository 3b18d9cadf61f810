"""The small second picture of a camera's image processor, made from the frame in several ways."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from edge.sources.lores import to_rgb
from tests.fakes.libcamera import ColorSpace
from tests.fakes.picamera2 import write_yuv420
from tests.fakes.scripted_shelf import SIZE_HW_PX

SMALL_HW = (SIZE_HW_PX[0] // 4, SIZE_HW_PX[1] // 4)


def of_the_camera(reduce: Callable[[np.ndarray], np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """What a second stream gives: reduced by the image processor, as YUV with padded rows, and back."""

    def small_of(pixels: np.ndarray) -> np.ndarray:
        rgb = reduce(pixels)
        h, w = rgb.shape[:2]
        stride = w + 32
        buffer = np.zeros(stride * h * 3 // 2, np.uint8)
        write_yuv420(rgb, buffer, stride, ColorSpace.Smpte170m())
        return to_rgb(buffer.reshape(h * 3 // 2, stride), (h, w), "cam")

    return small_of


def averaged(pixels: np.ndarray) -> np.ndarray:
    return cv2.resize(pixels, SMALL_HW[::-1], interpolation=cv2.INTER_AREA)


def picked(pixels: np.ndarray) -> np.ndarray:
    """From the nearest pixels only: sharper and noisier than an average."""
    return cv2.resize(pixels, SMALL_HW[::-1], interpolation=cv2.INTER_LINEAR)


def softened(pixels: np.ndarray) -> np.ndarray:
    """From more pixels than its own."""
    return averaged(cv2.GaussianBlur(pixels, (0, 0), 2.0))
