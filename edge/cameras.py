"""Trying cameras: is there a picture, of which size, and what does it show?"""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import msgspec

from edge.data import Frame, NoFrame, U8Image
from edge.errors import SinkError, SourceError
from edge.files import write_atomic
from edge.sources.base import Source

_WARM_UP_FRAMES = 10  # exposure and white balance of most cameras have settled by then
_JPEG_QUALITY = 95


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """What a source showed. ``still``: where it was saved, if anywhere."""

    size_hw_px: tuple[int, int]
    still: str | None


def try_source(source: Source, *, shown: str, directory: Path | None, max_silences: int = 10) -> Tried:
    """Open ``source``, let the exposure settle, and save what it sees last as a JPEG.

    Args:
        source: not yet opened. A camera is looked at for ten frames, or as many as come before it is silent; a file for one.
        shown: what it is called, without credentials: the still's file name is made of it.
        directory: where the still goes, made if absent; None: nowhere.
        max_silences: NoFrame ticks in a row after which a camera that delivered nothing is given up.

    Raises:
        SourceError: it delivers no picture; or what else opening and reading raise.
        SinkError: the still cannot be written.
    """
    with source:
        pixels = _settled(source, max_silences)
    if pixels is None:
        raise SourceError(f"{shown}: is open but delivers no picture")
    still = None if directory is None else save_still(pixels, directory / f"{still_name(shown)}.jpg")
    return Tried(size_hw_px=(pixels.shape[0], pixels.shape[1]), still=still)


def _settled(source: Source, max_silences: int) -> U8Image | None:
    pixels: U8Image | None = None
    frames = silences = 0
    for tick in source:
        if isinstance(tick, Frame):
            pixels, frames, silences = tick.pixels, frames + 1, 0
        elif isinstance(tick, NoFrame):
            silences += 1
        if frames >= (_WARM_UP_FRAMES if source.live else 1) or silences >= (1 if frames else max_silences):
            break
    return pixels


def save_still(pixels: U8Image, path: Path) -> str:
    """Write H×W×3 uint8 RGB as a JPEG, replacing an older one in one step; returns the path. Raises SinkError."""
    done, encoded = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    if not done:
        raise SinkError(f"{path}: the still cannot be encoded")
    write_atomic(path, encoded.tobytes())
    return str(path)


def still_name(shown: str) -> str:
    """``v4l2:/dev/video0`` → ``v4l2-dev-video0``: letters, digits, dot, dash and underscore, at most 100."""
    return re.sub(r"[^\w.]+", "-", shown, flags=re.ASCII).strip("-.")[:100] or "camera"
