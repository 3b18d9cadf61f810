"""From the site's slots and its reference to a shelf that can be watched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.config import ShelfConfig, SlotConfig
from edge.errors import ConfigError
from edge.events import EventFactory
from edge.monitor.vitals import SlotCounts
from edge.shelf.base import Pictures, ViewHealth
from edge.shelf.geometry import Place, place
from edge.shelf.glance import SIDE_PX, Glance, Glancer, glance_of
from edge.shelf.reference import Reference
from edge.shelf.rest import RestRules
from edge.shelf.slot import Slot
from edge.shelf.slots import ShelfRules, SlotShelf
from edge.shelf.view import ViewWatch, background
from edge.shelf.whole_frame import Unchecked

_RING_PX = 2  # of a glance around a slot: what is in front of the slot is in front of them too
_BACKGROUND_MIN = 0.02
"""Share of the frame that must lie outside all slots, or there is nothing to tell the view's health by."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What the loop takes."""

    view: ViewHealth
    shelf: SlotShelf


def watch(
    slots: Sequence[SlotConfig],
    rules: ShelfConfig,
    size_hw_px: tuple[int, int],
    reference: Reference | None,
    events: EventFactory,
    *,
    counts: SlotCounts | None = None,
    pictures: Pictures | None = None,
) -> Watched:
    """A shelf of ``slots`` in frames of that size.

    Args:
        slots: at least one.
        rules: of the site.
        size_hw_px: of the frames.
        reference: of the same size; None: the view is not checked, and no slot is known to be empty.
        events: makes the events.
        counts: of slots inferred and skipped, counted up.
        pictures: takes a slot's pictures before and after an event; None: none is taken.

    Raises:
        ConfigError: a slot lies outside the frame, is too small, or is no convex shape.
    """
    base = None if reference is None else glance_of(reference.pixels)
    made, outside = _lay_out(slots, size_hw_px, base)
    glancer = Glancer()
    rest = RestRules(dwell_ns=rules.dwell_ms * 1_000_000, refresh_ns=rules.refresh_s * 1_000_000_000)
    shelf_rules = ShelfRules(rest, rules.min_score, rules.empty_label)
    checked = base is not None and float(outside.mean()) >= _BACKGROUND_MIN
    looks_out = ViewWatch(background(base, outside), glancer) if checked and base is not None else None
    shelf = SlotShelf(
        made,
        base,
        outside,
        glancer=glancer,
        events=events,
        rules=shelf_rules,
        counts=counts,
        view_flags=looks_out.flags if looks_out else tuple,
        pictures=pictures,
    )
    return Watched(looks_out or Unchecked(), shelf)


def place_of(slot: SlotConfig, size_hw_px: tuple[int, int]) -> Place:
    """Where a slot is. Raises ConfigError that names it."""
    try:
        return place(slot.corners, size_hw_px)
    except ValueError as error:
        raise ConfigError(f"slot {slot.name!r}: {error}", fix="mend its box or quad in the config") from error


def _lay_out(
    configs: Sequence[SlotConfig], size_hw_px: tuple[int, int], base: Glance | None
) -> tuple[list[Slot], npt.NDArray[np.bool_]]:
    """Slots, and the mask h×w of a glance that lies outside all of them."""
    outside = np.ones((size_hw_px[0] // SIDE_PX, size_hw_px[1] // SIDE_PX), dtype=np.bool_)
    places = [place_of(slot, size_hw_px) for slot in configs]
    windows = [_window(where) for where in places]
    for where in places:
        x0, y0, x1, y1 = where.box_xyxy_px
        outside[y0 // SIDE_PX : -(-y1 // SIDE_PX), x0 // SIDE_PX : -(-x1 // SIDE_PX)] = False
    slots = []
    for config, where, (rows, columns) in zip(configs, places, windows, strict=True):
        ring = np.zeros_like(outside)
        ring[_wider(rows), _wider(columns)] = True
        empty = None if base is None else base.small[rows, columns].copy()
        slots.append(
            Slot(config.name, where, (rows, columns), ring & outside, empty, config.expected, frozenset(config.answers) or None)
        )
    return slots, outside


def _window(where: Place) -> tuple[slice, slice]:
    """The whole pixels of a glance within a slot; at least one, for no slot is narrower than one."""
    x0, y0, x1, y1 = (v // SIDE_PX for v in where.box_xyxy_px)
    return slice(y0, y1), slice(x0, x1)


def _wider(part: slice) -> slice:
    return slice(max(0, part.start - _RING_PX), part.stop + _RING_PX)
