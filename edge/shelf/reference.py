"""The shelf as it was at install: what a clear view looks like, and what an empty slot looks like."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edge.data import U8Image
from edge.errors import ConfigError, DataError, InputMissingError
from edge.files import open_regular, write_atomic
from edge.images import read_rgb

FILE_NAME = "reference.png"
_NEED = 5
FIX = "shelfcam reference --config CONFIG takes one, from the emptied shelf"


@dataclass(frozen=True, slots=True)
class Reference:
    """``pixels``: H×W×3 uint8 RGB, of the emptied shelf in its usual light."""

    pixels: U8Image


def from_frames(frames: Sequence[U8Image]) -> Reference:
    """The median of several frames: without noise, and without whoever walked through some of them.

    Raises:
        DataError: fewer than 5, or of several sizes.
    """
    if len(frames) < _NEED or len({frame.shape for frame in frames}) > 1:
        raise DataError(f"a reference needs {_NEED} frames of one size, not {len(frames)}")
    rows = [np.median(np.stack([frame[y] for frame in frames]), axis=0) for y in range(frames[0].shape[0])]
    return Reference(np.stack(rows).round().astype(np.uint8))


def save(directory: Path, reference: Reference) -> Path:
    """Write it into the camera's state directory. Raises SinkError."""
    encoded = cv2.imencode(".png", reference.pixels[..., ::-1])[1]
    path = directory / FILE_NAME
    write_atomic(path, encoded.tobytes(), follow=False)
    return path


def load(directory: Path, size_hw_px: tuple[int, int]) -> Reference | None:
    """That of the camera with this state directory; None if there is none.

    Raises:
        ConfigError: it is of another size than the camera's frames.
        DataError: it cannot be decoded.
    """
    path = directory / FILE_NAME
    try:
        os.close(open_regular(path))
        pixels = read_rgb(path)
    except (FileNotFoundError, InputMissingError):
        return None
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}", fix=FIX) from error
    if pixels.shape[:2] != size_hw_px:
        raise ConfigError(
            f"{path}: is of {pixels.shape[1]}×{pixels.shape[0]} pixels, the camera gives {size_hw_px[1]}×{size_hw_px[0]}",
            fix=FIX,
        )
    return Reference(pixels)
