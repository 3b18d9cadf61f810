"""The golden set: pictures at the model's input size with the float model's answers, so that a device can judge its candidates."""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.data import U8Image
from edge.errors import BundleError

GOLDEN_MIN_IMAGES = 64
MAX_BYTES = 1_000_000_000
"""Unpacked: 1,600 pictures of 448×448 pixels. More would not fit beside a camera loop."""


@dataclass(frozen=True, slots=True)
class GoldenSet:
    """``images``: N×H×W×3 uint8 RGB at the model's input size. ``expected``: N×C float32, the float PyTorch model's logits
    (or embeddings)."""

    images: U8Image
    expected: npt.NDArray[np.float32]


def encode_golden(golden: GoldenSet) -> bytes:
    """A compressed .npz with the arrays ``images`` and ``expected``."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=golden.images, expected=golden.expected)
    return buffer.getvalue()


def decode_golden(content: bytes, name: str) -> GoldenSet:
    """Read back; ``name`` is only named in errors. Raises BundleError."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            inflated = sum(info.file_size for info in archive.infolist())
        if inflated > MAX_BYTES:
            raise BundleError(f"{name}: not a golden set: it would inflate to {inflated:,} bytes")
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            images, expected = archive["images"], archive["expected"]
    except (ValueError, KeyError, OSError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise BundleError(f"{name}: not a golden set: {error}") from error
    if images.ndim != 4 or images.shape[3] != 3 or images.dtype != np.uint8:
        raise BundleError(f"{name}: images must be N×H×W×3 uint8, not {images.shape} {images.dtype}")
    if expected.ndim != 2 or len(expected) != len(images) or expected.dtype != np.float32 or not np.isfinite(expected).all():
        raise BundleError(f"{name}: expected must be {len(images)}×C finite float32, not {expected.shape} {expected.dtype}")
    return GoldenSet(images, expected)
