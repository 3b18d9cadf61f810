"""From how much difference on a slot is empty, hidden, or not to be pictured: by hand-made frames, each a little to either side."""

from __future__ import annotations

import numpy as np
import pytest

from edge.config import ShelfConfig, SlotConfig
from edge.data import Classes, Frame, Region, Score, ShelfEvent, ViewState
from edge.events import EventCounter, EventFactory
from edge.monitor.vitals import SlotCounts
from edge.shelf.layout import watch
from edge.shelf.reference import Reference
from tests.fakes.events import UTC

HW = (160, 160)
BOX = (64, 64, 96, 96)
WALL, LIGHT_GREY = 100, 160
RULES = ShelfConfig(dwell_ms=300, empty_label="nothing")


class Album:
    """Takes whatever it is given."""

    def __init__(self) -> None:
        self.kept: list[tuple[bool, bool]] = []

    def shrink(self, pixels: np.ndarray) -> np.ndarray:
        return pixels.copy()

    def keep(self, event_id: str, before: np.ndarray | None, after: np.ndarray | None) -> tuple[str, ...]:
        self.kept.append((before is not None, after is not None))
        return ()


class Shelf:
    """One slot in the middle of a grey wall, ten frames a second; the model says what a test wants it to say."""

    def __init__(self, box: tuple[int, int, int, int] = BOX, *, reference: bool = True, hw: tuple[int, int] = HW) -> None:
        self.album, self.counts, self._seq, self._hw, self._box = Album(), SlotCounts(), 0, hw, box
        base = Reference(np.full((*hw, 3), WALL, np.uint8)) if reference else None
        slots = [SlotConfig(name="A", box=box)]
        events = EventFactory("cam", "b", "m", EventCounter())
        self.shelf = watch(slots, RULES, hw, base, events, counts=self.counts, pictures=self.album).shelf
        self.asked = 0

    def frame(self, slot: float = 0, ring: float = 0, light: float = 1.0, pattern: int | None = None) -> Frame:
        """``slot``, ``ring``: by how much of a light grey the slot and what is around it differ from the reference. ``pattern``: seed of
        what the thing in it looks like; None: plain."""
        x0, y0, x1, y1 = self._box
        pixels = np.full((*self._hw, 3), WALL, np.float32)
        pixels[max(0, y0 - 16) : y1 + 16, max(0, x0 - 16) : x1 + 16] += ring * LIGHT_GREY
        pixels[y0:y1, x0:x1] = WALL + slot * LIGHT_GREY
        if pattern is not None:
            blocks = np.random.default_rng(pattern).uniform(-40, 40, ((y1 - y0) // 8, (x1 - x0) // 8, 3))
            pixels[y0:y1, x0:x1] += blocks.repeat(8, axis=0).repeat(8, axis=1)
        self._seq += 1
        return Frame(np.rint(pixels * light).astype(np.uint8), self._seq, self._seq * 100_000_000, UTC, True)

    def see(
        self, frames: int, label: str = "tea", score: float = 0.9, view=ViewState.CLEAR, **about: float
    ) -> list[ShelfEvent]:
        told = []
        for _ in range(frames):
            tick = self.frame(**about)
            regions = self.shelf.changed(tick, view)
            self.asked += len(regions)
            seen = [Region(one.slot, one.pixels, answers=(Classes("kind", (Score(label, 0, score),)),)) for one in regions]
            told += self.shelf.update(tick, seen, view)
        return told

    @property
    def holds(self) -> str:
        return self.shelf.slots[0].state.holds


@pytest.mark.parametrize(("differs", "holds", "asked"), [(0.125, "empty", 0), (0.15, "product", 1)])
def test_how_much_a_slot_must_differ_from_the_empty_one_to_hold_something(differs: float, holds: str, asked: int) -> None:
    shelf = Shelf()
    shelf.see(5, slot=differs)
    assert (shelf.holds, shelf.asked) == (holds, asked)
    assert (shelf.counts.inferred, shelf.counts.skipped) == (asked, 5 - asked)


@pytest.mark.parametrize(("around", "pictured"), [(0.1, True), (0.13, False)])
def test_how_clear_the_surroundings_must_be_for_a_picture(around: float, pictured: bool) -> None:
    shelf = Shelf()
    shelf.see(5, slot=0.5, ring=around)
    (event,) = [one for one in shelf.see(8, slot=0, ring=around) if one.kind == "event"]
    assert event.type == "taken", "it is seen all the same"
    assert shelf.album.kept == [(pictured, pictured)]


@pytest.mark.parametrize(("around", "hidden"), [(0.28, False), (0.32, True)])
def test_how_much_stands_in_front_of_a_slot_that_is_not_looked_at(around: float, hidden: bool) -> None:
    shelf = Shelf()
    shelf.see(8, slot=0.5, ring=around)
    assert (shelf.holds == "unknown") is hidden
    assert shelf.asked == (0 if hidden else 1)


def test_an_empty_slot_in_other_light_is_empty() -> None:
    shelf = Shelf()
    shelf.see(8, slot=0.1, light=0.6)
    assert shelf.holds == "empty"


@pytest.mark.parametrize(("bottom", "told"), [(144, ["replaced"]), (152, ["empty"])])
def test_the_light_is_judged_between_the_slots_or_where_these_leave_too_little_by_all(bottom: int, told: list[str]) -> None:
    """A slot of nine tenths of the frame that turns dark is a change of the slot; of one of 95 % it is the light, and the slot is empty."""
    shelf = Shelf((0, 0, 160, bottom))
    shelf.see(5, slot=0.5)
    assert [one.type for one in shelf.see(8, "milk", slot=0.2) if one.kind == "event"] == told


def test_without_surroundings_nothing_stands_in_front() -> None:
    shelf = Shelf((0, 0, 160, 160), reference=False)
    shelf.see(5)
    assert shelf.asked == 1


def test_a_label_that_means_an_empty_slot_empties_it() -> None:
    shelf = Shelf()
    shelf.see(5, slot=0.5)
    assert [one.type for one in shelf.see(8, "nothing", slot=0.3) if one.kind == "event"] == ["taken"]
    assert shelf.holds == "empty"


def test_another_thing_in_a_slot_that_was_emptied_has_not_come_back() -> None:
    shelf = Shelf()
    shelf.see(5, slot=0.5)
    shelf.see(8, slot=0)
    (event,) = [one for one in shelf.see(8, "milk", slot=0.3) if one.kind == "event"]
    assert (event.type, event.after) == ("replaced", "milk")


def test_a_thing_that_looks_like_the_last_one_has_come_back_whatever_its_label() -> None:
    shelf = Shelf()
    shelf.see(5, slot=0.5, pattern=1)
    shelf.see(8, slot=0)
    shelf.see(8, slot=0.13)  # another look at an empty slot
    assert shelf.holds == "empty"
    (event,) = [one for one in shelf.see(8, "juice", slot=0.5, pattern=1) if one.kind == "event"]
    assert (event.type, event.after) == ("returned", "tea")
    assert [one.type for one in shelf.see(8, slot=0) if one.kind == "event"] == ["taken"]
    (event,) = [one for one in shelf.see(8, "juice", slot=0.5, pattern=2) if one.kind == "event"]
    assert (event.type, event.after) == ("replaced", "juice")


def test_another_model_learns_products_anew_without_an_event_and_knows_what_is_empty() -> None:
    shelf = Shelf()
    shelf.see(5, slot=0.5)
    before = shelf.shelf.snapshot()
    shelf.shelf.relearn()
    assert shelf.holds == "unknown"
    assert shelf.shelf.snapshot() != before
    told = shelf.see(5, "juice", slot=0.5)
    assert [(one.type, one.slots[0].label) for one in told] == [("slots", "juice")]
    shelf.see(8, slot=0)
    shelf.shelf.relearn()
    assert (shelf.holds, shelf.see(5, slot=0)) == ("empty", [])


def test_what_came_while_nobody_saw_is_not_called_taken() -> None:
    for view, kind in ((ViewState.DOUBTFUL, "taken"), (ViewState.DARK, "empty")):
        shelf = Shelf()
        shelf.see(5, slot=0.5)
        shelf.see(3, slot=0.5, view=view)
        told = [one.type for one in shelf.see(8, slot=0) if one.kind == "event"]
        assert told == [kind], "a doubtful moment is not a gap"


def test_what_goes_in_the_frame_after_a_look_was_seen_going() -> None:
    shelf = Shelf()
    shelf.see(4, slot=0.5)
    assert shelf.asked == 1, "in the last of them"
    assert [one.type for one in shelf.see(8, slot=0) if one.kind == "event"] == ["taken"]


def test_each_frame_is_compared_with_the_one_before_and_after_a_gap_with_none() -> None:
    shelf = Shelf()
    shelf.see(1, slot=0.5)
    shelf.see(1, slot=0.5, view=ViewState.DARK)
    shelf.see(3, slot=0.3)
    assert shelf.asked == 0, "the dwell time began after the gap"
    shelf.see(1, slot=0.3)
    assert shelf.asked == 1


def test_of_several_things_in_a_slot_the_surest_counts() -> None:
    shelf = Shelf()
    shelf.see(3, slot=0.5)
    tick = shelf.frame(slot=0.5)
    (region,) = shelf.shelf.changed(tick, ViewState.CLEAR)
    tops = [
        (),
        (Score("tea", 0, 0.4), Score("can", 3, 0.39)),
        (Score("milk", 1, 0.7), Score("can", 3, 0.1)),
        (Score("juice", 2, 0.7),),
        (Score("can", 3, 0.6), Score("tea", 0, 0.4)),
    ]
    seen = [Region("A", region.pixels, answers=(Classes("kind", top),)) for top in tops]
    (told,) = [one for one in shelf.shelf.update(tick, seen, ViewState.CLEAR) if one.type == "slots"]
    assert told.slots[0].label == "milk"
