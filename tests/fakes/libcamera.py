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


class ColorSpace:
    """``libcamera.ColorSpace``: what of it the source reads. The bindings compare no two of them, so neither does this."""

    def __init__(self, primaries: str, encoding: str, full_range: bool) -> None:
        self.primaries, self.ycbcrEncoding, self.full_range = primaries, encoding, full_range

    @staticmethod
    def Sycc() -> ColorSpace:
        return ColorSpace("Rec709", "Rec601", True)

    @staticmethod
    def Smpte170m() -> ColorSpace:
        return ColorSpace("Smpte170m", "Rec601", False)

    @staticmethod
    def Rec709() -> ColorSpace:
        return ColorSpace("Rec709", "Rec709", False)
