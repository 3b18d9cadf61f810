"""Names beside marks, so that none lies on another name or on a mark. Pure: pixels in, pixels out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Box = tuple[float, float, float, float]
"""left, bottom, right, top in pixels, y upwards."""

_DISTANCES_PX = (7.0, 13.0, 22.0, 34.0, 48.0)
_DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (0.7, 0.7), (-0.7, 0.7), (0.7, -0.7), (-0.7, -0.7))
LINE_FROM_PX = 13.0


@dataclass(frozen=True, slots=True)
class Label:
    """Where a name goes: its lower left corner; ``line``: it lies so far from its mark that a line has to lead there."""

    left: float
    bottom: float
    line: bool


@dataclass(frozen=True, slots=True)
class Name:
    """What is to be placed: its mark's centre, its own width and height. ``near``: only right beside the mark, never with a line."""

    mark: tuple[float, float]
    width: float
    height: float
    near: bool = False


def place(wanted: Sequence[Name], obstacles: Sequence[Box], bounds: Box) -> list[Label | None]:
    """A free place for each name, the nearest first; names that come first choose first.

    Args:
        wanted: the names.
        obstacles: what no name may lie on, as boxes: every mark, named or not.
        bounds: names stay inside.

    Returns:
        None for a name that has no free place within reach: left out rather than unreadable.
    """
    taken = list(obstacles)
    placed: list[Label | None] = []
    for name in wanted:
        found = next(
            (
                (box, distance)
                for distance in (_DISTANCES_PX[:1] if name.near else _DISTANCES_PX)
                for box in (_box(name, distance, direction) for direction in _DIRECTIONS)
                if _inside(box, bounds) and not any(_overlap(box, other) for other in taken)
            ),
            None,
        )
        if found is None:
            placed.append(None)
            continue
        taken.append(found[0])
        placed.append(Label(found[0][0], found[0][1], found[1] >= LINE_FROM_PX))
    return placed


def _box(name: Name, distance: float, direction: tuple[float, float]) -> Box:
    (x, y), width, height = name.mark, name.width, name.height
    across, up = direction
    left = x + across * distance + (0 if across > 0 else -width if across < 0 else -width / 2)
    bottom = y + up * distance + (0 if up > 0 else -height if up < 0 else -height / 2)
    return left, bottom, left + width, bottom + height


def _inside(box: Box, bounds: Box) -> bool:
    return box[0] >= bounds[0] and box[1] >= bounds[1] and box[2] <= bounds[2] and box[3] <= bounds[3]


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
