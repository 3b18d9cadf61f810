"""The golden set: pictures at the model's input size with the float model's answers, so that a device can judge its candidates."""

from __future__ import annotations

import ast
import io
import re
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import prod
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from edge.bundle.archive import Archive
from edge.bundle.limits import CAMERA
from edge.data import F32, U8Image
from edge.errors import BundleError

GOLDEN_MIN_IMAGES = 64

IMAGES = "images"
"""The array with the pictures."""

_AXES_MAX = 5
_HEADER_MAX_BYTES = 1_000
_Number = TypeVar("_Number", bound=np.generic)
_HEADER = re.compile(r"[\w'{}():,|<> ]*\n?", re.ASCII)


@dataclass(frozen=True, slots=True)
class GoldenSet:
    """``images``: N×H×W×3 uint8 RGB at the model's input size. ``expected``: N×… float32, what the float PyTorch model says of each (a
    classifier's logits, N×C)."""

    images: U8Image
    expected: F32


def encode_golden(images: U8Image, expected: Mapping[str, F32]) -> bytes:
    """A compressed .npz with ``images`` and the arrays that are expected, by name."""
    buffer = io.BytesIO()
    arrays = {IMAGES: images, **expected}
    np.savez_compressed(buffer, **{name: np.ascontiguousarray(values) for name, values in arrays.items()})  # type: ignore[arg-type]
    return buffer.getvalue()


def decode_golden(
    content: bytes, name: str, expected: Collection[str] = ("expected",), *, max_bytes: int = CAMERA.golden
) -> dict[str, GoldenSet]:
    """Read back the arrays that are ``expected``, each with the same pictures; ``name`` is only named in errors, ``max_bytes`` what all
    arrays may have together.

    Nothing is allocated before the sizes in the zip and the shapes in the headers agree. Raises BundleError.
    """
    try:
        wanted = [f"{array}.npy" for array in (IMAGES, *expected)]
        archive = Archive(io.BytesIO(content), name, max_members=len(wanted))
        if set(archive.members) != set(wanted):
            raise BundleError(f"{name}: it must hold {' and '.join(wanted)}, not {', '.join(archive.members) or 'nothing'}")
        inflated = sum(member.size for member in archive.members.values())
        if inflated > max_bytes:
            raise BundleError(f"{name}: it would inflate to {inflated:,} bytes, at most {max_bytes:,} are read")
        images: U8Image = _array(archive, f"{IMAGES}.npy", "|u1", 4, np.uint8)
        rows: dict[str, F32] = {array: _array(archive, f"{array}.npy", "<f4", None, np.float32) for array in expected}
    except BundleError as error:
        raise BundleError(f"{name}: not a golden set: {str(error).removeprefix(f'{name}: ')}") from error
    if images.shape[3] != 3:
        raise BundleError(f"{name}: images must be N×H×W×3 uint8, not {images.shape}")
    for array, values in rows.items():
        if len(values) != len(images) or not np.isfinite(values).all():
            raise BundleError(f"{name}: {array} must be {len(images)}×… finite float32, not {values.shape}")
    return {array: GoldenSet(images, values) for array, values in rows.items()}


def _array(archive: Archive, key: str, dtype: str, axes: int | None, kind: type[_Number]) -> npt.NDArray[_Number]:
    """A .npy of the one dtype and number of axes (None: two or more) that belongs there (format 1.0, numpy.lib.format)."""
    content = archive.read(archive.members[key])
    head = struct.unpack_from("<8sH", content) if len(content) >= 10 else (b"", 0)
    if head[0] != b"\x93NUMPY\x01\x00" or head[1] > _HEADER_MAX_BYTES:
        raise BundleError(f"{key}: no .npy of version 1.0")
    start = 10 + head[1]
    shape = _shape(bytes(content[10:start]), dtype, axes, key)
    if start + prod(shape) * np.dtype(kind).itemsize != len(content):
        raise BundleError(f"{key}: its header says {'×'.join(map(str, shape))} values, the file has {len(content):,} bytes")
    return np.frombuffer(content, dtype=kind, offset=start).reshape(shape)


def _shape(header: bytes, dtype: str, axes: int | None, key: str) -> tuple[int, ...]:
    text = header.decode("latin-1")
    try:
        facts = ast.literal_eval(text.strip()) if _HEADER.fullmatch(text) else None
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise BundleError(f"{key}: its header cannot be read") from error
    shape = facts.get("shape") if isinstance(facts, dict) and set(facts) == {"descr", "fortran_order", "shape"} else None
    if facts is None or not isinstance(shape, tuple) or not all(type(length) is int and length > 0 for length in shape):
        raise BundleError(f"{key}: its header must have descr, fortran_order and a shape, and nothing else")
    fits = 2 <= len(shape) <= _AXES_MAX if axes is None else len(shape) == axes
    if facts["descr"] != dtype or facts["fortran_order"] is not False or not fits:
        order = "rows" if facts["fortran_order"] is False else "columns"
        raise BundleError(
            f"{key}: it must be {dtype} of {axes or f'2 to {_AXES_MAX}'} axes in rows, not {facts['descr']!r} of {len(shape)} in {order}"
        )
    return shape
