"""Pixels + InputSpec → tensor. The only place where anything is resized or normalised, on the camera, at calibration, in every
gate and in ``evaluate``; so what the camera feeds is what was calibrated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from edge.data import F32, Region, Tensor, U8Image
from edge.manifest import Fit, InputSpec, Normalisation

LETTERBOX_GREY = 114
"""Padding of the ``letterbox`` rule, all channels; the value that the YOLO family trains with."""

HALVE_FROM = 2.25
"""Linear interpolation reads two pixels a step: at 2.25 it still sees eight of nine, and nothing aliases that a photo would show; a
640×480 frame reaches 224 pixels in one step (EfficientNet-Lite0 on 250 photos answers as it does after INTER_AREA). From 2.4 on a halving
first is better."""


def preprocess(crops: Sequence[Region], spec: InputSpec) -> Tensor:
    """One batch for the model.

    Args:
        crops: N crops, each H×W×3 uint8 RGB, of any size ≥ 1×1.
        spec: the model's input, from the manifest.

    Returns:
        N×H×W×3 (``NHWC``) or N×3×H×W (``NCHW``) in ``spec.dtype``. With ``normalise = "folded"`` the values are raw pixels
        0…255; else (pixel − mean) / scale per channel, and then round(x / scale) + zero_point clipped to the dtype if the
        input is quantized.
    """
    height, width = spec.size_hw_px
    batch = np.empty((len(crops), height, width, 3), dtype=np.uint8)
    for image, crop in zip(batch, crops, strict=True):
        resize_into(crop.pixels, spec.resize.fit, image)
    if spec.colour == "BGR":
        batch = batch[..., ::-1]
    values = _normalise(batch, spec.normalise) if isinstance(spec.normalise, Normalisation) else batch
    if spec.layout == "NCHW":
        values = values.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(_to_dtype(values, spec))


@dataclass(frozen=True, slots=True)
class Fitted:
    """Where ``preprocess`` put a region in the model's input: region_xy = input_xy × ``scale_xy`` + ``offset_xy``, in pixels."""

    scale_xy: tuple[float, float]
    offset_xy: tuple[float, float]

    def to_region(self, boxes_xyxy_px: F32) -> F32:
        """K×4 boxes of the model's input, in the pixels of the region."""
        scale, offset = (np.array(xy * 2, dtype=np.float32) for xy in (self.scale_xy, self.offset_xy))
        return np.asarray(boxes_xyxy_px * scale + offset, dtype=np.float32)


def fitted(size_hw_px: tuple[int, int], spec: InputSpec) -> Fitted:
    """What ``preprocess`` does with a region of that size."""
    height, width = spec.size_hw_px
    src_h, src_w = size_hw_px
    if spec.resize.fit == "centre_crop":
        top, left, part_h, part_w = _centre_part(src_h, src_w, height, width)
        return Fitted((part_w / width, part_h / height), (left, top))
    if spec.resize.fit == "letterbox":
        top, left, h, w = _letterbox(src_h, src_w, height, width)
        return Fitted((src_w / w, src_h / h), (-left * src_w / w, -top * src_h / h))
    return Fitted((src_w / width, src_h / height), (0.0, 0.0))


def resize_into(pixels: U8Image, fit: Fit, out: U8Image) -> None:
    """Write ``pixels`` (H×W×3 uint8) into ``out`` (h×w×3 uint8, contiguous).

    ``stretch``: the whole crop, aspect ratio not kept. ``centre_crop``: the largest centred part with the target's aspect ratio.
    ``letterbox``: the whole crop, aspect ratio kept, centred on grey ``LETTERBOX_GREY``.
    """
    (height, width), (src_h, src_w) = out.shape[:2], pixels.shape[:2]
    if fit == "centre_crop":
        top, left, part_h, part_w = _centre_part(src_h, src_w, height, width)
        _halve_linear(pixels[top : top + part_h, left : left + part_w], out)
    elif fit == "letterbox":
        out[:] = LETTERBOX_GREY
        top, left, h, w = _letterbox(src_h, src_w, height, width)
        inner = np.empty((h, w, 3), dtype=np.uint8)
        _halve_linear(pixels, inner)
        out[top : top + h, left : left + w] = inner
    else:
        _halve_linear(pixels, out)


def _centre_part(src_h: int, src_w: int, height: int, width: int) -> tuple[int, int, int, int]:
    """Top, left, height and width of the largest centred part whose sides are as height : width."""
    part_w = min(src_w, max(1, round(src_h * width / height)))
    part_h = min(src_h, max(1, round(src_w * height / width)))
    return (src_h - part_h) // 2, (src_w - part_w) // 2, part_h, part_w


def _letterbox(src_h: int, src_w: int, height: int, width: int) -> tuple[int, int, int, int]:
    """Top, left, height and width of the picture within the grey."""
    scale = min(height / src_h, width / src_w)
    h = min(height, max(1, round(src_h * scale)))
    w = min(width, max(1, round(src_w * scale)))
    return (height - h) // 2, (width - w) // 2, h, w


def _halve_linear(pixels: U8Image, out: U8Image) -> None:
    """Resize with filtering at a tenth of INTER_AREA's cost: halve by 2×2 means while a side is at least HALVE_FROM times too long,
    then interpolate linearly. OpenCV has a fast path for exact halves; an odd last row or column is left out of a halving."""
    height, width = out.shape[:2]
    while True:
        src_h, src_w = pixels.shape[:2]
        half_h = src_h // 2 if src_h >= HALVE_FROM * height else src_h
        half_w = src_w // 2 if src_w >= HALVE_FROM * width else src_w
        if (half_h, half_w) == (src_h, src_w):
            break
        even_h = half_h * 2 if half_h != src_h else src_h
        even_w = half_w * 2 if half_w != src_w else src_w
        pixels = cv2.resize(pixels[:even_h, :even_w], (half_w, half_h), interpolation=cv2.INTER_AREA).astype(
            np.uint8, copy=False
        )
    if (src_h, src_w) == (height, width):
        out[:] = pixels
    else:
        cv2.resize(pixels, (width, height), dst=out, interpolation=cv2.INTER_LINEAR)


def _normalise(batch: U8Image, normalise: Normalisation) -> Tensor:
    """float32 (pixel − mean) / scale along the last axis."""
    mean = np.asarray(normalise.mean, dtype=np.float32)
    inverse = 1.0 / np.asarray(normalise.scale, dtype=np.float32)
    return np.asarray((batch.astype(np.float32) - mean) * inverse, dtype=np.float32)


def _to_dtype(values: Tensor, spec: InputSpec) -> Tensor:
    dtype = np.dtype(spec.dtype)
    if spec.quantization is None:
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    stored = np.rint(values.astype(np.float32) / np.float32(spec.quantization.scale)) + spec.quantization.zero_point
    return np.asarray(np.clip(stored, limits.min, limits.max), dtype=dtype)
