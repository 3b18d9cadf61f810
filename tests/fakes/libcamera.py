"""What of libcamera's Python bindings the source uses. Tests import it as ``libcamera``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Transform:
    """``libcamera.Transform``, keyword arguments only, as in its pybind11 bindings."""

    rotation: int = 0
    hflip: int = 0
    vflip: int = 0
    transpose: int = 0
