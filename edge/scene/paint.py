"""The paint on the goods: colours, printed patterns, labels and the peel of fruit, all flat."""

from __future__ import annotations

import cv2
import numpy as np

from edge.data import U8Image

Colour = tuple[int, int, int]
"""RGB, 0 to 255."""

WRAP_HW = (192, 256)  # pixels of a flat wrapper; what is seen of it from the front is all of its width
_WORDS = ("MILK", "COLA", "TEA", "SOUP", "OATS", "RICE", "CORN", "SODA", "JAM", "NUTS", "FIZZ", "PURE", "BIO", "MAX")


def random_colour(rng: np.random.Generator) -> Colour:
    """A colour as print and plastic have it: any hue, from pale to strong, RGB."""
    return _from_hsv(int(rng.integers(0, 180)), int(rng.integers(70, 235)), int(rng.integers(95, 250)))


def item_colour(kind: str, rng: np.random.Generator) -> Colour:
    """A main colour for one kind of good: fruit ripens from green to red, the rest is printed in any colour."""
    if kind in ("fruit", "pear"):
        hue = int(rng.choice([0, 4, 10, 14, 20, 26, 34, 42, 172])) + int(rng.integers(0, 5))
        return _from_hsv(hue, int(rng.integers(140, 235)), int(rng.integers(140, 250)))
    return random_colour(rng)


def contrast(colour: Colour, rng: np.random.Generator) -> Colour:
    """A colour that stands out from ``colour``: near white, near black or its complement."""
    bright = sum(colour) > 380
    tone = rng.integers(0, 40) if bright else rng.integers(215, 255)
    if rng.random() < 0.45:
        return (int(tone), int(tone), int(tone))
    return (255 - colour[0], 255 - colour[1], 255 - colour[2])


def pattern(size_hw_px: tuple[int, int], colour: Colour, rng: np.random.Generator) -> U8Image:
    """A printed wrapper: a ground colour with stripes, bands, dots, checks or waves, H×W×3 uint8."""
    h, w = size_hw_px
    art = filled(h, w, colour)
    ink = contrast(colour, rng)
    step = int(rng.integers(10, 26))
    y, x = np.mgrid[0:h, 0:w]
    choice = int(rng.integers(0, 7))
    if choice == 0:
        art[(x // step) % 2 == 0] = ink
    elif choice == 1:
        art[((x + y) // step) % 3 == 0] = ink
    elif choice == 2:
        art[(x // step + y // step) % 2 == 0] = ink
    elif choice == 3:
        art[(x % (2 * step) - step) ** 2 + (y % (2 * step) - step) ** 2 < (0.6 * step) ** 2] = ink
    elif choice == 4:
        art[((y + 0.6 * step * np.sin(x / step)) // step) % 2 == 0] = ink
    elif choice == 5:
        art[(y > 0.72 * h) | (y < 0.12 * h)] = ink
    return art


def wrapper(kind: str, colour: Colour, rng: np.random.Generator) -> U8Image:
    """The flat paint of a solid of revolution, foot at the bottom."""
    h, w = WRAP_HW
    if kind in ("fruit", "pear"):
        return _peel(colour, rng)
    art = pattern(WRAP_HW, colour, rng) if kind in ("can", "bowl") or rng.random() < 0.2 else filled(h, w, colour)
    lid = contrast(colour, rng)
    if kind == "bottle":
        art[: int(0.11 * h)] = lid
        label(art, (int(0.5 * h), int(0.9 * h)), rng)
    elif kind == "jar":
        art[: int(0.17 * h)] = lid
        art[: int(0.17 * h) : 8] = tuple(c * 2 // 3 for c in lid)
        label(art, (int(0.36 * h), int(0.86 * h)), rng)
    elif kind == "can":
        label(art, (int(0.2 * h), int(0.8 * h)), rng)
        art[: int(0.05 * h)] = art[int(0.95 * h) :] = (190, 194, 200)
    else:
        art[: int(0.07 * h)] = art[int(0.84 * h) :] = lid
    return art


def label(art: U8Image, rows_px: tuple[int, int], rng: np.random.Generator) -> None:
    """Stick a label around the wrapper: patterned ground, emblem, a word and small print."""
    top, foot = rows_px
    ground = random_colour(rng)
    band = pattern((foot - top, art.shape[1]), ground, rng) if rng.random() < 0.5 else filled(foot - top, art.shape[1], ground)
    h, w = band.shape[:2]
    ink = contrast(ground, rng)
    centre = (w // 2, int(0.36 * h))
    cv2.ellipse(band, centre, (w // 5, int(0.3 * h)), 0, 0, 360, random_colour(rng), -1, cv2.LINE_AA)
    cv2.ellipse(band, centre, (w // 5, int(0.3 * h)), 0, 0, 360, ink, 2, cv2.LINE_AA)
    word = str(rng.choice(_WORDS))
    (word_px, _), _ = cv2.getTextSize(word, cv2.FONT_HERSHEY_DUPLEX, 1.0, 2)
    scale = 0.4 * w / word_px  # the front of a can shows little more than half of its label
    origin = (int(0.3 * w), int(0.46 * h))
    cv2.putText(band, word, origin, cv2.FONT_HERSHEY_DUPLEX, scale, ink, 2, cv2.LINE_AA)
    for line in range(3):
        y = int((0.76 + 0.08 * line) * h)
        cv2.line(band, (int(0.3 * w), y), (int(rng.uniform(0.5, 0.72) * w), y), ink, 2)
    art[top:foot] = band
    art[top : top + 2] = art[foot - 2 : foot] = ink


def filled(h: int, w: int, colour: Colour) -> U8Image:
    """One colour, h×w×3 uint8."""
    return np.full((h, w, 3), colour, dtype=np.uint8)


def _peel(colour: Colour, rng: np.random.Generator) -> U8Image:
    h, w = WRAP_HW
    art = filled(h, w, colour)
    second = np.clip(np.array(colour) * rng.uniform(0.5, 0.8) + rng.integers(-20, 40, 3), 0, 255)
    y, x = np.mgrid[0:h, 0:w]
    if rng.random() < 0.35:  # a melon's stripes
        art[np.sin(x / 7 + 1.5 * np.sin(y / 11)) > 0.5] = second
    else:  # a blush on one cheek and specks
        cheek = np.exp(-(((x - rng.integers(40, 200)) / 70) ** 2) - ((y - rng.integers(50, 150)) / 60) ** 2)[..., None]
        art = (art * (1 - 0.8 * cheek) + second * 0.8 * cheek).astype(np.uint8)
        for cx, cy in rng.integers(0, 190, (24, 2)).tolist():
            cv2.circle(art, (cx + 20, cy), 1, tuple(int(c) for c in second), -1, cv2.LINE_AA)
    return art


def _from_hsv(hue: int, saturation: int, value: int) -> Colour:
    hsv = np.array([[[hue, saturation, value]]], dtype=np.uint8)
    red, green, blue = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0].tolist()
    return (int(red), int(green), int(blue))
