"""What a ``ShelfScene`` is put together from: the empty shelf, the products at their size, the hand."""

from __future__ import annotations

import cv2
import numpy as np

from edge.data import U8Image
from edge.scene.items import ASPECT_W_H, KINDS, draw_item
from edge.scene.paint import Colour

COLOURS: dict[str, Colour] = {
    "red": (196, 40, 44),
    "green": (52, 140, 70),
    "blue": (44, 88, 180),
    "yellow": (232, 192, 48),
    "white": (226, 224, 216),
    "violet": (120, 66, 150),
}
PRODUCTS = tuple(f"{colour}-{kind}" for kind in KINDS for colour in COLOURS)
"""Every product by name. A product looks the same in all scenes, whatever their seed."""

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels; right and bottom excluded."""

_WALL, _WOOD, _SKIN, _SLEEVE = (188, 184, 172), (206, 186, 152), (214, 168, 138), (58, 74, 108)


def empty_shelf(size_hw_px: tuple[int, int], rows: int, boxes_xyxy_px: tuple[Box, ...]) -> U8Image:
    """Wall, boards with a lit front edge, and a price tag under each slot."""
    h, w = size_hw_px
    light = np.linspace(0.8, 1.05, w)[None, :, None] * np.linspace(1.0, 0.82, h // rows)[:, None, None]
    canvas = np.empty((h, w, 3), dtype=np.uint8)
    canvas[:] = _WALL
    for row in range(rows):
        top, high = row * h // rows, h // rows
        canvas[top : top + high] = (canvas[top : top + high] * light).astype(np.uint8)
        board, edge = top + int(high * 0.8), top + int(high * 0.9)
        depth = np.linspace(0.55, 0.9, edge - board)[:, None, None]
        canvas[board:edge] = (np.array(_WOOD) * depth * light[: edge - board]).astype(np.uint8)
        canvas[edge : top + high] = _WOOD
        cv2.line(canvas, (0, edge), (w, edge), (236, 222, 194), 2)
    for number, (x0, _, x1, y1) in enumerate(boxes_xyxy_px):
        tag, edge = (x1 - x0) // 4, y1 + h // rows // 15
        cv2.rectangle(canvas, (x0 + tag, edge), (x1 - tag, edge + h // rows // 14), (246, 244, 230), -1)
        price = f"{number + 1}.{(37 * number + 49) % 100:02d}"
        foot = (x0 + tag + 3, edge + h // rows // 16)
        cv2.putText(canvas, price, foot, cv2.FONT_HERSHEY_SIMPLEX, h / rows / 520, (40, 40, 40), 1, cv2.LINE_AA)
    return canvas


def product_sprite(product: str, slot_hw_px: tuple[int, int]) -> U8Image:
    """The product at the size at which it fits its slot, the same in every scene."""
    colour, _, kind = product.partition("-")
    high = min(slot_hw_px[0] * (0.62 if kind in ("fruit", "pear") else 0.9), slot_hw_px[1] * 0.9 / ASPECT_W_H[kind])
    size_hw_px = (int(high), max(8, int(high * ASPECT_W_H[kind])))
    return draw_item(kind, size_hw_px, COLOURS[colour], np.random.default_rng(PRODUCTS.index(product)))


def hand_sprite(size_hw_px: tuple[int, int]) -> U8Image:
    """A forearm in a sleeve with a gripping hand at its upper end, H×W×4 uint8 RGBA."""
    h, w = size_hw_px
    art = np.zeros((h, w, 4), dtype=np.uint8)
    skin, dark = (*_SKIN, 255), (*(c * 3 // 4 for c in _SKIN), 255)
    thick = max(3, w // 8)
    cv2.rectangle(art, (int(0.36 * w), int(0.8 * w)), (int(0.66 * w), h), skin, -1)
    cv2.rectangle(art, (int(0.31 * w), int(1.2 * w)), (int(0.71 * w), h), (*_SLEEVE, 255), -1)
    cv2.rectangle(art, (int(0.29 * w), int(1.2 * w)), (int(0.73 * w), int(1.28 * w)), (*(c + 30 for c in _SLEEVE), 255), -1)
    cv2.ellipse(art, (int(0.51 * w), int(0.68 * w)), (int(0.24 * w), int(0.27 * w)), 0, 0, 360, skin, -1, cv2.LINE_AA)
    for finger, (x, top) in enumerate(((0.33, 0.24), (0.45, 0.16), (0.57, 0.18), (0.68, 0.28))):
        tip, root = (int(x * w), int(top * w) + thick), (int((0.36 + 0.1 * finger) * w), int(0.6 * w))
        cv2.line(art, root, tip, dark, thick + 3, cv2.LINE_AA)
        cv2.line(art, root, tip, skin, thick, cv2.LINE_AA)
    cv2.line(art, (int(0.34 * w), int(0.75 * w)), (int(0.16 * w), int(0.45 * w)), skin, thick, cv2.LINE_AA)
    shade = np.linspace(1.08, 0.72, w)[None, :, None]
    return np.dstack([(art[..., :3] * shade).clip(0, 255), art[..., 3]]).astype(np.uint8)
