"""The golden set: pictures at the model's input size with the float model's answers, so that a device can judge its candidates."""

from __future__ import annotations

import ast
import io
import re
import struct
from dataclasses import dataclass
from math import prod
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from edge.bundle.archive import Archive, Member
from edge.bundle.limits import CAMERA
from edge.data import U8Image
from edge.errors import BundleError

GOLDEN_MIN_IMAGES = 64

_ARRAYS = {"images.npy": ("|u1", 4), "expected.npy": ("<f4", 2)}
_HEADER_MAX_BYTES = 1_000
_Number = TypeVar("_Number", bound=np.generic)
_HEADER = re.compile(r"[\w'{}():,|<> ]*\n?", re.ASCII)


@dataclass(frozen=True, slots=True)
class GoldenSet:
    """``images``: N×H×W×3 uint8 RGB at the model's input size. ``expected``: N×C float32, the float PyTorch model's logits
    (or embeddings)."""

    images: U8Image
    expected: npt.NDArray[np.float32]


def encode_golden(golden: GoldenSet) -> bytes:
    """A compressed .npz with the arrays ``images`` and ``expected``."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=np.ascontiguousarray(golden.images), expected=np.ascontiguousarray(golden.expected))
    return buffer.getvalue()


def decode_golden(content: bytes, name: str, *, max_bytes: int = CAMERA.golden) -> GoldenSet:
    """Read back; ``name`` is only named in errors, ``max_bytes`` what both arrays may have together.

    Nothing is allocated before the sizes in the zip and the shapes in both headers agree. Raises BundleError.
    """
    try:
        archive = Archive(io.BytesIO(content), name, max_members=len(_ARRAYS))
        if set(archive.members) != set(_ARRAYS):
            raise BundleError(
                f"{name}: it must hold images.npy and expected.npy, not {', '.join(archive.members) or 'nothing'}"
            )
        inflated = sum(member.size for member in archive.members.values())
        if inflated > max_bytes:
            raise BundleError(f"{name}: it would inflate to {inflated:,} bytes, at most {max_bytes:,} are read")
        images: U8Image = _array(archive, archive.members["images.npy"], "images.npy", np.uint8)
        expected: npt.NDArray[np.float32] = _array(archive, archive.members["expected.npy"], "expected.npy", np.float32)
    except BundleError as error:
        raise BundleError(f"{name}: not a golden set: {str(error).removeprefix(f'{name}: ')}") from error
    if images.shape[3] != 3:
        raise BundleError(f"{name}: images must be N×H×W×3 uint8, not {images.shape}")
    if len(expected) != len(images) or not np.isfinite(expected).all():
        raise BundleError(f"{name}: expected must be {len(images)}×C finite float32, not {expected.shape}")
    return GoldenSet(images, expected)


def _array(archive: Archive, member: Member, key: str, kind: type[_Number]) -> npt.NDArray[_Number]:
    """A .npy of the one dtype and number of axes that belongs there (format 1.0, numpy.lib.format)."""
    dtype, axes = _ARRAYS[key]
    content = archive.read(member)
    head = struct.unpack_from("<8sH", content) if len(content) >= 10 else (b"", 0)
    if head[0] != b"\x93NUMPY\x01\x00" or head[1] > _HEADER_MAX_BYTES:
        raise BundleError(f"{key}: no .npy of version 1.0")
    start = 10 + head[1]
    shape = _shape(bytes(content[10:start]), dtype, axes, key)
    if start + prod(shape) * np.dtype(kind).itemsize != len(content):
        raise BundleError(f"{key}: its header says {'×'.join(map(str, shape))} values, the file has {len(content):,} bytes")
    return np.frombuffer(content, dtype=kind, offset=start).reshape(shape)


def _shape(header: bytes, dtype: str, axes: int, key: str) -> tuple[int, ...]:
    text = header.decode("latin-1")
    try:
        facts = ast.literal_eval(text.strip()) if _HEADER.fullmatch(text) else None
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise BundleError(f"{key}: its header cannot be read") from error
    shape = facts.get("shape") if isinstance(facts, dict) and set(facts) == {"descr", "fortran_order", "shape"} else None
    if facts is None or not isinstance(shape, tuple) or not all(type(length) is int and length > 0 for length in shape):
        raise BundleError(f"{key}: its header must have descr, fortran_order and a shape, and nothing else")
    if facts["descr"] != dtype or facts["fortran_order"] is not False or len(shape) != axes:
        order = "rows" if facts["fortran_order"] is False else "columns"
        raise BundleError(
            f"{key}: it must be {dtype} of {axes} axes in rows, not {facts['descr']!r} of {len(shape)} in {order}"
        )
    return shape
