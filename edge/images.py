"""Reading pictures from disk: one place that knows OpenCV's channel order and which files are pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge.data import U8Image
from edge.errors import DataError, InputMissingError
from edge.files import read_regular
from edge.picture_size import MAX_PIXELS, picture_size_hw_px, refuse_large, without_extras

__all__ = ["IMAGE_SUFFIXES", "MAX_FILE_BYTES", "decode_rgb", "list_images", "picture_size_hw_px", "read_rgb", "refuse_large"]

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
MAX_FILE_BYTES = 256_000_000
"""A PPM or an unpacked TIFF of so many pixels has up to 200 MB."""


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


def read_rgb(path: Path, max_pixels: int = MAX_PIXELS) -> U8Image:
    """The picture as H×W×3 uint8 RGB, C-contiguous, turned upright as its EXIF orientation says; grey becomes RGB, alpha is dropped.

    Raises:
        InputMissingError: no such file, or it may not be read.
        DataError: it is no picture, a broken one, or one larger than ``MAX_FILE_BYTES`` or ``max_pixels``.
    """
    try:
        content = read_regular(path, MAX_FILE_BYTES, follow=True)
    except ValueError as error:
        raise DataError(f"{str(path)!r}: cannot be read as a picture: {error}") from error
    except OSError as error:
        raise InputMissingError(f"{path}: {error.strerror or error}") from error
    return decode_rgb(content, str(path), max_pixels)


def decode_rgb(content: bytes, name: str, max_pixels: int = MAX_PIXELS) -> U8Image:
    """An encoded picture as ``read_rgb`` gives it; ``name`` is only named in errors. Its header is read before it is decoded.

    Raises:
        DataError: it is no picture, a broken one, or one of more than ``max_pixels``.
    """
    size_hw_px = picture_size_hw_px(content, name)
    refuse_large(size_hw_px, name, max_pixels)
    try:
        bgr = cv2.imdecode(np.frombuffer(without_extras(content), dtype=np.uint8), cv2.IMREAD_COLOR)
    except cv2.error as error:
        raise DataError(f"{name}: cannot be decoded as a picture: {error.err}") from error
    if bgr is None or sorted(bgr.shape[:2]) != sorted(size_hw_px):
        raise DataError(f"{name}: cannot be decoded as a picture")
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)
