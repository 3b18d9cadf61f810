"""Which events get pictures, and of what: the shelf's part; ``tests/integration/test_pictures.py`` has the disk's."""

from __future__ import annotations

import numpy as np
import pytest

from edge.data import U8Image
from edge.scene.script import Action, Script
from edge.scene.scripted import ScriptedShelf
from edge.shelf.layout import Watched
from tests.fakes.scripted_shelf import (
    COLUMNS,
    FULL,
    GRID,
    NAMES,
    PRODUCTS,
    ROWS,
    SIZE_HW_PX,
    SPRITES,
    play,
    script_of,
    shelf_of,
)

A, B = NAMES[0], NAMES[4]
OTHER = PRODUCTS[9]
BOXES = {slot.name: slot.box_xyxy_px for slot in GRID}


class Album:
    """Remembers what it was given."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[U8Image | None, U8Image | None]] = {}
        self.shrunk = 0

    def shrink(self, pixels: U8Image) -> U8Image:
        self.shrunk += 1
        return np.array(pixels)

    def keep(self, event_id: str, before: U8Image | None, after: U8Image | None) -> tuple[str, ...]:
        self.kept[event_id] = (before, after)
        return tuple(f"picture={when}" for when, one in (("before", before), ("after", after)) if one is not None)


def scene_of(script: Script) -> ScriptedShelf:
    return ScriptedShelf(script, SPRITES, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)


def apart(picture: U8Image | None, script: Script, slot: str, at_s: float) -> float:
    """Mean difference from the slot as the script has it at that time."""
    assert picture is not None
    x0, y0, x1, y1 = BOXES[slot]
    quiet = Script(script.start, tuple(a for a in script.actions if a.kind in ("take", "swap", "return")), script.end_s)
    index = int((at_s + 2.0) * 10)  # the hand has gone
    return float(np.abs(picture.astype(int) - scene_of(quiet).render(index, 10)[y0:y1, x0:x1]).mean())


@pytest.fixture
def album() -> Album:
    return Album()


def test_what_was_there_before_and_what_is_there_after(album: Album) -> None:
    script = script_of(Action(4.0, "take", A), Action(4.0, "swap", B, OTHER), Action(9.0, "return", A, FULL[A]), end_s=14)
    told = play(script, watched=shelf_of(scene_of(script), pictures=album))
    assert sorted(told.changes()) == [("replaced", B), ("returned", A), ("taken", A)]
    for _, event in told.of_slots():
        before, after = album.kept[event.id]
        happened_s = 9.0 if event.type == "returned" else 4.0
        earlier_s = 4.0 if event.type == "returned" else 0.0
        assert event.flags == ("picture=before", "picture=after")
        assert apart(before, script, event.slot, earlier_s) < 6
        assert apart(after, script, event.slot, happened_s) < 6
        assert apart(after, script, event.slot, earlier_s) > 12, "they differ"
    assert album.shrunk == len(NAMES) + 3, "pictures are taken at looks only, not in every frame"


def test_nothing_is_kept_of_slots_that_are_learned_or_of_products_that_are_not_known(album: Album) -> None:
    script = script_of(end_s=4)
    watched = shelf_of(scene_of(script), pictures=album)
    play(script, watched=watched)
    assert album.kept == {}


def test_an_unknown_product_has_no_picture(album: Album) -> None:
    script = script_of(Action(4.0, "swap", A, OTHER), end_s=7)
    watched = shelf_of(scene_of(script), pictures=album)
    watched.shelf._rules = type(watched.shelf._rules)(watched.shelf._rules.rest, min_score=0.95)
    told = play(script, watched=watched)
    assert told.changes() == [("unknown", A)]
    assert (album.kept, told.of_slots()[0][1].flags) == ({}, ())


def test_without_a_checked_view_no_picture_is_taken(album: Album) -> None:
    script = script_of(Action(4.0, "take", A), end_s=7)
    told = play(script, watched=shelf_of(scene_of(script), reference=False, pictures=album))
    assert told.changes() == [("replaced", A)]
    assert album.shrunk == 0
    assert list(album.kept.values()) == [(None, None)]
    assert told.of_slots()[0][1].flags == ()


def test_a_slot_without_surroundings_has_none_either(album: Album) -> None:
    script = script_of(Action(4.0, "take", A), Action(4.0, "take", B), end_s=7)
    watched = shelf_of(scene_of(script), pictures=album)
    watched.shelf.slots[0].ring[:] = False
    told = play(script, watched=watched)
    assert {event.slot: event.flags for _, event in told.of_slots()} == {A: (), B: ("picture=before", "picture=after")}


def restarted(script: Script, album: Album, upto_s: float) -> Watched:
    scene = scene_of(script)
    first, second = shelf_of(scene), shelf_of(scene, pictures=album)
    play(Script(script.start, script.actions, upto_s), watched=first)
    second.shelf.restore(first.shelf.snapshot(), same_model=True)
    return second


def test_after_a_restart_there_is_a_picture_before_although_nothing_is_looked_at_again(album: Album) -> None:
    script = script_of(Action(8.0, "take", A), end_s=11)
    told = play(script, watched=restarted(script, album, 4.0), from_s=4.0)
    (event,) = (event for _, event in told.of_slots())
    assert (event.type, event.flags) == ("taken", ("picture=before", "picture=after"))
    assert apart(album.kept[event.id][0], script, A, 0.0) < 6


def test_what_went_while_it_was_down_has_a_picture_after_alone(album: Album) -> None:
    script = script_of(Action(6.0, "take", A), end_s=10)
    told = play(script, watched=restarted(script, album, 4.0), from_s=7.5)
    assert [(event.type, event.flags) for _, event in told.of_slots()] == [("empty", ("picture=after",))]


def test_a_bad_view_is_on_no_picture(album: Album) -> None:
    script = script_of(Action(3.0, "cover", last_s=5.0), Action(5.0, "take", A), end_s=11)
    told = play(script, watched=shelf_of(scene_of(script), pictures=album))
    assert told.changes() == [("empty", A)]
    (event,) = (event for _, event in told.of_slots())
    before, after = album.kept[event.id]
    assert apart(before, script, A, 0.0) < 6
    assert apart(after, script, A, 5.0) < 6
