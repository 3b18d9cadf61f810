"""What is known of slots outlives a restart, and nothing else gets in that way."""

from __future__ import annotations

import json
from functools import cache

import pytest

from edge.data import ViewState
from edge.errors import DataError
from edge.scene.scripted import ScriptedShelf
from edge.shelf.slot import NewerStateError, dump, restore
from tests.fakes.scripted_shelf import COLUMNS, FULL, NAMES, ROWS, SIZE_HW_PX, SPRITES, play, script_of, shelf_of

A = NAMES[0]


@pytest.mark.parametrize("snapshot", [b'{"schema":3,"slots":{}}', b"{", b'{"slots":{"A1":{}}}'])
def test_a_state_of_another_version_is_refused_and_one_of_a_run_without_slots_is_none(snapshot: bytes) -> None:
    slots = shelf_of(ScriptedShelf(script_of(), SPRITES, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)).shelf.slots
    with pytest.raises(DataError, match="the stored state of the shelf cannot be read"):
        restore(slots, snapshot, same_model=True)
    restore(slots, b"{}", same_model=True)
    assert {slot.state.holds for slot in slots} == {"unknown"}


@cache
def sound_state() -> bytes:
    """A stored shelf."""
    scene = ScriptedShelf(script_of(), SPRITES, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)
    first = shelf_of(scene)
    play(script_of(end_s=3), watched=first)
    return first.shelf.snapshot()


def state_of(**of_a_slot: object) -> bytes:
    """A stored shelf whose slot A holds this, and whose other slots are sound."""
    state = json.loads(sound_state())
    state["slots"][A] |= of_a_slot
    return json.dumps(state).encode()


@pytest.mark.parametrize("same_model", [True, False])
def test_of_another_model_only_what_is_empty_is_believed(same_model: bool) -> None:
    slots = shelf_of(ScriptedShelf(script_of(), SPRITES, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)).shelf.slots
    assert restore(slots, state_of(holds="empty", label=None, last="milk", held=None), same_model=same_model) is ViewState.CLEAR
    empty, *full = slots
    assert (empty.state.holds, empty.state.last, empty.held) == ("empty", "milk", None)
    assert {slot.state.holds for slot in full} == {"product" if same_model else "unknown"}
    assert [slot.rest.accepted is None for slot in slots] == [False, *[not same_model] * len(full)]
    assert [slot.held is None for slot in full] == [False] * len(full), "its looks are the same for any model"
    assert not any(slot.seen for slot in slots), "nobody looked meanwhile"


def test_a_picture_is_stored_as_bytes_from_0_to_255() -> None:
    slots = shelf_of(ScriptedShelf(script_of(), SPRITES, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)).shelf.slots
    restore(slots, sound_state(), same_model=True)
    assert slots[0].rest.accepted is not None
    slots[0].rest.accepted[0, :4, 0] = (-0.4, 0.2, 7.6, 255.4)
    restore(slots, dump(slots, ViewState.CLEAR), same_model=True)
    assert slots[0].rest.accepted[0, :4, 0].tolist() == [0, 0, 8, 255]


def test_a_slot_that_learns_anew_keeps_no_other_one_from_what_was_known() -> None:
    state = json.loads(sound_state())
    del state["slots"][A]
    slots = shelf_of(ScriptedShelf(script_of(), SPRITES, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)).shelf.slots
    restore(slots, json.dumps(state).encode(), same_model=True)
    assert {slot.name: slot.state.holds for slot in slots} == {name: "unknown" if name == A else "product" for name in NAMES}


TAMPERED = {
    "no base64": {"shape": [1, 1], "rgb": "%%%%"},
    "half of it": {"shape": [1, 1], "rgb": "A"},
    "no ASCII": {"shape": [1, 1], "rgb": "\u0663"},
    "fewer pixels": {"rgb": "AAAA"},
    "a negative shape": {"shape": [-1, -1], "rgb": "AAAA"},
    "a huge shape": {"shape": [2**31, 2**31], "rgb": "AAAA"},
    "a shape beyond numbers": {"shape": [2**70, 1], "rgb": "AAAA"},
}


@pytest.mark.parametrize("key", ["accepted", "held", "had"])
@pytest.mark.parametrize("what", TAMPERED)
def test_a_tampered_picture_is_refused_before_any_slot_is_touched(key: str, what: str) -> None:
    slots = shelf_of(ScriptedShelf(script_of(), SPRITES, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)).shelf.slots
    sound = json.loads(state_of())["slots"][A]["accepted"]
    picture = {**sound, **TAMPERED[what]}
    if key == "accepted" and "shape" in TAMPERED[what]:  # a slot whose look is of another shape learns anew
        restore(slots, state_of(**{key: picture}), same_model=True)
        assert next(slot for slot in slots if slot.name == A).state.holds == "unknown"
        return
    with pytest.raises(DataError) as caught:
        restore(slots, state_of(**{key: picture}), same_model=True)
    assert not isinstance(caught.value, NewerStateError)
    assert {slot.state.holds for slot in slots} == {"unknown"}, "nothing was taken over"


@pytest.mark.parametrize("snapshot", [b"", b"\xff", b"[" * 1_000_000, b'{"slots":' * 10_000, b'{"schema":"3"}', b"null"])
def test_a_state_of_nonsense_is_refused(snapshot: bytes) -> None:
    slots = shelf_of(ScriptedShelf(script_of(), SPRITES, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)).shelf.slots
    with pytest.raises(DataError, match="the stored state of the shelf cannot be read") as caught:
        restore(slots, snapshot, same_model=True)
    assert not isinstance(caught.value, NewerStateError)
    with pytest.raises(NewerStateError):
        restore(slots, b'{"schema":3,"slots":{"A1":5},"more":1}', same_model=True)


def test_the_state_of_the_version_before_is_read() -> None:
    scene = ScriptedShelf(script_of(), SPRITES, 1, SIZE_HW_PX, rows=ROWS, columns=COLUMNS)
    second = shelf_of(scene)
    old = json.loads(sound_state())
    assert (old.pop("view"), old.pop("schema")) == ("clear", 2)
    assert restore(second.shelf.slots, json.dumps({**old, "schema": 1}).encode(), same_model=True) is ViewState.UNCHECKED
    assert [slot.state.label for slot in second.shelf.slots] == [FULL[name] for name in NAMES]
