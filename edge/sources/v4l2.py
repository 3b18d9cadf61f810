"""USB cameras and capture cards through OpenCV's V4L2 backend."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import cv2

from edge.clock import Clock
from edge.errors import SourceError
from edge.sources.base import SourceLimits
from edge.sources.opencv import OpenCvSource
from edge.sources.options import MAX_FPS, MAX_SIDE_PX, Option, parse_options, rate, size_hw_px
from edge.sources.shown import show_source

_MIN_SIDE_PX = 16


def _fourcc(text: str) -> str | None:
    return text.upper() if re.fullmatch(r"[A-Za-z0-9]{4}", text) else None


OPTIONS: dict[str, Option] = {
    "size": ("size_hw_px", size_hw_px(_MIN_SIDE_PX), f"WIDTHxHEIGHT in pixels, each {_MIN_SIDE_PX} to {MAX_SIDE_PX}"),
    "fps": ("fps", rate, f"0.001 to {MAX_FPS:g}"),
    "fourcc": ("fourcc", _fourcc, "four letters or digits, such as MJPG or YUYV"),
}


class V4l2Camera(OpenCvSource):
    """``v4l2:0`` or ``v4l2:/dev/video0``, with options: ``v4l2:/dev/video0,size=1280x720,fps=15,fourcc=MJPG``.

    Most USB cameras reach 720p and more at a useful rate only as MJPG. A driver takes the nearest format that it has for one that it has
    not: another FOURCC or size is a SourceError; another rate is not, since light and exposure change it anyway.

    Args:
        device: the device file; a link below ``/dev/v4l/by-id`` stays the same when cameras are plugged in another order.
        size_hw_px: height and width; None: what the camera is set to.
        fps: frames a second; None: what the camera is set to.
        fourcc: the pixel format on the wire; None: what OpenCV chooses.
        limits: how long to wait for what.
        clock: stamps the frames.
    """

    def __init__(
        self,
        device: Path,
        *,
        limits: SourceLimits,
        size_hw_px: tuple[int, int] | None = None,
        fps: float | None = None,
        fourcc: str | None = None,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(show_source(f"v4l2:{device}"), limits=limits, size_hw_px=size_hw_px, clock=clock)
        self._path = device
        self._fps = fps
        self._fourcc = fourcc

    @classmethod
    def from_uri(cls, uri: str, rest: str, *, limits: SourceLimits, clock: Clock) -> V4l2Camera:
        """What ``--source`` names. Raises ConfigError."""
        device, _, options = rest.partition(",")
        path = Path(f"/dev/video{device or 0}" if re.fullmatch("[0-9]{0,4}", device) else device)
        return cls(path, **parse_options(options, OPTIONS, uri), limits=limits, clock=clock)

    def _connect(self) -> cv2.VideoCapture:
        _check_device(self._path, self.shown)
        capture = cv2.VideoCapture(str(self._path), cv2.CAP_V4L2)
        if not capture.isOpened():
            raise SourceError(
                f"{self.shown}: is no camera, or another process has it open",
                fix="`shelfcam cameras` lists the cameras; `fuser -v DEVICE` says who has it open",
            )
        try:
            self._set_up(capture)
        except SourceError:
            capture.release()
            raise
        return capture

    def _set_up(self, capture: cv2.VideoCapture) -> None:
        # The FOURCC first: sizes and rates are those of one format.
        if self._fourcc is not None:
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*self._fourcc))
            got = int(capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=True).decode("ascii", "replace")
            self._compare("the format", self._fourcc, got)
        if self._size_hw_px is not None:
            h, w = self._size_hw_px
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, w)
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, h)
            got_w, got_h = capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
            self._compare("the size", f"{w}x{h}", f"{got_w:.0f}x{got_h:.0f}")
        if self._fps is not None:
            capture.set(cv2.CAP_PROP_FPS, self._fps)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 2)  # fewer old frames on the way; a driver may keep its own number

    def _compare(self, what: str, wanted: str, got: str) -> None:
        if wanted != got:
            raise SourceError(
                f"{self.shown}: has not {what} {wanted}; it offers {got}",
                fix="`v4l2-ctl --list-formats-ext -d DEVICE` lists what the camera has (Debian: v4l-utils)",
            )

    def _silent(self, waited_ms: float) -> SourceError:
        if not self._path.exists():
            return SourceError(f"{self.shown}: was unplugged")
        return SourceError(f"{self.shown}: delivers nothing any more; waited {waited_ms / 1000:.1f} s")


def _check_device(path: Path, shown: str) -> None:
    """OpenCV says only that it cannot open a device; the reason decides who acts. Raises SourceError."""
    listed: dict[str, Any] = {"fix": "`shelfcam cameras` lists what is attached"}
    try:
        there = path.exists()
    except (OSError, ValueError) as error:  # a name that no file can have
        raise SourceError(f"{shown}: no such device", **listed) from error
    if not there:
        raise SourceError(f"{shown}: no such device", **listed)
    if not os.access(path, os.R_OK | os.W_OK):
        raise SourceError(f"{shown}: may not be opened by this user", fix="add the user to the group video")
