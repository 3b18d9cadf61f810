"""A shelf that follows a script: goods, people, light and faults of the camera, rendered frame by frame with the truth beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from edge.data import U8Image
from edge.images import list_images, read_rgb
from edge.scene.items import paste
from edge.scene.props import PRODUCTS, empty_shelf, hand_sprite, product_sprite
from edge.scene.script import GOODS, REACH_S, Action, Script
from edge.scene.shelf import SceneSlot, slot_grid

_GAMMA = 2.2  # of sRGB, roughly: a stop of light multiplies a coded value by 2 ** (1 / 2.2)
_REST_S = 0.3  # a hand rests at a slot this long before and after it changes something
_DARK_EV, _BRIGHT_EV = -9.0, 4.0
_STEP_S = 0.2  # an exposure step takes three frames at 15 frames a second
_FLICKER_HZ = 1.7
_BLUR_SIGMA_PX = 7.0
_NOISE_ROOM_PX = 64  # the noise is drawn once, larger than a frame, and cut out at another place each time
_PHOTO_SHARE = 0.9  # of the slot, that a photographed product takes
_JITTER = 0.03  # goods that are put back stand elsewhere by up to that share of the slot


def photo_sprites(directory: Path, count: int, seed: int, slot_hw_px: tuple[int, int]) -> dict[str, U8Image]:
    """``count`` products, one photo each, by the name of the folder that the photo lies in; drawn by ``seed``.

    Raises:
        InputMissingError, DataError: the directory or a photo cannot be read.
    """
    by_label: dict[str, list[Path]] = {}
    for path in list_images(directory):
        by_label.setdefault(path.parent.name, []).append(path)
    rng = np.random.default_rng(seed)
    labels = sorted(by_label)
    chosen = [labels[i] for i in rng.permutation(len(labels))[:count]]
    sprites = {}
    for label in chosen:
        photo = read_rgb(by_label[label][int(rng.integers(len(by_label[label])))])
        scale = _PHOTO_SHARE * min(slot_hw_px[0] / photo.shape[0], slot_hw_px[1] / photo.shape[1])
        size = (max(8, int(photo.shape[1] * scale)), max(8, int(photo.shape[0] * scale)))
        small = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
        sprites[label] = np.dstack([small, np.full(small.shape[:2], 255, dtype=np.uint8)])
    return sprites


def drawn_sprites(count: int, seed: int, slot_hw_px: tuple[int, int]) -> dict[str, U8Image]:
    """``count`` of the project's own products."""
    chosen = np.random.default_rng(seed).permutation(len(PRODUCTS))[:count]
    return {PRODUCTS[i]: product_sprite(PRODUCTS[i], slot_hw_px) for i in chosen}


class ScriptedShelf:
    """Frame k depends on the script, the seed, k and the rate only.

    Args:
        script: what happens.
        sprites: product → H×W×4 uint8 RGBA, at its size.
        seed: of noise and placement.
        size_hw_px: of the frames.
        rows: shelf boards; ``columns``: slots on each.
    """

    def __init__(
        self,
        script: Script,
        sprites: Mapping[str, U8Image],
        seed: int = 0,
        size_hw_px: tuple[int, int] = (720, 1280),
        *,
        rows: int = 3,
        columns: int = 4,
    ) -> None:
        self.script = script
        self.slots: tuple[SceneSlot, ...] = slot_grid(size_hw_px, rows, columns)
        self._boxes = {slot.name: slot.box_xyxy_px for slot in self.slots}
        self._sprites = sprites
        self._seed = seed
        self._size_hw_px = size_hw_px
        self._bare = empty_shelf(size_hw_px, rows, tuple(self._boxes.values()))
        x0, y0, x1, y1 = self.slots[0].box_xyxy_px
        self._hand = hand_sprite((size_hw_px[0] + (y1 - y0), x1 - x0))
        self._fingertips_px = int(self._hand[..., 3].any(axis=1).argmax())
        self._person = _person((size_hw_px[0], size_hw_px[1] // 4))
        rng = np.random.default_rng([seed, 7])
        room = (size_hw_px[0] + _NOISE_ROOM_PX, size_hw_px[1] + _NOISE_ROOM_PX, 3)
        self._noise = rng.normal(0.0, 1.0, room).astype(np.float16)
        self._scaled: tuple[float, np.ndarray] = (0.0, np.zeros(room, dtype=np.int8))
        self._filled: tuple[dict[str, tuple[str | None, int]], U8Image] = ({}, self._bare)

    def empty(self) -> U8Image:
        """The shelf with nothing on it, without noise: what is photographed at install."""
        return np.array(self._bare)

    def render(self, index: int, fps: float) -> U8Image:
        """Frame ``index`` of a camera with ``fps`` frames a second: a new H×W×3 uint8 RGB array."""
        time_s = index / fps
        running = [a for a in self.script.actions if a.kind not in GOODS and a.at_s <= time_s < a.end_s]
        frozen = next((a for a in running if a.kind == "freeze"), None)
        if frozen is not None and index > (first := int(np.ceil(frozen.at_s * fps))):
            return self.render(first, fps)
        frame: U8Image = self._shelf(time_s).copy()
        self._draw_people(frame, time_s, running)
        for action in running:
            frame = self._disturb(frame, action, time_s)
        frame = _gain(frame, _light(running, time_s))
        sigma = max((a.amount for a in running if a.kind == "noise"), default=0.0)
        return self._noisy(frame, sigma, index) if sigma else frame

    def free_after_s(self, slot: str) -> float:
        """How long after a change the hand has left the slot's box; until REACH_S it is still below it."""
        _, y0, _, y1 = self._boxes[slot]
        top_px = y0 + (y1 - y0) // 8
        way = (y1 - self._fingertips_px - top_px) / (self._size_hw_px[0] - top_px)
        return _REST_S + max(0.0, way) * (REACH_S - _REST_S)

    def _shelf(self, time_s: float) -> U8Image:
        products = self.script.products_at(time_s)
        if self._filled[0] != products:
            shelf = self._bare.copy()
            for slot, (product, changes) in products.items():
                if product is not None:
                    self._place(shelf, slot, product, changes)
            self._filled = (products, shelf)
        return self._filled[1]

    def _place(self, shelf: U8Image, slot: str, product: str, changes: int) -> None:
        """Centred on the board; each time a little elsewhere."""
        sprite, (x0, _, x1, y1) = self._sprites[product], self._boxes[slot]
        rng = np.random.default_rng([self._seed, 3, changes, *slot.encode()])
        aside = rng.uniform(-_JITTER, _JITTER) * (x1 - x0) if changes else 0.0
        left = x0 + (x1 - x0 - sprite.shape[1]) / 2 + aside
        paste(shelf, sprite, int(left), y1 - sprite.shape[0])

    def _draw_people(self, frame: U8Image, time_s: float, running: Sequence[Action]) -> None:
        for action in self.script.actions:
            if action.kind in GOODS and action.slot is not None and abs(time_s - action.at_s) < REACH_S:
                self._reach(frame, action.slot, time_s - action.at_s)
        for action in running:
            if action.kind == "hand" and action.slot is not None:
                self._reach(frame, action.slot, time_s - (action.at_s + action.last_s / 2))
            elif action.kind == "person":
                way = self._size_hw_px[1] + self._person.shape[1]
                left = int((time_s - action.at_s) / action.last_s * way) - self._person.shape[1]
                paste(frame, self._person, left, 0)

    def _reach(self, frame: U8Image, slot: str, from_middle_s: float) -> None:
        """A hand that comes from below and goes again; nothing of it is left at REACH_S before or after."""
        out = np.clip((abs(from_middle_s) - _REST_S) / (REACH_S - _REST_S), 0.0, 1.0)
        x0, y0, _, y1 = self._boxes[slot]
        top = y0 + (y1 - y0) // 8
        paste(frame, self._hand, x0, int(top + out * (self._size_hw_px[0] - top)))

    def _disturb(self, frame: U8Image, action: Action, time_s: float) -> U8Image:
        h, w = self._size_hw_px
        if action.kind == "cover":
            cloth = np.random.default_rng([self._seed, 5]).integers(60, 90, (h // 40, w // 40, 3), dtype=np.uint8)
            return np.asarray(cv2.resize(cloth, (w, h), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)
        if action.kind == "blur":
            small = cv2.resize(frame, (w // 4, h // 4), interpolation=cv2.INTER_AREA)
            small = cv2.GaussianBlur(small, (0, 0), _BLUR_SIGMA_PX / 4)
            return np.asarray(cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
        if action.kind == "bump":
            angle = 2 * np.pi * ((action.at_s * 0.37) % 1)
            shift = np.array([[1, 0, action.amount * np.cos(angle)], [0, 1, action.amount * np.sin(angle)]], dtype=np.float32)
            return np.asarray(cv2.warpAffine(frame, shift, (w, h), borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8)
        return frame

    def _noisy(self, frame: U8Image, sigma: float, index: int) -> U8Image:
        """The sensor's noise, of standard deviation ``sigma``."""
        if self._scaled[0] != sigma:
            self._scaled = (sigma, np.clip(np.rint(self._noise * np.float16(sigma)), -100, 100).astype(np.int8))
        top, left = (int(v) for v in np.random.default_rng([self._seed, 1, index]).integers(0, _NOISE_ROOM_PX, 2))
        h, w = self._size_hw_px
        return np.asarray(cv2.add(frame, self._scaled[1][top : top + h, left : left + w], dtype=cv2.CV_8U), dtype=np.uint8)


def _light(running: Sequence[Action], time_s: float) -> float:
    """Factor on coded values."""
    stops, factor = 0.0, 1.0
    for action in running:
        since_s, left_s = time_s - action.at_s, action.end_s - time_s
        ramp = min(1.0, since_s / _STEP_S, left_s / _STEP_S)
        if action.kind == "exposure":
            stops += action.amount * ramp
        elif action.kind == "dusk":
            stops += action.amount * since_s / 3600.0
        elif action.kind in ("dark", "bright"):
            stops += (_DARK_EV if action.kind == "dark" else _BRIGHT_EV) * ramp
        elif action.kind == "flicker":
            factor *= 1 + action.amount * np.sin(2 * np.pi * _FLICKER_HZ * time_s)
    return float(factor * 2 ** (stops / _GAMMA))


def _gain(frame: U8Image, factor: float) -> U8Image:
    if factor == 1.0:
        return frame
    table = np.clip(np.rint(np.arange(256) * factor), 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(frame, table), dtype=np.uint8)


def _person(size_hw_px: tuple[int, int]) -> U8Image:
    """Somebody close to the camera, H×W×4 uint8 RGBA: a head above a patterned coat."""
    h, w = size_hw_px
    art = np.zeros((h, w, 4), dtype=np.uint8)
    cv2.ellipse(art, (w // 2, h), (w // 2, int(0.72 * h)), 0, 180, 360, (70, 62, 84, 255), -1, cv2.LINE_AA)
    cv2.ellipse(art, (w // 2, int(0.2 * h)), (w // 5, int(0.17 * h)), 0, 0, 360, (204, 160, 132, 255), -1, cv2.LINE_AA)
    for stripe in range(int(0.35 * h), h, max(8, h // 18)):
        cv2.line(art, (0, stripe), (w, stripe), (96, 88, 116, 255), max(1, h // 90))
    inside = cv2.ellipse(np.zeros((h, w), np.uint8), (w // 2, h), (w // 2, int(0.72 * h)), 0, 180, 360, 255, -1)
    head = cv2.ellipse(np.zeros((h, w), np.uint8), (w // 2, int(0.2 * h)), (w // 5, int(0.17 * h)), 0, 0, 360, 255, -1)
    art[..., 3] = cv2.max(inside, head)
    return art
