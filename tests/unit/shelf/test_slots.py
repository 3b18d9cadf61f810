"""Scripted shelves through the real loop."""

from __future__ import annotations

import pytest

from edge.data import NoFrame, NoFrameReason, ViewState
from edge.monitor.vitals import SlotCounts
from edge.scene.script import Action
from edge.scene.scripted import ScriptedShelf
from edge.shelf.slot import restore
from tests.fakes.scripted_shelf import (
    COLUMNS,
    DWELL_S,
    FULL,
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


def test_a_thing_is_taken_and_returned_and_the_events_say_which() -> None:
    script = script_of(Action(4.0, "take", A), Action(9.0, "return", A, FULL[A]), end_s=14)
    told = play(script)
    assert told.changes() == [("taken", A), ("returned", A)]
    (taken_s, taken), (back_s, back) = told.of_slots()
    assert (taken.before, taken.after, back.before, back.after) == (FULL[A], None, None, FULL[A])
    assert 4.0 < taken_s <= 5.0 + DWELL_S + 0.3
    assert 9.0 < back_s <= 10.0 + DWELL_S + 0.3
    assert told.asked == len(NAMES) + 1, "each slot once, and the one that was filled again; an empty one needs no model"


@pytest.mark.parametrize(("kind", "start"), [("swap", FULL), ("restock", {**FULL, A: None})])
def test_another_thing_is_a_replacement(kind, start) -> None:
    told = play(script_of(Action(4.0, kind, A, OTHER), start=start, end_s=7))
    expected = [("replaced", A)] if kind == "swap" else [("empty", A), ("replaced", A)]
    assert told.changes() == expected
    assert told.events[-1][1].after == OTHER


@pytest.mark.parametrize(
    "action",
    [
        Action(3.0, "hand", B, last_s=2.0),
        Action(3.0, "person", last_s=4.0),
        Action(0.0, "flicker", last_s=99.0, amount=0.1),
        Action(3.0, "exposure", last_s=4.0, amount=1.0),
        Action(3.0, "exposure", last_s=4.0, amount=-1.0),
        Action(0.0, "dusk", last_s=99.0, amount=-600.0),  # two stops in twelve seconds
    ],
    ids=lambda action: f"{action.kind}{action.amount:+g}",
)
def test_what_passes_and_light_are_no_events(action: Action) -> None:
    told = play(script_of(action))
    assert (told.changes(), told.views()) == ([], [])
    assert told.asked == len(NAMES)


def test_what_happens_behind_a_cover_is_told_afterwards_and_as_unseen() -> None:
    script = script_of(Action(3.0, "cover", last_s=6.0), Action(6.0, "take", A), Action(6.0, "swap", B, OTHER), end_s=12)
    told = play(script)
    assert told.views() == ["covered", "clear"]
    assert told.changes() == [("empty", A), ("replaced", B)]
    assert all(at_s > 9.0 for at_s, event in told.events if event.kind == "event"), "never while it cannot see"


def test_in_a_bad_view_all_slots_are_unknown_and_afterwards_they_hold_what_they_held() -> None:
    full = {name: ("product", FULL[name]) for name in NAMES}
    told = play(script_of(Action(3.0, "cover", last_s=4.0), Action(5.0, "take", B), end_s=10))
    assert told.reports("slots") == [full], "learned at the start, without an event"
    assert told.statuses("view") == [("covered",), ("clear",)]
    assert told.reports("view") == [dict.fromkeys(NAMES, ("unknown", "covered")), full]
    assert told.changes() == [("empty", B)], "what went behind the cover comes after it"
    assert [event.kind for _, event in told.events] == ["status", "status", "status", "event"]


def test_a_start_in_the_dark_says_unknown_until_the_slots_are_learned() -> None:
    told = play(script_of(Action(-1.0, "dark", last_s=5.0), start={**FULL, A: None}, end_s=8))
    assert told.statuses("view") == [("dark",), ("clear",)]
    assert told.reports("view") == [dict.fromkeys(NAMES, ("unknown", why)) for why in ("dark", "not_looked_at")]
    assert told.changes() == [("empty", A)]
    assert told.reports("slots") == [{name: ("product", FULL[name]) for name in NAMES[1:]}], "the empty one has its event"


@pytest.mark.parametrize("same_model", [True, False])
def test_a_view_that_cleared_while_the_service_was_down_is_told(same_model: bool) -> None:
    scene = ScriptedShelf(script_of(), SPRITES, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)
    first, second = shelf_of(scene), shelf_of(scene)
    before = play(script_of(Action(3.0, "cover", last_s=9.0), end_s=6), watched=first)
    assert before.views() == ["covered"]
    second.shelf.restore(first.shelf.snapshot(), same_model=same_model)
    after = play(script_of(end_s=3), watched=second)
    full = {name: ("product", FULL[name]) for name in NAMES}
    told = full if same_model else dict.fromkeys(NAMES, ("unknown", "not_looked_at"))
    assert after.statuses("view") == [("clear",)]
    assert after.reports("view") == [told]
    assert after.reports("slots") == ([] if same_model else [full])
    assert after.changes() == []


def test_a_view_that_is_as_bad_after_a_restart_is_told_once() -> None:
    script = script_of(Action(3.0, "cover", last_s=6.0), end_s=12)
    scene = ScriptedShelf(script, SPRITES, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)
    first, second = shelf_of(scene), shelf_of(scene)
    assert play(script_of(Action(3.0, "cover", last_s=6.0), end_s=6), watched=first).views() == ["covered"]
    second.shelf.restore(first.shelf.snapshot(), same_model=True)
    assert play(script, watched=second, from_s=6.0).views() == ["clear"]


def test_a_misplaced_thing_is_flagged() -> None:
    script = script_of(Action(4.0, "swap", A, OTHER), end_s=7)
    scene = ScriptedShelf(script, SPRITES, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)
    watched = shelf_of(scene)
    watched.shelf.slots[0].expected = FULL[A]
    told = play(script, watched=watched)
    assert [event.flags for _, event in told.of_slots()] == [("misplaced",)]
    after = play(script_of(Action(1.0, "cover", last_s=3.0), start={**FULL, A: OTHER}, end_s=5), watched=watched)
    covered, clear = ({slot.name: slot for slot in event.slots} for _, event in after.events if event.type == "view")
    assert not covered[A].misplaced
    assert (clear[A].label, clear[A].misplaced) == (OTHER, True)
    assert not clear[B].misplaced


def test_without_a_reference_nothing_is_called_empty() -> None:
    told = play(script_of(Action(4.0, "take", A), end_s=7), reference=False)
    assert told.changes() == [("replaced", A)]


def test_silence_and_a_bad_view_ask_nothing() -> None:
    script = script_of()
    shelf = shelf_of(ScriptedShelf(script, SPRITES, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)).shelf
    silence = NoFrame(NoFrameReason.TIMEOUT, "nothing", 0)
    assert shelf.changed(silence, ViewState.CLEAR) == []
    assert shelf.update(silence, [], ViewState.CLEAR) == []


def test_a_restart_forgets_nothing_and_invents_nothing() -> None:
    """Two halves of a script, the second one by a new shelf that was given the first one's snapshot."""
    script = script_of(Action(4.0, "take", A), Action(12.0, "return", A, FULL[A]), Action(9.0, "take", B), end_s=16)
    scene = ScriptedShelf(script, SPRITES, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)
    first = shelf_of(scene)
    before = play(script_of(Action(4.0, "take", A), end_s=8), watched=first)
    assert before.changes() == [("taken", A)]
    second = shelf_of(scene)
    restore(second.shelf.slots, first.shelf.snapshot(), same_model=True)
    after = play(script, watched=second, from_s=10.5)
    assert after.changes() == [("empty", B), ("returned", A)], "what went while it was down is told, and not as seen"


def test_slots_that_were_and_were_not_asked_about_are_counted() -> None:
    script = script_of(Action(4.0, "swap", A, OTHER), end_s=7)
    counts = SlotCounts()
    scene = ScriptedShelf(script, SPRITES, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)
    told = play(script, watched=shelf_of(scene, counts=counts))
    assert counts.inferred == told.asked == len(NAMES) + 1
    assert counts.inferred + counts.skipped == 70 * len(NAMES)


def test_another_model_learns_the_labels_anew_silently() -> None:
    script = script_of(start={**FULL, A: None}, end_s=4)
    scene = ScriptedShelf(script, SPRITES, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)
    first = shelf_of(scene)
    assert play(script, watched=first).changes() == [("empty", A)]
    second = shelf_of(scene)
    restore(second.shelf.slots, first.shelf.snapshot(), same_model=False)
    assert [slot.state.holds for slot in second.shelf.slots[:2]] == ["empty", "unknown"]
    after = play(script, watched=second)
    assert (after.changes(), after.asked) == ([], len(NAMES) - 1)
    assert [slot.state.label for slot in second.shelf.slots[1:]] == [FULL[name] for name in NAMES[1:]]


def test_the_snapshot_is_made_again_only_after_a_look() -> None:
    script = script_of(end_s=3)
    watched = shelf_of(ScriptedShelf(script, SPRITES, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS))
    assert (first := watched.shelf.snapshot()) is watched.shelf.snapshot()
    play(script, watched=watched)
    assert watched.shelf.snapshot() != first
