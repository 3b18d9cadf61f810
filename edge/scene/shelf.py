"""A shelf that lives, drawn from a seed: the synthetic camera's world, with the truth about every slot."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edge.data import U8Image
from edge.scene.items import paste
from edge.scene.props import PRODUCTS, Box, empty_shelf, hand_sprite, product_sprite

DEFAULT_FPS = 10.0
_VISITS = 24  # then goods are put back until the shelf is as it began, and the schedule starts again
_VISIT_S = 6.0  # one visit: the shelf at rest, a hand comes, changes one slot, goes
_COMES_S, _CHANGES_S, _GONE_S = 3.0, 4.2, 5.4
_STAY_S = 0.4  # the hand rests in the slot this long before and after the change
_COVERED_SHARE = 0.05  # a slot counts as covered when the hand hides more of it than this
_DRIFT, _DRIFT_S = 0.06, 90.0  # the light changes by this share over this period
_NOISE_MEAN = 8  # taken off beforehand, so that noise can be added without a sign
_NOISE_SIGMA = 1.6  # of 255, like a small sensor in a lit shop


@dataclass(frozen=True, slots=True)
class SceneSlot:
    """A place on the shelf: its name (row letter and column number) and where it is in every frame."""

    name: str
    box_xyxy_px: Box


@dataclass(frozen=True, slots=True)
class SlotTruth:
    """What stands in a slot (None: nothing) and whether the hand hides part of it."""

    product: str | None
    covered: bool


@dataclass(frozen=True, slots=True)
class _Visit:
    """One reach into the shelf. ``before`` and ``after``: the product of every slot; they differ in slot ``slot`` alone."""

    slot: int
    before: tuple[str | None, ...]
    after: tuple[str | None, ...]
    late_s: float


class ShelfScene:
    """A shelf where goods are taken, returned and replaced by a hand, under a slowly changing light, with sensor noise.

    Frame k depends on the seed, k and the rate only; frames may be asked for in any order. An object belongs to one thread.

    Args:
        seed: of the assortment, the schedule and the noise.
        size_hw_px: height and width of the frames, at least 96 each.
        rows: shelf boards.
        columns: slots on each.

    Raises:
        ValueError: a side is shorter than 96 pixels, or there is no slot.
    """

    def __init__(self, seed: int, size_hw_px: tuple[int, int] = (480, 640), *, rows: int = 2, columns: int = 4) -> None:
        if min(size_hw_px) < 96 or rows < 1 or columns < 1:
            raise ValueError(f"a shelf needs at least 96×96 pixels and one slot, not {size_hw_px}, {rows}×{columns}")
        self._seed = seed
        self._size_hw_px = size_hw_px
        self.slots = slot_grid(size_hw_px, rows, columns)
        rng = np.random.default_rng([seed, 0])
        self._visits = _schedule(rng, len(self.slots))
        self._empty = empty_shelf(size_hw_px, rows, tuple(slot.box_xyxy_px for slot in self.slots))
        x0, y0, x1, y1 = self.slots[0].box_xyxy_px
        products = {product for visit in self._visits for product in visit.after if product is not None}
        self._sprites = {product: product_sprite(product, (y1 - y0, x1 - x0)) for product in sorted(products)}
        self._hand = hand_sprite((size_hw_px[0] + (y1 - y0), x1 - x0))
        alpha = self._hand[..., 3:]
        self._hand_see_through = np.ascontiguousarray(255 - np.repeat(alpha, 3, axis=2))
        self._hand_part = (self._hand[..., :3].astype(np.uint16) * alpha // 255).astype(np.uint8)
        self._noise = np.empty((size_hw_px[0] + 64, size_hw_px[1] + 64, 3), dtype=np.uint8)
        for row in self._noise:  # row by row, or its floats would be the largest thing in a small camera's memory
            row[:] = np.clip(np.rint(rng.normal(_NOISE_MEAN, _NOISE_SIGMA, row.shape)), 0, 2 * _NOISE_MEAN)
        self._filled: tuple[tuple[str | None, ...], U8Image] = ((), self._empty)

    def empty(self) -> U8Image:
        """The shelf with nothing on it, without noise: what is photographed at install."""
        return np.array(self._empty)

    def render(self, index: int, fps: float = DEFAULT_FPS) -> U8Image:
        """Frame ``index`` of a camera with ``fps`` frames a second: a new H×W×3 uint8 RGB array."""
        time_s = index / fps
        visit, into_s = self._at(time_s)
        frame: U8Image = self._shelf_with(_products_at(visit, into_s)).copy()
        self._draw_hand(frame, visit, into_s)
        rng = np.random.default_rng([self._seed, 1, index])
        gain = 1 + _DRIFT * np.sin(2 * np.pi * time_s / _DRIFT_S + self._seed)
        cv2.LUT(frame, np.clip(np.arange(256) * gain - _NOISE_MEAN, 0, 255).astype(np.uint8), frame)
        top, left = (int(offset) for offset in rng.integers(0, 64, 2))
        h, w = self._size_hw_px
        cv2.add(frame, self._noise[top : top + h, left : left + w], frame)
        return frame

    def truth(self, index: int, fps: float = DEFAULT_FPS) -> dict[str, SlotTruth]:
        """What frame ``index`` shows, by the name of the slot."""
        visit, into_s = self._at(index / fps)
        products = _products_at(visit, into_s)
        return {
            slot.name: SlotTruth(product, self._hidden_share(slot, visit, into_s) > _COVERED_SHARE)
            for slot, product in zip(self.slots, products, strict=True)
        }

    def _at(self, time_s: float) -> tuple[_Visit, float]:
        number, into_s = divmod(time_s, _VISIT_S)
        visit = self._visits[int(number) % len(self._visits)]
        return visit, into_s - visit.late_s

    def _shelf_with(self, products: tuple[str | None, ...]) -> U8Image:
        """The shelf without the hand; the last one is kept, for it stays the same for seconds."""
        if self._filled[0] != products:
            shelf = self._empty.copy()
            for slot, product in zip(self.slots, products, strict=True):
                if product is not None:
                    sprite = self._sprites[product]
                    x0, _, x1, y1 = slot.box_xyxy_px
                    paste(shelf, sprite, x0 + (x1 - x0 - sprite.shape[1]) // 2, y1 - sprite.shape[0])
            self._filled = (products, shelf)
        return self._filled[1]

    def _hand_offset(self, visit: _Visit, into_s: float) -> tuple[int, int] | None:
        """Left and top of the hand's sprite; None while no hand is there. It rises from below the frame and sinks again."""
        come = (into_s - _COMES_S) / (_CHANGES_S - _STAY_S - _COMES_S)
        go = (_GONE_S - into_s) / (_GONE_S - _STAY_S - _CHANGES_S)
        reach = min(come, go, 1.0)
        if reach <= 0:
            return None
        x0, y0, _, y1 = self.slots[visit.slot].box_xyxy_px
        eased = reach * reach * (3 - 2 * reach)
        top = y0 + (y1 - y0) // 8
        return x0 + int((1 - eased) * (y1 - y0) / 2), int(top + (1 - eased) * (self._size_hw_px[0] - top))

    def _carried(self, visit: _Visit, into_s: float, hand_left_top_px: tuple[int, int]) -> tuple[U8Image, int, int] | None:
        """The sprite of the product in the hand and its left and top; None for an empty hand."""
        product = visit.before[visit.slot] if into_s >= _CHANGES_S else visit.after[visit.slot]
        if product is None:
            return None
        x0, y0, x1, y1 = self.slots[visit.slot].box_xyxy_px
        left, top = hand_left_top_px
        sprite = self._sprites[product]
        return sprite, left + (x1 - x0 - sprite.shape[1]) // 2, top + (y1 - y0) * 7 // 8 - sprite.shape[0]

    def _draw_hand(self, frame: U8Image, visit: _Visit, into_s: float) -> None:
        """The hand in front of the shelf, with the product that it brings or takes away."""
        offset = self._hand_offset(visit, into_s)
        if offset is None:
            return
        carried = self._carried(visit, into_s, offset)
        if carried is not None:
            paste(frame, *carried)
        left, top = offset
        x1, y1 = min(frame.shape[1], left + self._hand.shape[1]), min(frame.shape[0], top + self._hand.shape[0])
        under = frame[top:y1, left:x1]
        seen = cv2.multiply(under, self._hand_see_through[: y1 - top, : x1 - left], scale=1 / 255)
        frame[top:y1, left:x1] = cv2.add(seen, self._hand_part[: y1 - top, : x1 - left])

    def _hidden_share(self, slot: SceneSlot, visit: _Visit, into_s: float) -> float:
        """How much of the slot the hand, or the product in it, hides: 0 to 1."""
        offset = self._hand_offset(visit, into_s)
        if offset is None:
            return 0.0
        carried = self._carried(visit, into_s, offset)
        hidden = _opaque_px(self._hand, *offset, slot.box_xyxy_px) + (_opaque_px(*carried, slot.box_xyxy_px) if carried else 0)
        x0, y0, x1, y1 = slot.box_xyxy_px
        return min(1.0, hidden / ((x1 - x0) * (y1 - y0)))


def _opaque_px(sprite: U8Image, left_px: int, top_px: int, box_xyxy_px: Box) -> int:
    """How many pixels of the box the sprite hides."""
    x0, y0, x1, y1 = box_xyxy_px
    part = sprite[max(0, y0 - top_px) : max(0, y1 - top_px), max(0, x0 - left_px) : max(0, x1 - left_px), 3]
    return int(np.count_nonzero(part > 127))


def _products_at(visit: _Visit, into_s: float) -> tuple[str | None, ...]:
    return visit.before if into_s < _CHANGES_S else visit.after


def slot_grid(size_hw_px: tuple[int, int], rows: int, columns: int) -> tuple[SceneSlot, ...]:
    """A grid with a margin at the sides and room for the boards."""
    h, w = size_hw_px
    wide, high = w * 0.94 / columns, h / rows
    slots = []
    for row in range(rows):
        for column in range(columns):
            left, foot = int(w * 0.03 + column * wide), int(high * (row + 0.86))
            box = (left, int(high * (row + 0.08)), left + int(wide * 0.94), foot)
            slots.append(SceneSlot(f"{chr(ord('A') + row)}{column + 1}", box))
    return tuple(slots)


def _schedule(rng: np.random.Generator, slots: int) -> tuple[_Visit, ...]:
    """Visits that end with the shelf as it began, so that they can repeat for ever."""
    home = tuple(str(name) for name in rng.choice(PRODUCTS, slots, replace=slots > len(PRODUCTS)))
    state: tuple[str | None, ...] = home
    visits = []

    def visit(slot: int, product: str | None) -> None:
        nonlocal state
        after = (*state[:slot], product, *state[slot + 1 :])
        visits.append(_Visit(slot, state, after, late_s=float(rng.uniform(-0.5, 0.5))))
        state = after

    for _ in range(_VISITS):
        slot = int(rng.integers(0, slots))
        other = str(rng.choice([name for name in home if name != home[slot]] or PRODUCTS))
        if state[slot] is None:
            visit(slot, home[slot] if rng.random() < 0.7 else other)
        else:
            visit(slot, None if rng.random() < 0.7 or other == state[slot] else other)
    for slot in range(slots):
        if state[slot] != home[slot]:
            visit(slot, home[slot])
    return tuple(visits)
