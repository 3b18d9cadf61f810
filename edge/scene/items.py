"""The goods of the rendered shelves: bottles, cans, jars, bowls, fruit, cartons and bags as sprites with an alpha channel.

Most goods are solids of revolution: a flat wrapper is painted, bent around a profile and lit. Everything is drawn from a random
generator that the caller seeds, so the same seed gives the same sprite.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from edge.data import U8Image
from edge.scene.paint import WRAP_HW, Colour, contrast, filled, label, pattern, wrapper

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

_SUPERSAMPLE = 2  # drawn this much larger, then averaged down: smooth edges

# Radius (0 to 1) against height (0: top, 1: foot) for each solid of revolution.
_PROFILES: dict[str, tuple[tuple[float, float], ...]] = {
    "bottle": ((0, 0.3), (0.1, 0.3), (0.11, 0.25), (0.25, 0.28), (0.4, 0.8), (0.46, 0.92), (0.95, 0.92), (1, 0.84)),
    "can": ((0, 0.8), (0.06, 0.92), (0.94, 0.92), (1, 0.8)),
    "jar": ((0, 0.78), (0.16, 0.78), (0.17, 0.7), (0.27, 0.95), (0.93, 0.95), (1, 0.84)),
    "bowl": ((0, 1.0), (0.3, 0.93), (0.6, 0.76), (0.85, 0.5), (0.9, 0.42), (1, 0.44)),
    "fruit": tuple((0.5 - 0.5 * float(np.cos(a)), 0.97 * float(np.sin(a))) for a in np.linspace(0, np.pi, 257)),
    "pear": ((0, 0.1), (0.03, 0.3), (0.2, 0.42), (0.4, 0.56), (0.6, 0.86), (0.75, 0.95), (0.9, 0.84), (0.97, 0.62), (1, 0.4)),
}
_TILT = {"bottle": 0.05, "can": 0.09, "jar": 0.08, "bowl": 0.2, "fruit": 0.0, "pear": 0.0}  # how far rims bow downwards
ASPECT_W_H = {"bottle": 0.34, "can": 0.56, "jar": 0.68, "bowl": 1.7, "fruit": 1.0, "pear": 0.78, "carton": 0.62, "bag": 0.74}
"""Width over height of each kind of good."""
KINDS = tuple(ASPECT_W_H)


def draw_item(kind: str, size_hw_px: tuple[int, int], colour: Colour, rng: np.random.Generator) -> U8Image:
    """One good, seen from the front and a little above, filling its sprite.

    Args:
        kind: one of ``KINDS``.
        size_hw_px: height and width of the sprite; ``ASPECT_W_H`` says which ratio looks right.
        colour: the main colour, RGB.
        rng: draws label, pattern and second colours.

    Returns:
        H×W×4 uint8, RGB and alpha (not premultiplied).
    """
    h, w = (max(8, side) * _SUPERSAMPLE for side in size_hw_px)
    if kind == "carton":
        rgba = _carton(h, w, colour, rng)
    elif kind == "bag":
        rgba = _bag(h, w, colour, rng)
    else:
        rgba = _revolve(kind, h, w, colour, rng)
    rgb, alpha = rgba[..., :3], rgba[..., 3:]
    small = cv2.resize(np.concatenate([rgb * alpha / 255, alpha], axis=2), size_hw_px[::-1], interpolation=cv2.INTER_AREA)
    colours = small[..., :3] / np.maximum(small[..., 3:] / 255, 1e-3)  # averaged premultiplied, so that edges get no halo
    return np.clip(np.concatenate([colours, small[..., 3:]], axis=2) + 0.5, 0, 255).astype(np.uint8)


def paste(canvas: U8Image, sprite: U8Image, left_px: int, top_px: int, gain: float = 1.0) -> None:
    """Draw an RGBA sprite onto an RGB canvas in place, cut off at its edges; ``gain`` darkens (below 1) or brightens it."""
    x0, y0 = max(left_px, 0), max(top_px, 0)
    x1, y1 = min(left_px + sprite.shape[1], canvas.shape[1]), min(top_px + sprite.shape[0], canvas.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    part = sprite[y0 - top_px : y1 - top_px, x0 - left_px : x1 - left_px].astype(np.float32)
    alpha = part[..., 3:] / 255
    under = canvas[y0:y1, x0:x1]
    canvas[y0:y1, x0:x1] = np.clip(part[..., :3] * gain * alpha + under * (1 - alpha), 0, 255).astype(np.uint8)


def _revolve(kind: str, h: int, w: int, colour: Colour, rng: np.random.Generator) -> Floats:
    """Bend a wrapper around a profile and light it from the upper left."""
    at, radius, slopes = _smooth_profile(kind)
    tilt = _TILT[kind]
    y, x = np.mgrid[0:h, 0:w].astype(np.float64)
    x, y = (x + 0.5) / w * 2 - 1, (y + 0.5) / h
    bow = np.sqrt(np.clip(1 - (x / np.maximum(np.interp(y, at, radius), 1e-3)) ** 2, 0, 1))
    v = (y - tilt * (1 + bow * np.interp(y, at, radius)) / 2) / (1 - tilt)
    r = np.maximum(np.interp(v, at, radius), 1e-3)
    nx = np.clip(x / r, -1, 1)
    slope = np.interp(v, at, slopes) * (w / 2) / h
    nz, length = np.sqrt(1 - nx**2), np.sqrt(1 + slope**2)
    art = wrapper(kind, colour, rng)
    u = (np.arcsin(nx) / np.pi + 0.5) * (art.shape[1] - 1)
    rgb = cv2.remap(
        art, u.astype(np.float32), (np.clip(v, 0, 1) * (art.shape[0] - 1)).astype(np.float32), cv2.INTER_LINEAR
    ).astype(np.float32)
    facing = np.clip((-0.45 * nx + 0.75 * nz + 0.45 * slope) / length, 0, 1)  # the light comes from the upper left
    gloss = 110 * np.clip((-0.5 * nx + 0.8 * nz + 0.35 * slope) / length, 0, 1) ** 24
    rgb = rgb * (0.32 + 0.8 * facing)[..., None] + gloss[..., None]
    alpha = 255.0 * ((np.abs(x) < r) & (v >= 0) & (v <= 1))
    rgba = np.ascontiguousarray(np.dstack([np.clip(rgb, 0, 255), alpha]).astype(np.float32))
    _top(kind, rgba, float(radius[0]), colour, rng)
    return rgba


def _smooth_profile(kind: str) -> tuple[Doubles, Doubles, Doubles]:
    """Height, radius there and its slope, without the kinks that straight pieces would show in the light."""
    at = np.linspace(0, 1, 201)
    corners = np.array(_PROFILES[kind], dtype=np.float64)
    radius = np.interp(at, corners[:, 0], corners[:, 1])
    if kind != "fruit":
        reach = {"pear": 12, "bowl": 8}.get(kind, 2)
        window = np.hanning(2 * reach + 3)
        radius = np.convolve(np.pad(radius, reach + 1, mode="edge"), window / window.sum(), mode="valid")
    return at, radius, np.gradient(radius, at)


def _top(kind: str, rgba: Floats, radius: float, colour: Colour, rng: np.random.Generator) -> None:
    """What is seen from above: a can's lid, the inside of a bowl, a fruit's stalk."""
    h, w = rgba.shape[:2]
    tilt = _TILT[kind]
    if kind in ("fruit", "pear"):
        cv2.line(rgba, (w // 2, int(0.09 * h)), (int(0.54 * w), 1), (88, 62, 34, 255), max(2, w // 24), cv2.LINE_AA)
        return
    inside = {"can": (206, 208, 212), "bowl": tuple(int(0.55 * c) for c in colour)}.get(kind, contrast(colour, rng))
    centre = (w // 2, max(1, int(0.5 * tilt * h)) + 1)
    axes = (int(radius * w / 2), max(1, int(0.5 * tilt * radius * h)))
    cv2.ellipse(rgba, centre, axes, 0, 0, 360, (*inside, 255), -1, cv2.LINE_AA)
    cv2.ellipse(rgba, centre, axes, 0, 0, 360, (*(int(0.7 * c) for c in inside), 255), 2, cv2.LINE_AA)


def _carton(h: int, w: int, colour: Colour, rng: np.random.Generator) -> Floats:
    """A box that shows its front, one side and its lid."""
    art = pattern(WRAP_HW, colour, rng)
    label(art, (int(rng.uniform(0.1, 0.3) * WRAP_HW[0]), int(rng.uniform(0.7, 0.9) * WRAP_HW[0])), rng)
    side = filled(*WRAP_HW, colour)
    side[60:64] = side[150:156] = contrast(colour, rng)
    cut, lid = rng.uniform(0.72, 0.86) * w, rng.uniform(0.05, 0.12) * h
    far, drop = w - 1.0, 0.04 * h
    front_px = [(0, lid), (cut, lid), (cut, h), (0, h)]
    side_px = [(cut, lid), (far, lid * 0.35), (far, h - drop), (cut, h)]
    lid_px = [(w * 0.12, lid * 0.2), (far, lid * 0.35), (cut, lid + 1), (0, lid + 1)]
    rgba = np.zeros((h, w, 4), dtype=np.float32)
    for face, corners, gain in ((side, side_px, 0.55), (filled(*WRAP_HW, colour), lid_px, 1.25), (art, front_px, 0.98)):
        _lay(rgba, face, corners, gain)
    return rgba


def _bag(h: int, w: int, colour: Colour, rng: np.random.Generator) -> Floats:
    """A pillow pouch with crimped ends and creases."""
    art = pattern(WRAP_HW, colour, rng)
    label(art, (int(0.25 * WRAP_HW[0]), int(0.8 * WRAP_HW[0])), rng)
    rgb = cv2.resize(art, (w, h), interpolation=cv2.INTER_LINEAR).astype(np.float64)
    y, x = np.mgrid[0:h, 0:w].astype(np.float64)
    x, y = x / w * 2 - 1, y / h
    edge = 0.9 - 0.05 * np.cos(9 * y + rng.uniform(0, 6)) - 0.12 * np.abs(2 * y - 1) ** 6
    crimp = 0.015 * (np.abs((x * 14) % 2 - 1))
    bulge = np.clip(1 - (x / edge) ** 2, 0, 1) * np.clip(1 - (2 * y - 1) ** 4, 0, 1)
    crease = np.sin(7 * x + 5 * np.sin(4 * y + rng.uniform(0, 6))) * np.sin(6 * y + 4 * x + rng.uniform(0, 6))
    light = 0.55 + 0.45 * np.sqrt(bulge) - 0.2 * x + 0.12 * crease
    light = np.where((y < 0.07) | (y > 0.94), 0.75 + 0.15 * np.sin(x * 60), light)
    gloss = 70 * np.clip(crease - 0.55, 0, 1) * (bulge > 0.2)
    alpha = 255.0 * ((np.abs(x) < edge) & (y > crimp) & (y < 1 - crimp))
    return np.dstack([np.clip(rgb * light[..., None] + gloss[..., None], 0, 255), alpha]).astype(np.float32)


def _lay(rgba: Floats, face: U8Image, corners_px: list[tuple[float, float]], gain: float) -> None:
    """Warp a flat face onto four corners (from the upper left, clockwise), fading a little towards its foot."""
    h, w = rgba.shape[:2]
    fh, fw = face.shape[:2]
    source = np.array([(0, 0), (fw, 0), (fw, fh), (0, fh)], dtype=np.float32)
    matrix = cv2.getPerspectiveTransform(source, np.array(corners_px, dtype=np.float32))
    fade = np.linspace(1.05, 0.85, fh)[:, None, None]
    shaded = np.dstack([np.clip(face * fade * gain, 0, 255), np.full((fh, fw), 255.0)]).astype(np.float32)
    laid = cv2.warpPerspective(shaded, matrix, (w, h), flags=cv2.INTER_LINEAR)
    inside = laid[..., 3] > 127
    rgba[inside] = laid[inside]
    rgba[..., 3][inside] = 255
