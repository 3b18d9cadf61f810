"""Varied close-ups on which a quantized network can be compared with the float one. Drawn, so that they may be passed on."""

from __future__ import annotations

import cv2
import numpy as np

from edge.data import U8Image
from edge.scene.items import ASPECT_W_H, KINDS, draw_item, paste
from edge.scene.paint import contrast, item_colour, pattern, random_colour

_MARGIN = 1.3  # a golden scene is drawn this much larger than asked, so that turning it shows no border
_GOLDEN_STEP = 4  # golden colours are multiples of this: a third of the bytes when compressed, unseen by a network


def golden_scenes(count: int, seed: int, size_hw_px: tuple[int, int]) -> U8Image:
    """Close-ups of shelves with goods of all kinds, colours, patterns, lights and angles; no sensor noise, so they pack well.

    Picture i depends on ``seed``, i and the size only: a longer set starts with the shorter one.

    Returns:
        N×H×W×3 uint8 RGB.

    Raises:
        ValueError: a side is shorter than 32 pixels.
    """
    if min(size_hw_px) < 32:
        raise ValueError(f"a scene needs at least 32×32 pixels, not {size_hw_px}")
    scenes = np.empty((count, *size_hw_px, 3), dtype=np.uint8)
    for index in range(count):
        scenes[index] = _close_up(np.random.default_rng([seed, index]), size_hw_px)
    return scenes


def _close_up(rng: np.random.Generator, size_hw_px: tuple[int, int]) -> U8Image:
    h, w = (int(side * _MARGIN) for side in size_hw_px)
    canvas = _backdrop(rng, h, w)
    rows = int(rng.choice([1, 1, 2]))
    kinds = list(rng.permutation(KINDS))
    board = random_colour(rng) if rng.random() < 0.25 else tuple(int(c) for c in rng.integers(90, 240) + np.array([12, 4, -8]))
    for row in range(rows):
        floor = int(h * (row + 1) / rows - h * rng.uniform(0.1, 0.16) / rows)
        _board(canvas, floor, (board[0], board[1], board[2]), rng)
        _goods(canvas, floor, int(h / rows * rng.uniform(0.62, 0.82)), kinds, rng)
    return _photograph(canvas, size_hw_px, rng)


def _backdrop(rng: np.random.Generator, h: int, w: int) -> U8Image:
    """A wall: plain, papered, tiled, planked or far out of focus; always lit unevenly."""
    base = random_colour(rng)
    base = (base[0] // 3 + 110, base[1] // 3 + 110, base[2] // 3 + 110)
    wall = np.full((h, w, 3), base, dtype=np.uint8)
    dark = (base[0] * 3 // 4, base[1] * 3 // 4, base[2] * 3 // 4)
    choice = int(rng.integers(0, 5))
    step = int(rng.integers(h // 12, h // 4))
    if choice == 1:
        wall = cv2.addWeighted(wall, 0.6, pattern((h, w), base, rng), 0.4, 0).astype(np.uint8)
    elif choice == 2:
        wall[::step] = wall[1::step] = dark
        wall[:, ::step] = wall[:, 1::step] = dark
    elif choice == 3:
        for left in range(0, w, step):
            wall[:, left : left + step] = np.clip(np.array(base) + rng.integers(-25, 25), 0, 255)
            wall[:, left : left + 2] = dark
    elif choice == 4:
        for _ in range(30):
            centre = (int(rng.integers(0, w)), int(rng.integers(0, h)))
            cv2.circle(wall, centre, int(rng.integers(h // 20, h // 6)), random_colour(rng), -1)
        wall = cv2.GaussianBlur(wall, (0, 0), h / 24).astype(np.uint8)
    return (wall * np.linspace(0.75, 1.1, h)[:, None, None]).clip(0, 255).astype(np.uint8)


def _board(canvas: U8Image, floor_px: int, colour: tuple[int, int, int], rng: np.random.Generator) -> None:
    """A shelf board whose front edge starts at ``floor_px``: the surface above it, a rail with price tags below."""
    h, w = canvas.shape[:2]
    depth, rail = h // 16, h // 14
    shade = np.linspace(0.45, 0.95, 2 * depth)[:, None, None] * np.array(colour)
    canvas[floor_px - depth : floor_px + depth] = shade.clip(0, 255)[: h - floor_px + depth]
    canvas[floor_px + depth : floor_px + depth + rail] = colour
    canvas[floor_px + depth : floor_px + depth + 2] = tuple(min(255, c + 40) for c in colour)
    ink = contrast(colour, rng)
    for left in range(int(rng.integers(0, w // 4)), w, w // 3):
        top_left, foot_right = (left, floor_px + depth + 3), (left + w // 7, floor_px + depth + rail - 2)
        cv2.rectangle(canvas, top_left, foot_right, (240, 238, 225), -1)
        price = f"{rng.integers(0, 10)}.{rng.integers(10, 99)}"
        cv2.putText(canvas, price, (left + 3, foot_right[1] - 2), cv2.FONT_HERSHEY_SIMPLEX, h / 900, ink, 1, cv2.LINE_AA)


def _goods(canvas: U8Image, floor_px: int, tallest_px: int, kinds: list[str], rng: np.random.Generator) -> None:
    """A row of goods from the left to the right edge, each with a darker one behind it and a shadow at its foot."""
    w = canvas.shape[1]
    left = int(rng.integers(-w // 10, w // 8))
    while left < w:
        kind = str(kinds.pop())
        kinds.insert(0, kind)
        high = int(tallest_px * rng.uniform(0.75, 1.0) * min(1.0, 0.95 / ASPECT_W_H[kind]))
        size_hw_px = (high, int(high * ASPECT_W_H[kind] * rng.uniform(0.92, 1.1)))
        sprite = draw_item(kind, size_hw_px, item_colour(kind, rng), rng)
        wide = size_hw_px[1]
        back = cv2.resize(sprite, None, fx=0.9, fy=0.9, interpolation=cv2.INTER_AREA).astype(np.uint8)
        for facing in range(int(rng.integers(1, 3))):
            paste(canvas, back, left + wide // 6, floor_px - back.shape[0] - tallest_px // 24, gain=0.5)
            _shadow(canvas, left, floor_px, wide)
            paste(canvas, sprite, left, floor_px - high + tallest_px // 40, gain=1.0 - 0.06 * facing)
            left += wide + int(rng.integers(0, w // 12))


def _shadow(canvas: U8Image, left_px: int, floor_px: int, wide_px: int) -> None:
    shadow = np.zeros((wide_px // 5 + 8, wide_px + wide_px // 3, 4), dtype=np.uint8)
    centre = (shadow.shape[1] // 2, shadow.shape[0] // 2)
    cv2.ellipse(shadow, centre, (wide_px // 2, wide_px // 14 + 2), 0, 0, 360, (0, 0, 0, 150), -1)
    soft = cv2.GaussianBlur(shadow, (0, 0), wide_px / 30 + 1).astype(np.uint8)
    paste(canvas, soft, left_px - wide_px // 10, floor_px - shadow.shape[0] // 2)


def _photograph(canvas: U8Image, size_hw_px: tuple[int, int], rng: np.random.Generator) -> U8Image:
    """Look at the canvas from an angle, under a tinted light that falls off to one side."""
    h, w = canvas.shape[:2]
    high, wide = size_hw_px
    zoom = rng.uniform(0.6, 0.95)
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * zoom + rng.uniform(-0.07, 0.07, (4, 2))
    corners += rng.uniform(-1, 1, 2) * max(0.0, 0.93 - zoom)
    turn = rng.uniform(-0.12, 0.12)
    corners = corners @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    source = ((corners + 1) / 2 * (w, h)).astype(np.float32)
    target = np.array([(0, 0), (wide, 0), (wide, high), (0, high)], dtype=np.float32)
    matrix = cv2.getPerspectiveTransform(source, target)
    seen = cv2.warpPerspective(canvas, matrix, (wide, high), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    y, x = np.mgrid[-1 : 1 : high * 1j, -1 : 1 : wide * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    fall = 1 + rng.uniform(0.05, 0.3) * (x * np.cos(angle) + y * np.sin(angle))
    warmth = rng.uniform(-0.12, 0.12)
    light = rng.uniform(0.75, 1.2) * np.array([1 + warmth, 1.0, 1 - warmth])
    lit = (seen * fall[..., None] * light).clip(0, 255).astype(np.uint8)
    coarse: U8Image = lit // _GOLDEN_STEP * _GOLDEN_STEP + _GOLDEN_STEP // 2
    return coarse
