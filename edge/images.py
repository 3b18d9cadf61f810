"""Reading pictures from disk: one place that knows OpenCV's channel order and which files are pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge.data import U8Image
from edge.errors import DataError, InputMissingError

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})


def list_images(directory: Path) -> list[Path]:
    """Every picture below ``directory`` by its suffix, sorted, hidden files and folders left out.

    Raises:
        InputMissingError: the directory is not there, or holds no picture.
    """
    if not directory.is_dir():
        raise InputMissingError(f"{directory}: no such directory")
    found = sorted(
        path
        for path in directory.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(directory).parts)
        and path.is_file()
    )
    if not found:
        kinds = " ".join(sorted(IMAGE_SUFFIXES))
        raise InputMissingError(f"{directory}: no pictures in it", fix=f"looked for files ending in {kinds}")
    return found


def read_rgb(path: Path) -> U8Image:
    """The picture as H×W×3 uint8 RGB, C-contiguous, turned upright as its EXIF orientation says; grey becomes RGB, alpha is dropped.

    Raises:
        InputMissingError: no such file, or it may not be read.
        DataError: it is no picture, or a broken one.
    """
    try:
        encoded = np.fromfile(path, dtype=np.uint8)
    except ValueError as error:
        raise DataError(f"{str(path)!r}: no file can have that name: {error}") from error
    except OSError as error:
        raise InputMissingError(f"{path}: {error.strerror or error}") from error
    try:
        bgr = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
    except cv2.error as error:
        raise DataError(f"{path}: cannot be decoded as a picture: {error.err}") from error
    if bgr is None:
        raise DataError(f"{path}: cannot be decoded as a picture")
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
