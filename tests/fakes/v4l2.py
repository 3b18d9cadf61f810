"""A fake of ``cv2.VideoCapture`` over V4L2: properties, format negotiation and failures as OpenCV's backend has them.

OpenCV's behaviour, from modules/videoio/src/cap_v4l.cpp: the device is opened by its file name; ``set`` answers whether the driver
took something, and ``get`` what it took; ``grab`` waits for a buffer and is False after a time-out or when the device is gone;
``retrieve`` gives BGR, or nothing for a JPEG that cannot be decoded.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import cv2
import numpy as np

SIZES = ((640, 480), (128, 96), (1280, 720))


class FakeV4l2:
    """Stands in for the class: call it to open a device. ``picture(index)`` gives BGR, None for a broken JPEG."""

    def __init__(self, picture: Callable[[int], np.ndarray | None], *, period_s: float = 0.01) -> None:
        self.picture, self.period_s = picture, period_s
        self.busy = False
        self.gone = threading.Event()
        self.calls: list[tuple[str, object]] = []
        self.opened: list[tuple[str, int]] = []
        self.released = 0

    def __call__(self, filename: str, api: int) -> FakeCapture:
        self.opened.append((filename, api))
        return FakeCapture(self)


class FakeCapture:
    def __init__(self, device: FakeV4l2) -> None:
        self._device = device
        self._index = -1
        self._set = {
            cv2.CAP_PROP_FOURCC: float(cv2.VideoWriter.fourcc(*"YUYV")),
            cv2.CAP_PROP_FRAME_WIDTH: 640.0,
            cv2.CAP_PROP_FRAME_HEIGHT: 480.0,
            cv2.CAP_PROP_FPS: 30.0,
        }

    def isOpened(self) -> bool:
        return not self._device.busy

    def set(self, prop: int, value: float) -> bool:
        self._device.calls.append((prop, value))
        if prop == cv2.CAP_PROP_FOURCC and value not in (cv2.VideoWriter.fourcc(*"YUYV"), cv2.VideoWriter.fourcc(*"MJPG")):
            return False
        if prop in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT):
            side = 0 if prop == cv2.CAP_PROP_FRAME_WIDTH else 1
            value = min((size[side] for size in SIZES), key=lambda known: abs(known - value))
        self._set[prop] = float(value)
        return True

    def get(self, prop: int) -> float:
        return self._set.get(prop, -1.0)

    def grab(self) -> bool:
        if self._device.gone.wait(self._device.period_s):
            return False
        self._index += 1
        return True

    def retrieve(self) -> tuple[bool, np.ndarray | None]:
        picture = self._device.picture(self._index)
        return picture is not None, picture

    def release(self) -> None:
        self._device.released += 1
