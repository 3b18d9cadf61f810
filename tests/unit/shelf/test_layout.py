"""From the config to slots in a glance, and to a shelf that is watched."""

from __future__ import annotations

import numpy as np
import pytest

from edge.config import ShelfConfig, SlotConfig
from edge.data import Frame, ViewState
from edge.errors import ConfigError
from edge.events import EventCounter, EventFactory
from edge.shelf.layout import Watched, watch
from edge.shelf.reference import Reference
from edge.shelf.view import ViewWatch
from edge.shelf.whole_frame import Unchecked
from tests.fakes.events import UTC

HW = (80, 160)
"""A glance of 10×20 pixels."""
GRADIENT = np.repeat(np.arange(40, 200, dtype=np.uint8)[None, :, None], 80, axis=0).repeat(3, axis=2)


def watched(*boxes: tuple[int, int, int, int], reference: bool = True, hw=HW, rules=None, **about) -> Watched:
    slots = [SlotConfig(name=f"S{i}", box=box, **about) for i, box in enumerate(boxes)]
    base = Reference(np.resize(GRADIENT, (*hw, 3))) if reference else None
    return watch(slots, rules or ShelfConfig(), hw, base, EventFactory("cam", "b", "m", EventCounter()))


def cells(mask: np.ndarray) -> set[tuple[int, int]]:
    return set(map(tuple, np.argwhere(mask).tolist()))


def block(rows: range, columns: range) -> set[tuple[int, int]]:
    return {(row, column) for row in rows for column in columns}


def test_a_slot_is_the_whole_cells_within_it_and_its_ring_two_cells_around() -> None:
    (slot,) = watched((44, 28, 84, 60)).shelf.slots
    assert slot.window == (slice(3, 7), slice(5, 10))
    assert cells(slot.ring) == block(range(1, 9), range(3, 12)) - block(range(3, 8), range(5, 11)), "cut cells are in neither"


def test_in_a_corner_the_ring_ends_at_the_frame() -> None:
    (slot,) = watched((0, 0, 16, 16)).shelf.slots
    assert slot.window == (slice(0, 2), slice(0, 2))
    assert cells(slot.ring) == block(range(4), range(4)) - block(range(2), range(2))


def test_the_smallest_slot_in_the_last_corner_of_an_odd_frame_has_a_cell() -> None:
    slot = watched((159, 79, 167, 87), (0, 0, 8, 8), hw=(87, 167)).shelf.slots[0]
    assert slot.window == (slice(9, 10), slice(19, 20))


def test_no_ring_lies_in_a_slot() -> None:
    left, right = watched((40, 24, 80, 56), (96, 24, 136, 56)).shelf.slots
    between = block(range(3, 7), range(10, 12))
    assert between <= cells(left.ring)
    assert between <= cells(right.ring)
    assert not cells(left.ring) & block(range(3, 7), range(12, 17))


def test_an_empty_slot_looks_as_the_reference_does_there() -> None:
    (slot,) = watched((40, 24, 80, 56), expected="tea").shelf.slots
    assert slot.empty is not None
    assert slot.empty.shape == (4, 5, 3)
    np.testing.assert_allclose(slot.empty[0, :, 0], np.arange(40, 80).reshape(5, 8).mean(axis=1) + 40, atol=1)
    assert slot.expected == "tea"
    assert watched((40, 24, 80, 56), reference=False).shelf.slots[0].empty is None


@pytest.mark.parametrize(("bottom", "kind"), [(48, ViewWatch), (56, Unchecked)])
def test_a_fiftieth_of_the_frame_outside_all_slots_is_enough_to_judge_the_view(bottom: int, kind: type) -> None:
    assert isinstance(watched((0, 0, 152, 80), (152, 0, 160, bottom)).view, kind)


def test_without_a_reference_no_view_is_judged() -> None:
    assert isinstance(watched((40, 24, 80, 56), reference=False).view, Unchecked)


def test_the_times_of_the_site_are_kept() -> None:
    found = watched((40, 24, 80, 56), reference=False, rules=ShelfConfig(dwell_ms=300, refresh_s=2))
    looks_ms = []
    for index in range(60):
        tick = Frame(GRADIENT, index, index * 100_000_000, UTC, True)
        if found.shelf.changed(tick, ViewState.CLEAR):
            looks_ms.append(index * 100)
        found.shelf.update(tick, [], ViewState.CLEAR)
    assert looks_ms == [300, 2_300, 4_300]


def test_a_slot_that_cannot_be_is_named() -> None:
    with pytest.raises(ConfigError, match=r"slot 'S1': .* lies outside the frame of 160×80") as caught:
        watched((0, 0, 16, 16), (0, 0, 161, 16))
    assert "box or quad" in (caught.value.fix or "")
